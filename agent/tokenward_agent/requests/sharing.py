"""The requests about shared sockets: `share` and `unshare`.

A share is a further socket of the agent, for the credential of one login and for admitted user ids:
for a container, a job, or another host at the end of `ssh -R`. It hands out attenuated tokens,
unless the user shares the whole. share_life.py decides when it ends; the next agent does not open
it again. The path to the other side belongs to ssh or to the container.
"""

from __future__ import annotations

import asyncio
import secrets
from typing import NamedTuple

from tokenward_agent.asking.peer import Peer
from tokenward_agent.failure import Failure
from tokenward_agent.requests.case import Case
from tokenward_agent.requests.naming import stored_as
from tokenward_agent.requests.narrowing import Going
from tokenward_agent.requests.share_wish import share_wish
from tokenward_agent.requests.shared import Share
from tokenward_agent.wire.answer import Answer, done
from tokenward_agent.wire.door import Door
from tokenward_agent.wire.local import SharedPlace
from tokenward_agent.wire.place import PlaceError
from tokenward_os.files import uid

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Final

    from tokenward_agent.policy.rule import Terms
    from tokenward_agent.requests.dispatch import Slow
    from tokenward_agent.requests.fetch import Fetch
    from tokenward_agent.requests.share_life import ShareLife
    from tokenward_agent.store.children import Children, Sealed
    from tokenward_agent.store.vaults import Vaults
    from tokenward_agent.vault.record import Record
    from tokenward_agent.wire.door import Dispatch
    from tokenward_agent.wire.request import Request
    from tokenward_agent.wire.server import Server
    from tokenward_protocol.packing import Value

MOST_SHARES: Final = 16
MOST_CONNECTIONS: Final = 32
"""For each share, at a time."""


class _Open(NamedTuple):
    share: Share
    uids: tuple[int, ...]
    ends: int | None  # wall clock, for display
    place: SharedPlace
    door: Door
    timer: asyncio.TimerHandle | None


class _Shared(Going):
    """What a share may hand out, if one more share fits."""

    instead_of_whole = "leave `--whole` out to share attenuated tokens of it"
    instead_of_narrower = "add `--whole` to share the credential itself"
    require_room: Callable[[], None]

    def require_possible(self, terms: Terms, now: int) -> None:
        """Raise Failure if these terms allow nothing, or one more share does not fit."""
        super().require_possible(terms, now)
        self.require_room()


class Sharing:
    """The shares of one agent; `folder` is where sockets are made unless the request names a path.

    `note` is called with the path and the reason when a share ends without a request.
    """

    def __init__(
        self,
        vaults: Vaults,
        life: ShareLife,
        children: Children,
        fetch: Fetch,
        dispatch: Callable[[Share], Dispatch],
        note: Callable[[str, str], None],
        folder: str,
    ) -> None:
        self._vaults = vaults
        self._life = life
        self._children = children
        self._fetch = fetch
        self._dispatch = dispatch
        self._note = note
        self._folder = folder
        self._server: Server | None = None
        self._open: dict[str, _Open] = {}

    def serve(self, server: Server) -> None:
        """Use this server for the shares that are opened from now on."""
        self._server = server

    async def share(self, request: Request, _body: memoryview) -> Answer:
        """Open a socket that hands out one credential. Raise Failure."""
        asked = share_wish(request)
        path = asked.at or f"{self._folder}/share-{secrets.token_hex(8)}.sock"
        scope = stored_as(request)
        bounds = ("share", path, asked.uids, asked.lifetime)

        def going_of(record: Record, secret: Sealed) -> Going:
            going = _Shared(self._children, record, secret, asked.width, bounds=bounds)
            going.require_room = lambda: self._require_room(path)
            return going

        found, going, passed = await self._fetch.granted(
            request, going_of, lambda grant: asked.described(grant, path)
        )
        projects, lifetime = asked.width.projects, asked.lifetime
        going.require_possible(passed.terms, self._vaults.clock.wall())
        share = Share(
            path,
            going.under(passed.terms),
            scope,
            projects,
            found.vault.provider,
            None if lifetime is None else self._vaults.clock.boot() + lifetime,
            Case(request, found.record, projects).subject,
            None if passed.consent is None else self._life.policy.changes,
        )
        self._begin(share, asked.uids, lifetime)
        return done(request.number, None, **self._told(share.path))

    def _require_room(self, path: str) -> None:
        """Raise Failure if one more share does not fit, or not at this place."""
        if len(self._open) >= MOST_SHARES:
            raise Failure("busy", "Too many shares are open.", "`auth share --stop`")
        place = _bound(path, for_others=False)
        place.listener.close()
        place.release()

    def unshare(self, request: Request) -> Answer:
        """Close one shared socket, or all of them. Raise Failure."""
        at = request.text("at")
        if at is not None and at not in self._open:
            raise Failure("not-found", "No share is at this path.", "`auth status`")
        stopped: list[Value] = [*(self._open if at is None else [at])]
        for path in stopped:
            self._end(str(path))
        return done(request.number, stopped=stopped)

    def overview(self) -> list[Value]:
        """Return descriptions of the shares."""
        return [self._told(path) for path in self._open]

    def close(self) -> None:
        """End all shares."""
        for path in list(self._open):
            self._end(path)

    def end(self, why: str) -> None:
        """End all shares for the reason `why`."""
        for path in list(self._open):
            self._end(path)
            self._note(path, why)

    def telling(self, handler: Slow) -> Slow:
        """Add to a handler's answer the shares that ended meanwhile."""

        async def told(request: Request, body: memoryview) -> Answer:
            before = list(self._open)
            answer = await handler(request, body)
            ended: list[Value] = [path for path in before if path not in self._open]
            return Answer({**answer.values, "stopped": ended}, answer.secret) if ended else answer

        return told

    def look(self) -> None:
        """End the shares that are over; to be called after each change of a vault's state."""
        for path, held in list(self._open.items()):
            if why := self._life.over(held.share):
                self._end(path)
                self._note(path, why)

    def require(self, share: Share) -> None:
        """Raise Failure if a share is over, or its vault is not open."""
        try:
            self._life.require(share)
        except Failure:
            asyncio.get_running_loop().call_soon(self.look)  # it may close this connection
            raise

    def _begin(self, share: Share, uids: tuple[int, ...], lifetime: int | None) -> None:
        assert self._server is not None  # noqa: S101 - for the type checkers; `serve` comes first
        admitted = {uid(), 0, *uids}
        before = self._open.get(share.path)
        if before is not None and not before.place.still_ours():  # its socket file was replaced
            self._end(share.path)
        place = _bound(share.path, for_others=bool(uids))
        door = Door(
            place.listener,
            self._dispatch(share),
            Peer,
            admitted.__contains__,
            MOST_CONNECTIONS,
        )
        ends = timer = None
        if lifetime is not None:
            ends = self._vaults.clock.wall() + lifetime
            timer = asyncio.get_running_loop().call_later(lifetime, self._end, share.path)
        self._open[share.path] = _Open(share, uids, ends, place, door, timer)
        self._server.open(door)

    def _end(self, path: str) -> None:
        """Close a shared socket and its connections."""
        assert self._server is not None  # noqa: S101 - likewise: something was shared
        ended = self._open.pop(path)
        if ended.timer is not None:
            ended.timer.cancel()
        self._server.shut(ended.door)
        ended.place.release()

    def _told(self, path: str) -> dict[str, Value]:
        held = self._open[path]
        return {
            "socket": path,
            "service": held.share.scope,
            "username": held.share.grant.login.username,
            "projects": [*held.share.projects] or None,
            "whole": held.share.grant.whole,
            "ends": held.ends,
            "uids": [*held.uids],
        }


def _bound(path: str, *, for_others: bool) -> SharedPlace:
    """Bind a socket. Raise Failure."""
    try:
        return SharedPlace(path, for_others=for_others)
    except PlaceError as error:
        raise Failure("refused", str(error), "name another place with `--at`") from None
