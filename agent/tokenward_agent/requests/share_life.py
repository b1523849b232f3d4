"""When a share is over, and when it rests.

It ends

- at its end, when it is stopped, and with the agent;
- with `auth lock`, also with one by another agent of the same directory, that leaves the marker;
- with a logout, and with a login that takes the place of the one that it is of;
- with another policy, where a person agreed to it under this one.

An automatic lock ends none: until somebody at home has opened the vault again it answers `locked`.
"""

from __future__ import annotations

from tokenward_agent.failure import Failure
from tokenward_agent.requests.shared import over

TYPE_CHECKING = False
if TYPE_CHECKING:
    from tokenward_agent.policy.file import PolicyFile
    from tokenward_agent.requests.shared import Share
    from tokenward_agent.store.opening import Opening
    from tokenward_agent.store.vaults import Vaults


class ShareLife:
    """Tells of the shares of one agent whether they live."""

    def __init__(self, vaults: Vaults, opening: Opening, policy: PolicyFile) -> None:
        self._vaults = vaults
        self._opening = opening
        self.policy = policy

    def require(self, share: Share) -> None:
        """Raise Failure where a share is over, or its vault is not open."""
        self.policy.look(self._vaults.clock.wall())
        if self.over(share):
            raise over()
        vault = self._vaults.each.get(share.holder)
        if vault is not None and vault.state != "open":
            raise Failure(
                "locked",
                "The vault that holds what is shared here is not open.",
                "`auth unlock` on its host",
                vaults=[vault.provider],
                stored=True,
            )

    def over(self, share: Share) -> str:
        """Return why a share is over: `lock`, `policy`, `login` or `logout`, "" if it is not.

        By what was last seen of the policy.
        """
        if self._opening.locked:
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
