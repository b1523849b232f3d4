"""The requests about shared sockets: `share` and `unshare`.

A share is one more socket of the agent, for one credential and for whom a user id admits: a
container, a job, or another host at the end of `ssh -R`. It hands out narrowed tokens, unless the
whole is shared on purpose, and is gone at its end, when it is stopped, and with the agent; nothing
of it is remembered. The way to the other side is ssh's or the container's.
"""

from __future__ import annotations

import asyncio
import os
import secrets
from typing import NamedTuple

from tokenward_agent.asking.peer import Peer
from tokenward_agent.consent.question import spelled
from tokenward_agent.failure import Failure
from tokenward_agent.files import uid
from tokenward_agent.policy.rule import Terms
from tokenward_agent.requests.case import Case
from tokenward_agent.requests.naming import stored_as
from tokenward_agent.requests.narrowing import Wish, narrowed
from tokenward_agent.requests.shared import Share
from tokenward_agent.vault.lifetime import LONGEST
from tokenward_agent.wire.answer import Answer, done
from tokenward_agent.wire.door import Door
from tokenward_agent.wire.local import SharedPlace
from tokenward_agent.wire.place import PlaceError
from tokenward_protocol.index_tokens import LEAST_TTL, names_in

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Final

    from tokenward_agent.requests.fetch import Fetch
    from tokenward_agent.store.children import Children
    from tokenward_agent.store.found import Found
    from tokenward_agent.store.vaults import Vaults
    from tokenward_agent.wire.door import Dispatch
    from tokenward_agent.wire.request import Request
    from tokenward_agent.wire.server import Server
    from tokenward_protocol.packing import Value

MOST_SHARES: Final = 16
MOST_CONNECTIONS: Final = 32
"""Of one share, at a time."""


class _Open(NamedTuple):
    share: Share
    uids: tuple[int, ...]
    ends: int | None  # by the wall clock, for people
    place: SharedPlace
    door: Door
    timer: asyncio.TimerHandle | None


class Sharing:
    """The shares of one agent. `folder` is where they lie unless somebody says otherwise."""

    def __init__(
        self,
        vaults: Vaults,
        children: Children,
        fetch: Fetch,
        dispatch: Callable[[Share], Dispatch],
        folder: str,
    ) -> None:
        self._vaults = vaults
        self._children = children
        self._fetch = fetch
        self._dispatch = dispatch
        self._folder = folder
        self._server: Server | None = None
        self._open: dict[str, _Open] = {}

    def serve(self, server: Server) -> None:
        """Have what is shared from now on served."""
        self._server = server

    async def share(self, request: Request, _body: memoryview) -> Answer:
        """Open a socket that hands out one credential. Raises Failure."""
        projects, whole, lifetime = _projects(request), request.flag("whole"), _lifetime(request)
        if whole and projects:
            raise Failure("bad-request", "What is shared whole is not limited to projects.")
        uids, at = _uids(request), _at(request)
        scope = stored_as(request)
        found = await self._fetch.granted(
            request, projects, lambda _found, _terms: _described(lifetime, whole=whole)
        )
        await self._check(found, projects, whole=whole)
        if len(self._open) >= MOST_SHARES:
            raise Failure("busy", "Too much is shared already.", "`auth share --stop`")
        now = self._vaults.clock.boot()
        share = Share(
            at or f"{self._folder}/share-{secrets.token_hex(8)}.sock",
            found.record.key,
            scope,
            projects,
            whole,
            None if lifetime is None else now + lifetime,
            Case(request, found.record, projects).subject,
        )
        self._begin(share, uids, lifetime)
        return done(request.number, None, **self._told(share.path))

    def unshare(self, request: Request) -> Answer:
        """Close one shared socket, or all. Raises Failure."""
        at = request.text("at")
        if at is not None and at not in self._open:
            raise Failure("not-found", "Nothing is shared there.", "`auth status`")
        stopped: list[Value] = [*(self._open if at is None else [at])]
        for path in stopped:
            self._end(str(path))
        return done(request.number, stopped=stopped)

    def overview(self) -> list[Value]:
        """Describe what is shared."""
        return [self._told(path) for path in self._open]

    def close(self) -> None:
        """End all of it."""
        for path in list(self._open):
            self._end(path)

    async def _check(self, found: Found, projects: tuple[str, ...], *, whole: bool) -> None:
        """Refuse what could never be handed out like this. Raises Failure."""
        record, secret = found.record, await self._fetch.secret(found)
        token = self._children.seen(secret)
        if not whole and (token is None or not token.narrows):
            raise Failure(
                "refused",
                f"What is stored for {record.service} cannot be narrowed: only tokens of PyPI,"
                " TestPyPI and devpi can.",
                "`--whole` shares it as it is",
            )
        asked = Wish(whole, None if whole else LEAST_TTL, projects)
        narrowed(self._children, secret, record, asked, Terms(), self._vaults.clock.wall(), ())

    def _begin(self, share: Share, uids: tuple[int, ...], lifetime: int | None) -> None:
        assert self._server is not None  # noqa: S101 - for the type checkers; nobody asks before
        admitted = {uid(), 0, *uids}
        before = self._open.get(share.path)
        if before is not None and not before.place.still_ours():  # somebody took its socket away
            self._end(share.path)
        try:
            place = SharedPlace(share.path, for_others=bool(uids))
        except PlaceError as error:
            raise Failure("refused", str(error), "name another place by `--at`") from None
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
        """Close a shared socket, and hang up on whoever is there."""
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
            "username": held.share.key[1],
            "projects": [*held.share.projects] or None,
            "whole": held.share.whole,
            "ends": held.ends,
            "uids": [*held.uids],
        }


def _projects(request: Request) -> tuple[str, ...]:
    text = request.text("projects")
    try:
        return () if text is None else names_in(text)
    except ValueError as error:
        raise Failure("bad-request", f"A project cannot be meant: {error}.") from None


def _lifetime(request: Request) -> int | None:
    lifetime = request.count("lifetime")
    if lifetime is not None and not LEAST_TTL <= lifetime <= LONGEST:
        raise Failure("bad-request", "A share lives from a minute to a hundred years.")
    return lifetime


def _uids(request: Request) -> tuple[int, ...]:
    """Return the further user ids that are let in."""
    text = request.text("uids") or ""
    if not all(word.isascii() and word.isdigit() and len(word) < 11 for word in text.split()):
        raise Failure("bad-request", "A user id is a number.")
    return tuple(dict.fromkeys(map(int, text.split())))


def _at(request: Request) -> str | None:
    """Return where the socket is to be."""
    at = request.text("at")
    if at is not None and (not os.path.isabs(at) or "\0" in at):
        raise Failure("bad-request", "The place of a shared socket is an absolute path.")
    return at


def _described(lifetime: int | None, *, whole: bool) -> str:
    """Say what a person agrees to."""
    time = "until it is stopped" if lifetime is None else f"for {spelled(lifetime)}"
    what = "the credential itself" if whole else "narrowed tokens of it"
    return f"a socket that hands out {what} to others, {time}"
