"""Decide when a share ends, and when it only pauses.

A share ends

- when its time is over, when it is stopped, and when the agent ends;
- with `auth lock`, also by another agent of the same directory, which leaves the marker;
- with a logout, and with a login that replaces its credential;
- when the policy changes, if the user had approved the share under the former one.

An automatic lock does not end a share: it answers `locked` until a request at the agent's own
socket has opened the vault again.
"""

from __future__ import annotations

from tokenward_agent.failure import Failure
from tokenward_agent.requests.share_answers import share_ended_error

TYPE_CHECKING = False
if TYPE_CHECKING:
    from tokenward_agent.policy.file import PolicyFile
    from tokenward_agent.requests.share_answers import Share
    from tokenward_agent.store.opening import Opening
    from tokenward_agent.store.vaults import Vaults


class ShareLife:
    """Decides whether the shares of one agent are alive."""

    def __init__(self, vaults: Vaults, opening: Opening, policy: PolicyFile) -> None:
        self._vaults = vaults
        self._opening = opening
        self.policy = policy

    def require_usable(self, share: Share) -> None:
        """Raise Failure if a share has ended, or its vault is not open."""
        self.policy.reload(self._vaults.clock.wall())
        if self.end_reason(share):
            raise share_ended_error()
        vault = self._vaults.each.get(share.holder)
        if vault is not None and vault.state != "open":
            raise Failure(
                "locked",
                "The vault of the shared credential is not open.",
                "`auth unlock` on its host",
                vaults=[vault.provider],
                stored=True,
            )

    def end_reason(self, share: Share) -> str:
        """Return why a share has ended: `lock`, `policy`, `login` or `logout`; "" if it is not.

        The policy counts as it was last read.
        """
        if self._opening.is_locked:
            return "lock"
        if share.agreed not in {None, self.policy.changes}:
            return "policy"
        login = share.grant.login
        here = [
            each.record.login
            for each in self._vaults.at(login.service, None)
            if each.record.username == login.username
        ]
        if any(other != login for other in here):
            return "login"
        vault = self._vaults.each.get(share.holder)
        return "" if here or (vault is not None and vault.state != "open") else "logout"
