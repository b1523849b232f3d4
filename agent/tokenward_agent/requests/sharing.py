"""The requests about shared sockets, `share` and `unshare`, and when a share ends or only pauses.

A share is a further socket of the agent, for the credential of one login and for admitted user ids:
for a container, a job, or another host at the end of `ssh -R`. It hands out attenuated tokens,
unless the user shares the whole. The path to the other side belongs to ssh or to the container. The
next agent does not open it again, unless config.toml declares it (declared_shares.py). A share ends

- when its time is over, when it is stopped, and when the agent ends;
- with `auth lock`, also by another agent of the same directory, which leaves the marker;
- with a logout, and with a login that replaces its credential;
- when the policy changes, if the user had approved the share under the former one.

An automatic lock does not end a share: it answers `locked` until a request at the agent's own
socket has opened the vault again.
"""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING, Final, NamedTuple

from tokenward_agent.failure import Failure
from tokenward_agent.peer.peer import Peer
from tokenward_agent.requests.access_request import AccessRequest
from tokenward_agent.requests.attenuation import Delivery
from tokenward_agent.requests.forms import WHOLE
from tokenward_agent.requests.naming import stored_service
from tokenward_agent.requests.share_answers import Share, share_ended_error
from tokenward_agent.requests.share_request import read_share_request
from tokenward_agent.wire.answer import Answer, success_answer
from tokenward_agent.wire.listener import ListenAddressError, Listener, forget_peer
from tokenward_agent.wire.local import SharedAddress
from tokenward_os.files import uid

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from tokenward_agent.failure import SecretSource
    from tokenward_agent.policy.file import PolicyFile
    from tokenward_agent.policy.rule import Terms
    from tokenward_agent.requests.dispatch import AsyncHandler
    from tokenward_agent.requests.fetch import Fetch
    from tokenward_agent.requests.grants import Grant
    from tokenward_agent.requests.share_request import ShareRequest
    from tokenward_agent.store.derived_tokens import DerivedTokens
    from tokenward_agent.store.opening import Opening
    from tokenward_agent.store.vaults import Vaults
    from tokenward_agent.vault.record import Record
    from tokenward_agent.wire.listener import Dispatch
    from tokenward_agent.wire.request import Request
    from tokenward_agent.wire.server import Server
    from tokenward_protocol.packing import Value


MOST_SHARES: Final = 16
MOST_CONNECTIONS: Final = 32  # the most connections of one share at a time


class _OpenShare(NamedTuple):
    shares: tuple[Share, ...]  # of one path; () if config.toml declares it
    facts: Sequence[Mapping[str, Value]]  # what is said of it: of each service
    at_end: Callable[[], None]
    uids: tuple[int, ...]
    ends: int | None  # wall clock, for display
    address: SharedAddress
    listener: Listener
    timer: asyncio.TimerHandle | None


class _Shared(Delivery):
    """What a share may hand out, if one more share fits."""

    instead_of_whole = "leave `--whole` out to share attenuated tokens of it"
    instead_of_narrower = "add `--whole` to share the credential itself"
    instead_of_any = "`auth share --relay` shares it behind a relay"
    require_room: Callable[[], None]

    def require_possible(self, terms: Terms, now: int) -> None:
        """Raise Failure if these terms allow nothing, or one more share does not fit."""
        super().require_possible(terms, now)
        self.require_room()


class ShareRequests:
    """The shares of one agent; `folder` is where sockets are made unless the request names a path.

    `note` is called with the path and the reason when a share ends without a request.
    """

    def __init__(
        self,
        vaults: Vaults,
        opening: Opening,
        policy: PolicyFile,
        derived_tokens: DerivedTokens,
        fetch: Fetch,
        dispatch: Callable[[Share], Dispatch],
        note: Callable[[str, str], None],
        folder: str,
    ) -> None:
        self._vaults, self._opening, self._policy = vaults, opening, policy
        self._derived_tokens, self._fetch, self._dispatch = derived_tokens, fetch, dispatch
        self._note, self._folder = note, folder
        self._server: Server | None = None
        self._open: dict[str, _OpenShare] = {}

    def serve(self, server: Server) -> None:
        """Use this server for the shares that are opened from now on."""
        self._server = server

    def place(self, share_request: ShareRequest) -> str:
        """Return the path of a socket: the one that is wanted, else a new one of ours."""
        return share_request.at or f"{self._folder}/share-{os.urandom(8).hex()}.sock"

    async def share(self, request: Request, _body: memoryview) -> Answer:
        """Open a socket that hands out one credential. Raises Failure."""
        share_request = read_share_request(request)
        path = self.place(share_request)
        scope = stored_service(request)
        projects = share_request.restriction.projects
        bounds = ("share", path, share_request.uids, share_request.lifetime)

        def make_delivery(record: Record, secret: SecretSource) -> Delivery:
            going = _Shared(
                self._derived_tokens, record, secret, share_request.restriction, bounds=bounds
            )
            going.require_room = lambda: self.require_room(path)
            return going

        def describe(grant: Grant) -> list[str]:
            what = "the credential itself" if grant.form == WHOLE else "attenuated tokens of it"
            return share_request.describe(f"that hands out {what} to others", path)

        found, delivery, authorization = await self._fetch.authorize(
            request, make_delivery, describe, projects
        )
        lifetime = share_request.lifetime
        delivery.require_possible(authorization.terms, self._vaults.clock.wall())
        share = Share(
            path,
            delivery.grant_under(authorization.terms),
            scope,
            projects,
            found.vault.provider,
            None if lifetime is None else self._vaults.clock.boot() + lifetime,
            AccessRequest(request, found.record, projects).policy_input,
            None if authorization.consent is None else self._policy.changes,
        )
        facts: dict[str, Value] = {
            "service": share.scope,
            "username": share.grant.login.username,
            "projects": [*share.projects] or None,
            "whole": share.grant.form == WHOLE,
        }
        described = self.open(path, (share,), share_request, [facts], self._dispatch(share))
        return success_answer(request.number, None, **described)

    def require_room(self, path: str) -> None:
        """Raise Failure if one more share does not fit, or not at this place."""
        if (
            sum(bool(held.shares) for held in self._open.values()) >= MOST_SHARES
        ):  # declared ones apart
            raise Failure("busy", "Too many shares are open.", "`auth share --stop`")
        address = _bound(path, for_others=False)
        address.listener.close()
        address.release()

    def unshare(self, request: Request) -> Answer:
        """Close one shared socket, or all of them. Raises Failure."""
        at = request.text("at")
        if at is not None and at not in self._open:
            raise Failure("not-found", "No share is at this path.", "`auth status`")
        stopped: list[Value] = [*(self._open if at is None else [at])]
        for path in stopped:
            self._end(str(path))
        return success_answer(request.number, stopped=stopped)

    def overview(self) -> list[Value]:
        """Return the descriptions of all services of all shares."""
        return [each for path in self._open for each in self._describe(path)]

    def is_open(self, path: str) -> bool:
        """Tell whether a share is at this path, and its socket is still there."""
        held = self._open.get(path)
        return held is not None and held.address.is_valid()

    def has_typed(self) -> bool:
        """Tell whether a share is open that the next agent will not open."""
        return any(held.shares for held in self._open.values())

    @property
    def is_serving(self) -> bool:
        """Whether shares can be opened: not before the agent serves, and not while it ends."""
        return self._server is not None

    def close(self) -> None:
        """End all shares, and open no more."""
        for path in list(self._open):
            self._end(path)
        self._server = None

    def end(self, why: str) -> None:
        """End all shares for the reason `why`."""
        for path in list(self._open):
            self.end_one(path, why)

    def end_one(self, path: str, why: str) -> None:
        """End a share for the reason `why`."""
        self._end(path)
        self._note(path, why)

    def with_ended_shares(self, handler: AsyncHandler) -> AsyncHandler:
        """Add to a handler's answer the shares that ended meanwhile."""

        async def handle_and_tell(request: Request, body: memoryview) -> Answer:
            before = list(self._open)
            answer = await handler(request, body)
            ended: list[Value] = [path for path in before if path not in self._open]
            return Answer({**answer.values, "stopped": ended}, answer.secret) if ended else answer

        return handle_and_tell

    def end_finished(self) -> None:
        """Close the shares that have ended; to be called after each change of a vault's state."""
        for path, held in list(self._open.items()):
            reasons = [why for share in held.shares if (why := self.end_reason(share))]
            if reasons:
                self.end_one(path, reasons[0])

    def narrow(self, share: Share, request: Request) -> Request:
        """Return the fetch that the agent makes of a request at a share. Raises Failure."""
        within = share.restrict(request, self._vaults.clock.boot())
        self.require_usable(share)
        return within

    def require_usable(self, share: Share) -> None:
        """Raise Failure if a share has ended, or its vault is not open."""
        self._policy.reload(self._vaults.clock.wall())
        vault = self._vaults.each.get(share.holder)
        if self.end_reason(share):
            failure = share_ended_error()
        elif vault is not None and vault.state != "open":
            failure = shut_error([vault.provider], stored=True)
        else:
            return
        asyncio.get_running_loop().call_soon(self.end_finished)  # it may close this connection
        raise failure

    def end_reason(self, share: Share) -> str:
        """Return why a share has ended (`lock`, `policy`, `login`, `logout`), "" if it is not."""
        if self._opening.is_locked:
            return "lock"
        if share.declared not in {None, *self._policy.policy.shares}:
            return "policy"
        if share.agreed not in {None, self._policy.changes}:
            return "policy"
        login = share.grant.login
        here = [
            each.record.login
            for each in self._vaults.at(login.service, None)
            if each.record.username == login.username
        ]
        if login in here:
            return ""
        if any(other.created >= login.created for other in here):
            return "login"
        vault = self._vaults.each.get(share.holder)
        return "" if vault is not None and vault.state != "open" else "logout"

    def open(
        self,
        path: str,
        shares: tuple[Share, ...],
        share_request: ShareRequest,
        facts: Sequence[Mapping[str, Value]],
        dispatch: Dispatch,
        at_end: Callable[[], None] = lambda: None,
        when_closed: Callable[[object], None] = forget_peer,
    ) -> dict[str, Value]:
        """Open a socket at `path` for these shares; return what is said of its first service.

        `at_end` is called when it ends, `when_closed` with the peer of each closed connection.
        Raises Failure.
        """
        assert self._server is not None  # noqa: S101 - for the type checkers; `serve` comes first
        uids, lifetime = share_request.uids, share_request.lifetime
        admitted = {uid(), 0, *uids}
        before = self._open.get(path)
        if before is not None and not before.address.is_valid():  # its socket file was replaced
            self._end(path)
        address = _bound(path, for_others=bool(uids))
        listener = Listener(
            address.listener,
            dispatch,
            Peer,
            admitted.__contains__,
            MOST_CONNECTIONS,
            when_closed,
        )
        ends = timer = None
        if lifetime is not None:
            ends = self._vaults.clock.wall() + lifetime
            timer = asyncio.get_running_loop().call_later(lifetime, self._end, path)
        self._open[path] = _OpenShare(shares, facts, at_end, uids, ends, address, listener, timer)
        self._server.add_listener(listener)
        return self._describe(path)[0]

    def _end(self, path: str) -> None:
        """Close a shared socket and its connections."""
        assert self._server is not None  # noqa: S101 - likewise: something was shared
        ended = self._open.pop(path)
        if ended.timer is not None:
            ended.timer.cancel()
        self._server.remove_listener(ended.listener)
        ended.address.release()
        ended.at_end()

    def _describe(self, path: str) -> list[dict[str, Value]]:
        held = self._open[path]
        more: dict[str, Value] = {"ends": held.ends, "uids": [*held.uids]}
        return [{"socket": path, **facts, **more} for facts in held.facts]


def shut_error(providers: Sequence[Value], *, stored: bool | None) -> Failure:
    """Return the failure for a share whose vault is not open."""
    return Failure(
        "locked",
        "The vault of the shared credential is not open.",
        "`auth unlock` on its host",
        vaults=[*providers],
        stored=stored,
    )


def _bound(path: str, *, for_others: bool) -> SharedAddress:
    """Bind a socket. Raises Failure."""
    try:
        return SharedAddress(path, for_others=for_others)
    except ListenAddressError as error:
        raise Failure("refused", str(error), "name another place with `--at`") from None
