"""The requests about relay shares: `share` with `relay`, and what such a socket answers.

A relay share is for a container, a job or another host whose commands use credentials and never hold
one. A connection adds the indexes (`grant`, runs.py), then `share` opens the socket. The policy, and
the user if it says `ask`, decide then, on each index; the prompt says that others use it, where, and
how long. What the policy says later can only end or refuse (share_answers.py). Uploads of projects
that need different tokens of one index are a part of the share for each token. The indexes of a
declared share (declared_shares.py) are found anew for each run.

At the socket there are three requests besides `hello`, and no credential:

- `run` starts a relay for this connection, with a capability of its own. It ends with the connection.
- `stream`, with that capability, hands its connection to that relay: what a tool sends and receives
  does not pass through the agent.
- `stream` with `notices` does so for what the relay has to tell.
"""

from __future__ import annotations

import asyncio
import os
import re
import socket
from typing import NamedTuple

from tokenward_agent.failure import Failure
from tokenward_agent.peer.peer import Peer, RunPeer
from tokenward_agent.prompt.question import shorten
from tokenward_agent.relay.run import Endings, end_relay
from tokenward_agent.requests.access_request import AccessRequest
from tokenward_agent.requests.capability import digest_of
from tokenward_agent.requests.grants import replaced_error
from tokenward_agent.requests.run_answers import RunAnswers, RunDecision, request_for, screen_of
from tokenward_agent.requests.share_answers import Share, greet
from tokenward_agent.requests.share_request import read_share_request
from tokenward_agent.wire.answer import CLOSE, KEEP, success_answer
from tokenward_protocol.messages import OPS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import Final, NoReturn

    from tokenward_agent.relay.process import RelayProcess
    from tokenward_agent.requests.authorization import Authorization, Authorizer
    from tokenward_agent.requests.capability import RelayStarter
    from tokenward_agent.requests.dispatch import AsyncHandler, SyncHandler
    from tokenward_agent.requests.fetch import DescribeGrant, Fetch, MakeRunDelivery
    from tokenward_agent.requests.recording import Recorder
    from tokenward_agent.requests.run_answers import RunGrant
    from tokenward_agent.requests.runs import Draft, RunRequests
    from tokenward_agent.requests.share_request import ShareRequest
    from tokenward_agent.requests.sharing import ShareRequests
    from tokenward_agent.store.vaults import Vaults
    from tokenward_agent.vault.record import Login, Record
    from tokenward_agent.wire.answer import Answer
    from tokenward_agent.wire.listener import Dispatch
    from tokenward_agent.wire.request import Request
    from tokenward_protocol.packing import Value

    MakeDispatch = Callable[[str, Mapping[str, SyncHandler], Mapping[str, AsyncHandler]], Dispatch]

MOST_RUNS: Final = 16
"""The most runs of one relay share: fewer than its connections, so that tools get some, too."""

_TUNNEL: Final = re.compile(r"[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?:[1-9][0-9]{0,4}")


class RelayShares:
    """The relay shares of one agent.

    `make_fetch` returns the fetches for a share, `recorder` is for what happens at a path, and
    `dispatch` makes the dispatch of a path.
    """

    def __init__(
        self,
        vaults: Vaults,
        authorizer: Authorizer,
        fetch: Fetch,
        shares: ShareRequests,
        runs: RunRequests,
        make_fetch: Callable[[Share], Fetch],
        recorder: Callable[[str], Recorder],
        dispatch: MakeDispatch,
        starter: RelayStarter,
    ) -> None:
        self._vaults = vaults
        self._authorizer = authorizer
        self._policy = authorizer.file
        self._fetch = fetch
        self._shares = shares
        self._runs = runs
        self._make_fetch = make_fetch
        self._recorder = recorder
        self._dispatch = dispatch
        self._starter = starter
        self._open: set[_RelayShare] = set()
        self._endings = Endings()

    async def share(self, request: Request, body: memoryview) -> Answer:
        """Open a share of either kind. Raises Failure."""
        if not request.flag("relay"):
            return await self._shares.share(request, body)
        share_request = read_share_request(request)
        tunnels = _read_tunnels(request)
        peer = request.peer
        drafts = self._runs.drafts_of(peer)
        if not isinstance(peer, Peer) or not drafts:
            raise Failure("bad-request", "A relay share needs an index: `grant` names one.")
        path = self._shares.place(share_request)
        self._shares.require_room(path)
        indexes: list[SharedIndex] = []
        for draft in drafts:
            parts: list[Share] = []
            held = draft.grant
            for login, projects in await self._logins(held, peer, request):
                part, decision = await self._part(
                    draft.grant._replace(login=login, projects=projects),
                    *(peer, request, share_request, path, tunnels),
                )
                parts.append(part)
                held = held._replace(decided=decision)
            indexes.append(SharedIndex(draft._replace(grant=held), tuple(parts)))
        described = self.open(
            path,
            tuple(part for each in indexes for part in each.parts),
            share_request,
            _facts_of(indexes, tunnels),
            index_list([each.draft for each in indexes]),
            lambda: indexes,
            tunnels,
        )
        self._runs.take_drafts(
            peer
        )  # not before: a share that needs an approval is asked for again
        return success_answer(request.number, None, **described)

    def open(
        self,
        path: str,
        parts: tuple[Share, ...],
        share_request: ShareRequest,
        facts: Sequence[Mapping[str, Value]],
        listed: list[Value],
        find_indexes: Callable[[], Sequence[SharedIndex]],
        tunnels: tuple[str, ...],
    ) -> dict[str, Value]:
        """Open the socket of a relay share; return what is said of its first service. Raises Failure.

        `listed` is what its near end is told of its indexes; `find_indexes` returns them for a run.
        """
        share = _RelayShare(self, path, listed, find_indexes, tunnels)

        def end() -> None:
            self._open.discard(share)
            share.end()

        described = self._shares.open(
            path,
            parts,
            share_request,
            facts,
            self._dispatch(path, *share.handlers()),
            end,
            share.end_run_of,
        )
        self._open.add(share)
        return described

    async def _logins(
        self, held: RunGrant, peer: Peer, request: Request
    ) -> list[tuple[Login, tuple[str, ...]]]:
        """Return the logins that answer for an index, each with the projects that it publishes.

        Each project is published with the narrowest token that covers it. Raises Failure.
        """
        if not held.publishes:
            return [(held.login, ())]
        asked = request_for(held, peer, screen_of(request), attended=request.flag("attended"))
        found: dict[Login, tuple[str, ...]] = {}
        for project in held.projects:
            login = (await self._fetch.find(asked, (project,))).record.login
            found[login] = (*found.get(login, ()), project)
        return [*found.items()]

    async def _part(
        self,
        held: RunGrant,
        peer: Peer,
        request: Request,
        share_request: ShareRequest,
        path: str,
        tunnels: tuple[str, ...],
    ) -> tuple[Share, RunDecision]:
        """Return one part of a share, once the policy allows it, and why. Raises Failure."""
        attended = request.flag("attended")
        asked = request_for(held, peer, screen_of(request), attended=attended)
        lifetime = share_request.lifetime
        bounds = ("relay share", path, share_request.uids, lifetime, tunnels, held.publishes)
        found, delivery, authorization = await self._fetch.authorize_relay(
            asked, held.projects, bounds, _describer(held, share_request, path, tunnels)
        )
        if found.record.login != held.login:
            raise replaced_error()
        decided = RunDecision(found.record.login, self._authorizer.read_state(), authorization)
        share = Share(
            path,
            delivery.grant_under(authorization.terms),
            held.service,
            held.projects,
            found.vault.provider,
            None if lifetime is None else self._vaults.clock.boot() + lifetime,
            AccessRequest(asked, found.record, held.projects).policy_input,
            None if authorization.consent is None else self._policy.changes,
        )
        return share, decided

    async def start(
        self, share: _RelayShare, request: Request, name: str, ended: Callable[[], None]
    ) -> tuple[_SharedRun, Answer]:
        """Start a relay for the connection of a request; `ended` is called when it has ended."""
        from tokenward_agent.relay.certificates import HOURS

        port, peer = request.count("port") or 0, request.peer
        if not 0 < port < 1 << 16 or not isinstance(peer, Peer):
            raise Failure("bad-request", "A run at a share needs the port of its near end.")
        indexes = share.find_indexes()
        parts = tuple(part for index in indexes for part in index.parts)
        for part in parts:
            self._shares.require_usable(part)
        grants = tuple(each.draft.grant for each in indexes)
        fetches = _SharedFetch(indexes, self._make_fetch, self._shares.require_usable)
        recorder = self._recorder(share.path)
        chain = peer.requester.chain  # what asked for the run becomes its command
        command = RunPeer(chain[0].process, lambda: True) if chain else peer
        answers = RunAnswers(
            fetches,
            self._authorizer,
            recorder,
            name,
            grants,
            command,
            request,
            lambda _op: None,  # what others do keeps no vault open
            self._vaults.clock.wall,
        )
        relay = self._starter.make_relay(answers, ended)
        silent = os.open(os.devnull, os.O_WRONLY)
        try:
            started = await self._starter.start(
                relay,
                [each.draft.relay for each in indexes],
                b"\n\n",
                silent,
                direct="",
                uid=0,
                shared={"port": port, "tunnels": [*share.tunnels]},
            )
        finally:
            os.close(silent)
        answer = success_answer(
            request.number,
            started.capability,
            run=name,
            ca=started.authority,
            indexes=share.listed,
            tunnels=[*share.tunnels],
        )
        answer.then = KEEP
        timer = asyncio.get_running_loop().call_later(HOURS * 3600, ended)
        return _SharedRun(relay, answers, peer, started.digest, timer, parts), answer

    def end_run(self, run: _SharedRun) -> None:
        """End the relay of a run, and hear what it still says."""
        self._endings.begin(end_relay(run.relay, run.answers))

    async def wait_for_ends(self) -> None:
        """Wait until the relays of all runs that were ended are gone."""
        await self._endings.wait()

    def end_finished(self) -> None:
        """End the runs whose credentials are gone; to be called after each change of a vault."""
        for share in self._open:
            share.end_runs(lambda part: bool(self._shares.end_reason(part)))

    def has_runs(self) -> bool:
        """Tell whether a command runs behind a share."""
        return any(share.has_runs() for share in self._open)

    def forget(self) -> None:
        """Have every relay forget its credentials, as an automatic lock does."""
        for share in self._open:
            share.forget()


class SharedIndex(NamedTuple):
    """One index of a run: what the relay gets, and the parts of the share that answer for it."""

    draft: Draft
    parts: tuple[Share, ...]


class _SharedRun(NamedTuple):
    """One run; `peer` is that of its connection, `digest` that of its capability.

    `timer` ends it with its certificates. `parts` are those of the share that it uses.
    """

    relay: RelayProcess
    answers: RunAnswers
    peer: Peer
    digest: bytes
    timer: asyncio.TimerHandle
    parts: tuple[Share, ...]


class _RelayShare:
    """One relay share, and its runs by name, as RelayShares.open has it."""

    def __init__(
        self,
        shares: RelayShares,
        path: str,
        listed: list[Value],
        find_indexes: Callable[[], Sequence[SharedIndex]],
        tunnels: tuple[str, ...],
    ) -> None:
        self.path = path
        self.listed = listed
        self.find_indexes = find_indexes
        self.tunnels = tunnels
        self._shares = shares
        self._runs: dict[str, _SharedRun] = {}
        self._starting: set[Peer] = set()
        self._has_ended = False

    def has_runs(self) -> bool:
        """Tell whether a command runs behind it."""
        return bool(self._runs or self._starting)

    def handlers(self) -> tuple[Mapping[str, SyncHandler], Mapping[str, AsyncHandler]]:
        """Return the quick and the slow handlers of its socket."""
        slow = {"run": self._run, "stream": self._stream}
        refused = dict.fromkeys(OPS.keys() - slow.keys(), _refuse)
        return {**refused, "hello": self._hello, "fetch": _refuse_fetch}, slow

    def _hello(self, request: Request) -> Answer:
        return greet(request, relay=True, indexes=self.listed, tunnels=[*self.tunnels])

    async def _run(self, request: Request, _body: memoryview) -> Answer:
        """Start the relay of this connection. Raises Failure."""
        peer = request.peer
        assert isinstance(peer, Peer)  # noqa: S101 - the listener makes one for each connection
        if peer in self._starting or any(run.peer is peer for run in self._runs.values()):
            raise Failure("bad-request", "This connection has a run already.")
        if len(self._runs) + len(self._starting) >= MOST_RUNS:
            raise Failure(
                "busy", f"This share has {MOST_RUNS} runs already.", "wait until one of them ends"
            )
        name = os.urandom(8).hex()
        self._starting.add(peer)
        try:
            run, answer = await self._shares.start(self, request, name, lambda: self._end(name))
        finally:
            self._starting.discard(peer)
        self._runs[name] = run
        if self._has_ended or peer.descriptor is None:
            self._end(name)
            raise Failure("refused", "This share has ended.", "`auth share` on its host")
        return answer

    async def _stream(self, request: Request, body: memoryview) -> Answer:
        """Hand a connection to the relay whose capability it shows. Raises Failure."""
        digest, peer = digest_of(body), request.peer
        run = next((each for each in self._runs.values() if each.digest == digest), None)
        descriptor = peer.descriptor if isinstance(peer, Peer) else None
        if run is None or descriptor is None:
            raise Failure("refused", "This is not the capability of a run of this share.")
        try:
            purpose = "notices" if request.flag("notices") else "stream"
            await run.relay.pass_connection(purpose, descriptor)
        except OSError:
            raise Failure("refused", "This run has ended.") from None
        answer = success_answer(request.number)
        answer.then = CLOSE  # the relay has it
        return answer

    def forget(self) -> None:
        """Have the relays forget their credentials."""
        for run in self._runs.values():
            run.relay.forget()
            run.answers.forget()

    def end(self) -> None:
        """End all runs, and allow no more."""
        self._has_ended = True
        for name in list(self._runs):
            self._end(name)

    def end_runs(self, is_over: Callable[[Share], bool]) -> None:
        """End the runs of which a part is over."""
        for name, run in list(self._runs.items()):
            if any(map(is_over, run.parts)):
                self._end(name)

    def end_run_of(self, peer: object) -> None:
        """End the run of a connection that was closed."""
        for name, run in list(self._runs.items()):
            if run.peer is peer:
                self._end(name)

    def _end(self, name: str) -> None:
        run = self._runs.pop(name, None)
        if run is None:
            return
        run.timer.cancel()
        self._shares.end_run(run)
        if run.peer.descriptor is not None:
            _hang_up(run.peer.descriptor)


class _SharedFetch:
    """Fetches what a relay asks for, within what was shared."""

    def __init__(
        self,
        indexes: Sequence[SharedIndex],
        make_fetch: Callable[[Share], Fetch],
        require: Callable[[Share], None],
    ) -> None:
        self._parts = {
            (
                "publish" if grant.publishes else "install",
                grant.service,
                grant.login.username,
            ): parts
            for grant, parts in ((each.draft.grant, each.parts) for each in indexes)
        }
        self._make_fetch = make_fetch
        self._require = require

    async def fetch_for_run(
        self,
        request: Request,
        projects: tuple[str, ...],
        describe_grant: DescribeGrant,
        make_delivery: MakeRunDelivery,
        _decided: Callable[[Record], Authorization | None],
    ) -> tuple[Answer, Record, Authorization]:
        """Return a credential for these projects, if the share still allows it. Raises Failure.

        The share decides on each anew.
        """
        named = (request.text("purpose"), request.text("service"), request.text("username"))
        parts = self._parts[named]  # type: ignore[index]  # the agent has made this request
        part = next(each for each in parts if {*projects} <= {*each.projects})
        self._require(part)
        if projects:
            facts = part.policy_input._replace(projects=frozenset(projects))
            part = part._replace(policy_input=facts)
        fetch = self._make_fetch(part)
        return await fetch.fetch_for_run(request, projects, describe_grant, make_delivery)


def index_list(drafts: Sequence[Draft]) -> list[Value]:
    """Return what a run may use: for each index its name, the URLs of both kinds, projects."""
    found: dict[str, dict[str, Value]] = {}
    for draft in drafts:
        name = str(draft.relay["name"])
        index = found.setdefault(name, {"name": name, "install": "", "publish": "", "projects": []})
        index["publish" if draft.grant.publishes else "install"] = draft.url
        if draft.grant.publishes:
            index["projects"] = [*draft.grant.projects]
    return [*found.values()]


def _facts_of(indexes: Sequence[SharedIndex], tunnels: tuple[str, ...]) -> list[dict[str, Value]]:
    """Return what is said of each service of a share."""
    found: dict[str, dict[str, Value]] = {}
    for draft, parts in indexes:
        facts = describe_relay(
            draft.grant.service, parts[0].grant.login.username, draft.grant.projects, tunnels
        )
        found.setdefault(str(draft.relay["name"]), facts)
    return [*found.values()]


def describe_relay(
    service: str, username: str | None, projects: tuple[str, ...], tunnels: tuple[str, ...]
) -> dict[str, Value]:
    """Return what is said of one service of a relay share."""
    return {
        "service": service,
        "username": username,
        "projects": [*projects] or None,
        "whole": False,
        "relay": True,
        "tunnels": [*tunnels] or None,
    }


def _refuse_fetch(_request: Request) -> NoReturn:
    raise Failure(
        "refused",
        "This socket is a relay share: it hands out no credential.",
        "`auth exec -- COMMAND` runs a command behind it",
    )


def refuse_stream(_request: Request) -> NoReturn:
    """Refuse a stream at the agent's own socket. Raises Failure."""
    raise Failure("refused", "Only a relay share takes streams.", "`auth share --relay`")


def _refuse(_request: Request) -> NoReturn:
    raise Failure("refused", "This socket runs commands behind a relay and does nothing else.")


def _hang_up(descriptor: int) -> None:
    """End a connection, of which the server then reads the end."""
    connection = socket.socket(fileno=os.dup(descriptor))
    try:
        connection.shutdown(socket.SHUT_RDWR)
    except OSError:
        pass  # the other side has ended it
    finally:
        connection.close()


def _read_tunnels(request: Request) -> tuple[str, ...]:
    found = tuple(dict.fromkeys((request.text("tunnels") or "").split()))
    if not all(_TUNNEL.fullmatch(each) for each in found):
        raise Failure("bad-request", "A tunnel of a share is a host and a port, as HOST:PORT.")
    return found


def _describer(
    held: RunGrant, share_request: ShareRequest, path: str, tunnels: tuple[str, ...]
) -> DescribeGrant:
    """Return what describes one index of a share to the user."""
    what = "downloads from there"
    if held.publishes:
        what = f"uploads of {shorten(', '.join(held.projects))} without further questions"
    use = f"by which others use the credential, and never hold it, for {what}"
    lines = share_request.describe(use, path)
    if tunnels:
        lines.append(f"Tunnels from there: {shorten(', '.join(tunnels))}")
    return lambda _grant: lines
