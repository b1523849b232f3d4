"""The requests of `auth exec`: `grant` adds an index to a run, `run` starts its relay.

A connection collects the grants of its run. To read from an index is decided by the policy before
the command starts. `run` makes the certificates, starts the relay and returns its port and the
*capability*, which is worth nothing at any other place. The process that asked becomes the command.

The relay asks for each credential when it needs it (run_answers.py).
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
import shutil
import weakref
from typing import NamedTuple

from tokenward_agent.failure import Failure
from tokenward_agent.peer.peer import Peer, RunPeer
from tokenward_agent.requests.capability import start_relay
from tokenward_agent.requests.naming import service_of
from tokenward_agent.requests.run_answers import RunAnswers, describe_read, made_request
from tokenward_agent.wire.answer import success_answer
from tokenward_os.files import make_private, uid
from tokenward_protocol.index_tokens import split_names
from tokenward_protocol.url_parts import host_and_port

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, Final

    from tokenward_agent.arena import Arena
    from tokenward_agent.policy.file import PolicyFile
    from tokenward_agent.relay.run import OpenRun, RunGrant, RunProcess
    from tokenward_agent.requests.dispatch import AsyncHandler, FetchHandler
    from tokenward_agent.requests.fetch import Fetch
    from tokenward_agent.requests.project_detection import ProjectDetector
    from tokenward_agent.requests.recording import Recorder
    from tokenward_agent.store.lookup import StoredRecord
    from tokenward_agent.store.memory_records import ProcessKey
    from tokenward_agent.store.vaults import Vaults
    from tokenward_agent.wire.answer import Answer
    from tokenward_agent.wire.request import Request

MOST_RUNS: Final = 32
MOST_GRANTS: Final = 32
"""The most runs of one agent, and the most grants of one run."""


class Draft(NamedTuple):
    """One index of a run that has not begun: what the agent knows of it, and what the relay gets.

    `url` is that by which tools name the index.
    """

    grant: RunGrant
    relay: dict[str, Any]
    url: str = ""


class RunRequests:
    """The runs of one agent; `state` is its state directory, `address` the path of its socket."""

    def __init__(
        self,
        vaults: Vaults,
        policy: PolicyFile,
        fetch: Fetch,
        detector: ProjectDetector,
        recorder: Recorder,
        arena: Arena,
        key: ProcessKey,
        state: str,
        address: str,
    ) -> None:
        self._vaults = vaults
        self._policy = policy
        self._fetch = fetch
        self._detector = detector
        self._recorder = recorder
        self._arena = arena
        self._key = key
        self._state = state
        self._folders = f"{address}.run-"  # no other agent has this address
        self._drafts: weakref.WeakKeyDictionary[Peer, list[Draft]] = weakref.WeakKeyDictionary()
        self._open: dict[str, OpenRun] = {}
        self._commands: dict[str, RunProcess] = {}
        """Those that have not ended, also after their run has: by a lock, or as its relay was killed."""
        self._starting = 0
        self._ends = 0

    def remove_leftovers(self) -> None:
        """Remove the folders of runs whose agent was killed; to be called before any run begins."""
        above, name = os.path.split(self._folders)
        with contextlib.suppress(OSError):
            for each in os.listdir(above):
                if each.startswith(name):
                    shutil.rmtree(os.path.join(above, each), ignore_errors=True)

    async def grant(self, request: Request, _body: memoryview) -> Answer:
        """Add an index to the run of this connection. Raise Failure."""
        peer = _peer_of(request)
        drafts = self._drafts.setdefault(peer, [])
        if len(drafts) >= MOST_GRANTS:
            raise Failure("busy", f"A run has at most {MOST_GRANTS} indexes.")
        upload = request.text("upload")
        if upload is None:
            found, draft, answer = await self._grant_read(request)
        else:
            found, draft, answer = await self._grant_publish(request, upload)
        drafts.append(draft._replace(url=_url_of(request)))
        record = found.record
        return success_answer(
            request.number,
            service=record.service,
            username=record.username,
            provider=found.vault.provider,
            **answer,
        )

    def drafts_of(self, peer: object) -> list[Draft]:
        """Return the indexes that this connection has added."""
        return list(self._drafts.get(peer, ())) if isinstance(peer, Peer) else []

    def take_drafts(self, peer: Peer) -> list[Draft]:
        """Return the indexes that this connection has added, and forget them."""
        return self._drafts.pop(peer, [])

    async def _grant_read(self, request: Request) -> tuple[StoredRecord, Draft, dict[str, Any]]:
        from tokenward_relay.grants import Grant, read_roots

        asked = made_request(
            {**request.arguments, "purpose": "install"}, _peer_of(request).as_run()
        )
        facts: dict[str, Any] = {}
        if request.flag("shared"):  # decided when it is shared
            found = await self._fetch.find(asked)
        else:
            found, authorization = await self._fetch.authorize_run(asked, describe_read)
            facts = {"rule": authorization.rule, "consent": authorization.consent}
        service, scheme, host, port, path = _place(request)
        settings = self._policy.policy.relay.paths_of(found.record.service)
        floor = _place_of(found.record.service)[4]
        grant = Grant(
            request.text("name") or service,
            scheme,
            host,
            port,
            read_roots(path, settings.kind, settings.also_read, floor),
            tuple(_segments(each) for each in settings.passes),
            None,
            (),
        )
        held = self._make_grant(found, request, (), publishes=False)
        return found, Draft(held, grant.as_map()), facts

    async def _grant_publish(
        self, request: Request, upload: str
    ) -> tuple[StoredRecord, Draft, dict[str, Any]]:
        from tokenward_relay.grants import Grant

        found = await self._fetch.find(request)
        service, scheme, host, port, path = _place(request)
        if (upload.rstrip("/") or "") != path.rstrip("/"):
            raise Failure("bad-request", "The path of the upload is not that of its service.")
        projects = await self._projects(request)
        grant = Grant(
            request.text("name") or service,
            scheme,
            host,
            port,
            (),
            (),
            _segments(upload),
            projects,
        )
        held = self._make_grant(found, request, projects, publishes=True)
        return found, Draft(held, grant.as_map()), {"projects": [*projects]}

    async def _projects(self, request: Request) -> tuple[str, ...]:
        """Return the projects that may be published: those named, else those that are certain."""
        named = request.text("projects")
        if named == "":
            return ()  # a run that may publish nothing says so to a tool that tries
        if named is not None:
            try:
                return split_names(named)
            except ValueError as error:
                raise Failure("bad-request", f"The project is not valid: {error}.") from None
        return (await self._detector.detect(made_request({}, _peer_of(request).as_run()))).projects

    @staticmethod
    def _make_grant(
        found: StoredRecord, request: Request, projects: tuple[str, ...], *, publishes: bool
    ) -> RunGrant:
        from tokenward_agent.relay.run import RunGrant

        return RunGrant(
            found.record.login,
            service_of(request),
            request.text("provider") or "",
            projects,
            publishes,
        )

    async def run(self, request: Request, body: memoryview) -> Answer:
        """Start the relay of this connection's run. Raise Failure."""
        from tokenward_agent.relay.run import RunProcess

        peer = _peer_of(request)
        drafts = self.take_drafts(peer)
        if not drafts:
            raise Failure("bad-request", "A run needs an index: `grant` names one.")
        if len(self._commands) + self._starting >= MOST_RUNS:
            raise Failure("busy", "Too many runs are open.", "wait until one of them ends")
        chain = peer.requester.chain
        if not chain:
            raise Failure("refused", "The agent cannot see which process asks for this run.")
        try:
            process = RunProcess(chain[0].process)
        except OSError:
            raise _process_ended() from None
        self._starting += 1
        try:
            return await self._start(request, body, drafts, process)
        except BaseException:
            process.close()
            raise
        finally:
            self._starting -= 1

    async def _start(
        self, request: Request, body: memoryview, drafts: list[Draft], process: RunProcess
    ) -> Answer:
        from tokenward_agent.relay.certificates import HOURS, make_certificates, validity
        from tokenward_agent.relay.process import RelayProcess
        from tokenward_agent.relay.run import OpenRun

        command = RunPeer(process.process, process.is_alive)
        if not command.requester.chain:  # else a later process with its number could be watched
            raise _process_ended()
        settings = self._policy.policy.relay
        now, ends = self._vaults.clock.wall(), self._ends
        hosts = [each.relay["host"] for each in drafts if each.relay["scheme"] == "https"]
        authority, leaves = make_certificates(hosts, now) if hosts else (b"", {})
        name = secrets.token_hex(8)
        grants = tuple(each.grant for each in drafts)
        answers = RunAnswers(
            self._vaults,
            self._fetch,
            self._recorder,
            name,
            grants,
            command,
            request,
        )
        relay = RelayProcess(self._arena, answers.answer, answers.hear, lambda: self._end(name))
        header = {
            "grants": [each.relay for each in drafts],
            "leaves": leaves,
            "ca": settings.ca,
            "proxy": settings.proxy,
            "direct": request.text("direct") or "",
            "spool": self._state,
            "uid": uid(),
            "shared": None,
            "valid": validity(now),
        }
        folder = self._folders + name
        stderr = process.open_stderr()
        try:
            started = await start_relay(relay, header, body, stderr, self._arena, self._key)
            if ends != self._ends:
                raise Failure(
                    "locked", "The agent was locked while the run began.", "`auth unlock`"
                )
            make_private(folder)
        except OSError as error:
            relay.end()
            raise Failure("refused", f"{folder} cannot be made: {error.strerror}.") from None
        except BaseException:
            relay.end()
            raise
        finally:
            os.close(stderr)
        over = asyncio.get_running_loop().call_later(HOURS * 3600, self._end, name)
        self._open[name] = OpenRun(relay, folder, over, answers.end)
        self._commands[name] = process
        process.watch(lambda: self._end_with_command(name))
        return success_answer(
            request.number,
            started.capability,
            port=started.port,
            ca=authority.decode("ascii"),
            folder=folder,
            run=name,
        )

    def with_ended_runs(self, handler: AsyncHandler) -> AsyncHandler:
        """Return a handler that ends every run first: a lock that the user orders."""

        async def end_and_handle(request: Request, body: memoryview) -> Answer:
            self.end()
            await asyncio.sleep(0)  # their relays are killed in this moment
            return await handler(request, body)

        return end_and_handle

    def without_runs(self, fetch: FetchHandler) -> FetchHandler:
        """Return the fetches, without those of processes that the command of a run started."""
        return _OutsideRuns(fetch, self._covers)

    def _covers(self, peer: object) -> bool:
        """Tell whether a peer is the command of a run, or was started by it."""
        if not self._commands or not isinstance(peer, Peer):
            return False
        processes = (each.process for each in self._commands.values())
        commands = {(each.pid, each.started) for each in processes}
        chain = peer.requester.chain
        return any((link.process.pid, link.process.started) in commands for link in chain)

    @property
    def count(self) -> int:
        """How many runs are open."""
        return len(self._open)

    def forget(self) -> None:
        """Have every relay forget its credentials, as an automatic lock does."""
        for run in self._open.values():
            run.relay.forget()

    def end(self) -> None:
        """End every run, as a lock that the user orders does."""
        self._ends += 1  # for those that begin just now
        for name in list(self._open):
            self._end(name)

    def _end_with_command(self, name: str) -> None:
        self._end(name)
        self._commands.pop(name).close()

    def _end(self, name: str) -> None:
        run = self._open.pop(name, None)
        if run is not None:
            run.end()


class _OutsideRuns:
    """Fetches, refused to a peer that `covers` tells to be within a run, or what is left of one.

    It is no boundary: a process can leave its parents.
    """

    def __init__(self, fetch: FetchHandler, covers: Callable[[object], bool]) -> None:
        self._fetch = fetch
        self._covers = covers

    def try_fetch(self, request: Request) -> Answer | None:
        """Answer at once; return None if the fetch has to wait. Raise Failure."""
        self._require_outside(request)
        return self._fetch.try_fetch(request)

    async def fetch(self, request: Request, body: memoryview) -> Answer:
        """Answer after waiting. Raise Failure."""
        self._require_outside(request)
        return await self._fetch.fetch(request, body)

    def _require_outside(self, request: Request) -> None:
        if self._covers(request.peer):
            raise Failure(
                "refused",
                "This process runs behind a relay, where no credential is handed out.",
                "`auth exec --env` hands them to a command",
            )


def _process_ended() -> Failure:
    return Failure("refused", "The process that asks for this run has ended.")


def _peer_of(request: Request) -> Peer:
    if not isinstance(request.peer, Peer):
        raise Failure("refused", "A run needs a process that the agent can see.")
    return request.peer


def _url_of(request: Request) -> str:
    """Return the URL by which tools name the index. Raise Failure if it is not of its host."""
    url = request.text("url") or ""
    if url and url.split("/")[:3] != service_of(request).split("/")[:3]:
        raise Failure("bad-request", "The URL of the index is not that of its service.")
    return url


def _place(request: Request) -> tuple[str, str, str, int, str]:
    return _place_of(service_of(request))


def _place_of(service: str) -> tuple[str, str, str, int, str]:
    """Return a service's key, scheme, host, port and path. Raise Failure if it is not a URL."""
    scheme, mark, rest = service.partition("://")
    if not mark:
        raise Failure("bad-request", "A run needs the URL of an index.")
    authority, _, path = rest.partition("/")
    host, port = host_and_port(authority)
    usual = 443 if scheme == "https" else 80
    return service, scheme, host.strip("[]"), int(port or usual), f"/{path}"


def _segments(path: str) -> tuple[bytes, ...]:
    from tokenward_relay.target import parse_target

    return parse_target(path.encode("ascii")).segments
