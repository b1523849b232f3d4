"""The requests of `auth exec`: `grant` adds an index to a run, `run` starts its relay.

A connection collects the grants of its run. To read from an index is decided by the policy before
the command starts. `run` makes the certificates, starts the relay and returns its port and the
*capability*, which is worth nothing at any other place. The process that asked becomes the command.

The relay asks for each credential when it needs it (run_answers.py).

A run ends with its command, with its relay, after its lifetime, and with a lock that the user orders.
If an agent was killed, the next one removes the folders of its runs, and records the uploads that
were being sent then as unknown.
"""

from __future__ import annotations

import asyncio
import os
import sys
import weakref
from typing import NamedTuple

from tokenward_agent.audit.unfinished import unfinished_uploads
from tokenward_agent.failure import Failure
from tokenward_agent.peer.peer import Peer, RunPeer
from tokenward_agent.peer.run_command import requester_of_run
from tokenward_agent.relay.run import Endings, OpenRun, RunProcess
from tokenward_agent.requests.dispatch import ChosenFetch
from tokenward_agent.requests.naming import service_of
from tokenward_agent.requests.run_answers import (
    UNKNOWN,
    RunAnswers,
    RunDecision,
    RunGrant,
    describe_read,
    made_request,
)
from tokenward_agent.requests.run_upload import read_listing
from tokenward_agent.store.lookup import candidates
from tokenward_agent.wire.answer import success_answer
from tokenward_os.files import make_private, uid
from tokenward_protocol.index_tokens import split_names
from tokenward_protocol.reach_marks import marks_text
from tokenward_protocol.url_parts import host_and_port

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any, Final

    from tokenward_agent.audit.log import AuditLog
    from tokenward_agent.policy.relay_settings import IndexPaths
    from tokenward_agent.requests.authorization import Authorizer
    from tokenward_agent.requests.capability import RelayStarter
    from tokenward_agent.requests.dispatch import FetchHandler
    from tokenward_agent.requests.fetch import Fetch
    from tokenward_agent.requests.project_detection import ProjectDetector
    from tokenward_agent.requests.recording import Recorder
    from tokenward_agent.store.lookup import StoredRecord
    from tokenward_agent.store.vaults import Vaults
    from tokenward_agent.vault.record import Login
    from tokenward_agent.wire.answer import Answer
    from tokenward_agent.wire.request import Request
    from tokenward_protocol.packing import Value

MOST_RUNS: Final = 32
MOST_GRANTS: Final = 32
"""The most runs of one agent, and the most grants of one run."""

LONGEST: Final = 24 * 60 * 60
"""Seconds after which a run has no relay any more, as its certificates are not valid then."""

_LOOK_SECONDS: Final = 30
"""How often a run's lifetime is compared with the clock that counts sleep."""

_MINTING: Final = (b"_", b"oidc")
"""Where a tool asks PyPI for a token of trusted publishing, with an identity token of its own."""

_LINE_END: Final = ord("\n")
_LINES: Final = 3
"""Line ends in the body of a `run` that names certificates: two are before the proxies."""

_SHOWN: Final = 4
_SHOWN_TEXT: Final = 64
_SHOWN_URL: Final = 256
"""The most projects of a run, and characters of names and URLs, that `auth status` shows."""


class Draft(NamedTuple):
    """One index of a run that has not begun: what the agent knows of it, and what the relay gets.

    `url` is that by which tools name the index.
    """

    grant: RunGrant
    relay: dict[str, Any]
    url: str = ""


class RunRequests:
    """The runs of one agent.

    `fetch` answers before a command starts, and `run_fetch`, which opens no vault, afterwards.
    `address` is the path of the agent's socket. `note_use` is called as before each request of a
    client. `make_own_fetch` returns the fetches of a run's own credential, by its service, user name
    and secret.
    """

    def __init__(
        self,
        vaults: Vaults,
        fetch: Fetch,
        run_fetch: Fetch,
        authorizer: Authorizer,
        detector: ProjectDetector,
        recorder: Recorder,
        starter: RelayStarter,
        address: str,
        note_use: Callable[[str], object],
        make_own_fetch: Callable[[str, str, memoryview], Fetch],
    ) -> None:
        self._vaults = vaults
        self._policy = authorizer.file
        self._fetch = fetch
        self._run_fetch = run_fetch
        self._authorizer = authorizer
        self._detector = detector
        self._recorder = recorder
        self._starter = starter
        self._folder = f"{address}.runs"  # no other agent has this address
        self._note_use = note_use
        self._make_own_fetch = make_own_fetch
        self._drafts: weakref.WeakKeyDictionary[Peer, list[Draft]] = weakref.WeakKeyDictionary()
        self._open: dict[str, OpenRun] = {}
        self._endings = Endings()
        self._commands: dict[str, RunProcess] = {}
        """Those that have not ended, also after their run has: by a lock, or as its relay was killed."""
        self._starting = 0
        self._ends = 0

    def remove_leftovers(self) -> None:
        """Remove the folders of runs whose agent was killed; to be called before any run begins."""
        import shutil  # costs an agent without runs five milliseconds at its start

        shutil.rmtree(self._folder, ignore_errors=True)

    async def settle(self, log: AuditLog) -> None:
        """Record the uploads as unknown that an agent that was killed was sending."""
        own = log.chain.name
        for facts in await asyncio.to_thread(unfinished_uploads, log.files, own):
            self._recorder.record_run("published", "", {**facts, "status": UNKNOWN})

    async def grant(self, request: Request, body: memoryview) -> Answer:
        """Add an index to the run of this connection. Raises Failure.

        `body` is the run's own credential, if it brings one, and then a list of files to publish.
        """
        peer = _peer_of(request)
        drafts = self._drafts.setdefault(peer, [])
        if len(drafts) >= MOST_GRANTS:
            raise Failure("busy", f"A run has at most {MOST_GRANTS} indexes.")
        upload = request.text("upload")
        own, body = self._own_fetch(request, body)
        if upload is None:
            found, draft, answer = await self._grant_read(request, own)
        else:
            listing = bytes(body).decode("ascii", "replace")
            found, draft, answer = await self._grant_publish(request, upload, listing, own)
        record = found.record
        held = draft.grant._replace(trust=record.trust)
        drafts.append(draft._replace(grant=held, url=_url_of(request)))
        return success_answer(
            request.number,
            service=record.service,
            username=record.username,
            provider=found.vault.provider,
            purpose="install" if upload is None else "publish",
            trust=marks_text(record.trust),
            **answer,
        )

    def drafts_of(self, peer: object) -> list[Draft]:
        """Return the indexes that this connection has added."""
        return list(self._drafts.get(peer, ())) if isinstance(peer, Peer) else []

    def take_drafts(self, peer: Peer) -> list[Draft]:
        """Return the indexes that this connection has added, and forget them."""
        return self._drafts.pop(peer, [])

    def _own_fetch(self, request: Request, body: memoryview) -> tuple[Fetch | None, memoryview]:
        """Return the fetches of the run's own credential, None if it brings none, and what follows."""
        bound = request.text("own")
        if request.flag("tool"):
            if bound is not None or request.flag("shared") or request.text("upload") is None:
                raise Failure("bad-request", "The tool's own credential is for publishing alone.")
            # Nothing is stored and nothing is sent of it: the policy judges the publish.
            return self._make_own_fetch(service_of(request), "", memoryview(b"")), body
        if bound is None:
            return None, body
        size = request.count("size") or 0
        fits = 0 < size <= len(body) and not request.flag("shared")
        if not fits or bound not in candidates(service_of(request)):  # it is for what lies below
            raise Failure("bad-request", "The run's own credential is not for this index.")
        try:
            own = self._make_own_fetch(bound, request.text("username") or "", body[:size])
        except ValueError as error:
            raise Failure(
                "bad-request", f"The run's own credential is not valid: {error}."
            ) from None
        return own, body[size:]

    async def _grant_read(
        self, request: Request, own: Fetch | None
    ) -> tuple[StoredRecord, Draft, dict[str, Any]]:
        peer = _peer_as_run(request)
        arguments = {**request.arguments, "purpose": "install"}
        fetch = own or self._fetch
        drafts = self.drafts_of(request.peer)
        published = tuple(name for each in drafts for name in each.grant.projects)
        entry = await fetch.name_entry(made_request(arguments, peer), published)
        if entry is not None:
            arguments["entry"] = entry
        asked = made_request(arguments, peer)
        facts: dict[str, Any] = {}
        decided = None
        if request.flag("shared"):  # decided when it is shared
            found = await fetch.find(asked)
        else:
            found, _, authorization = await fetch.authorize_relay(
                asked, (), ("read",), describe_read
            )
            state = self._authorizer.read_state()
            decided = RunDecision(found.record.login, state, authorization)
            facts = {"rule": authorization.rule, "consent": authorization.consent}
        held = RunGrant(
            *_grant_facts(found, request), publishes=False, decided=decided, entry=entry, own=own
        )
        settings = self._policy.policy.relay.paths_of(found.record.service)
        return found, read_draft(held, request.text("name"), settings), facts

    async def _grant_publish(
        self, request: Request, upload: str, listing: str, own: Fetch | None
    ) -> tuple[StoredRecord, Draft, dict[str, Any]]:
        if upload.rstrip("/") != _place_of(service_of(request))[3].rstrip("/"):
            raise Failure("bad-request", "The path of the upload is not that of its service.")
        projects = await self._projects(request)
        wanted: list[tuple[str, ...] | None] = [(each,) for each in projects]
        wanted = wanted or [None]  # it may publish nothing: any will do
        found, *_ = [await (own or self._fetch).find(request, each) for each in wanted]
        listed = read_listing(listing)
        held = RunGrant(
            *_grant_facts(found, request), publishes=True, projects=projects, listed=listed, own=own
        )
        is_tools = request.flag("tool")
        draft = publish_draft(held, request.text("name"), upload, is_tools=is_tools)
        return found, draft, {"projects": [*projects]}

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
        return (await self._detector.detect(made_request({}, _peer_as_run(request)))).projects

    async def run(self, request: Request, body: memoryview) -> Answer:
        """Start the relay of this connection's run. Raises Failure."""
        if sys.platform != "linux":
            raise Failure(
                "refused", "There is no relay on this system yet.", "`auth exec --env` needs none"
            )
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
        command = RunPeer(process.process, process.is_alive)
        if not command.requester.chain:  # else a later process with its number could be watched
            raise _process_ended()
        now, ends = self._vaults.clock.wall(), self._ends
        name = os.urandom(8).hex()
        grants = tuple(each.grant for each in drafts)
        added = _added_trust(request, body, grants)
        answers = RunAnswers(
            self._run_fetch,
            self._authorizer,
            self._recorder,
            name,
            grants,
            command,
            request,
            self._note_use,
            self._vaults.clock.wall,
            is_bound=bool(added),
        )
        relay = self._starter.make_relay(answers, lambda: self._end(name))
        folder = os.path.join(self._folder, name)
        stderr = process.open_stderr()
        try:
            started = await self._starter.start(
                relay,
                [each.relay for each in drafts],
                body,
                stderr,
                direct=request.text("direct") or "",
                uid=uid(),
                shared=None,
                **added,
            )
            if ends != self._ends:
                raise Failure(
                    "locked", "The agent was locked while the run began.", "`auth unlock`"
                )
            make_private(self._folder)
            make_private(folder)
        except OSError as error:
            relay.kill()
            raise Failure("refused", f"{folder} cannot be made: {error.strerror}.") from None
        except BaseException:
            relay.kill()
            raise
        finally:
            os.close(stderr)
        lifetime = min(request.count("lifetime") or LONGEST, LONGEST)
        facts = _describe(name, command, grants, now, lifetime)
        self._open[name] = OpenRun(relay, folder, facts, answers)
        self._commands[name] = process
        process.watch(lambda: self._end_with_command(name))
        self._look_at(name, self._vaults.clock.boot() + lifetime)
        self._starter.prepare_next()
        return success_answer(
            request.number,
            started.capability,
            port=started.port,
            ca=started.authority,
            folder=folder,
            run=name,
        )

    def without_runs(self, fetch: FetchHandler) -> FetchHandler:
        """Return the fetches, without those of processes that the command of a run started.

        It is no boundary: a process can leave its parents.
        """

        def choose(request: Request) -> tuple[FetchHandler, Request]:
            if self.covers(request.peer):
                raise Failure(
                    "refused",
                    "This process runs behind a relay, where no credential is handed out.",
                    "`auth exec --env` hands them to a command",
                )
            return fetch, request

        return ChosenFetch(choose)

    def covers(self, peer: object) -> bool:
        """Tell whether a peer is the command of a run, or was started by it."""
        if not self._commands or not isinstance(peer, Peer):
            return False
        processes = (each.process for each in self._commands.values())
        commands = {(each.pid, each.started) for each in processes}
        chain = peer.requester.chain
        return any((link.process.pid, link.process.started) in commands for link in chain)

    def overview(self) -> list[Value]:
        """Return what `auth status` shows of the open runs."""
        return [run.facts for run in self._open.values()]

    def _look_at(self, name: str, end: int) -> None:
        """End a run when its time is over; a sleep of the machine counts."""
        run = self._open.get(name)
        if run is None:
            return
        left = end - self._vaults.clock.boot()
        if left <= 0:
            self._end(name, "its time is over")
            return
        loop = asyncio.get_running_loop()
        run.timer = loop.call_later(min(left, _LOOK_SECONDS), self._look_at, name, end)

    def forget(self) -> None:
        """Have every relay forget its credentials, as an automatic lock does."""
        for run in self._open.values():
            run.relay.forget()
            run.answers.forget()

    async def end(self, why: str) -> None:
        """End every run, as a lock that the user orders does, and wait until it has ended."""
        self.end_soon(why)
        await self._endings.wait()

    def end_soon(self, why: str) -> None:
        """End every run without waiting for it."""
        self._ends += 1  # for those that begin just now
        self._starter.end_spare()
        for name in list(self._open):
            self._end(name, why)

    def _end_with_command(self, name: str) -> None:
        self._end(name)
        self._commands.pop(name).close()

    def _end(self, name: str, why: str = "") -> None:
        """End a run, and tell its command `why` if that goes on without it."""
        run = self._open.pop(name, None)
        if run is None:
            return
        if why:
            self._commands[name].tell(f"tokenward: the relay of this run has ended: {why}")
        self._endings.begin(run.end())


def _process_ended() -> Failure:
    return Failure("refused", "The process that asks for this run has ended.")


def _peer_of(request: Request) -> Peer:
    if not isinstance(request.peer, Peer):
        raise Failure("refused", "A run needs a process that the agent can see.")
    return request.peer


def _peer_as_run(request: Request) -> Peer:
    """Return the peer as the command that it is about to become."""
    return _peer_of(request).as_run(request.text("program") or "")


def _added_trust(request: Request, body: memoryview, grants: Sequence[RunGrant]) -> dict[str, Any]:
    """Return what a relay needs to judge what a run's environment names for its indexes.

    That is nothing where it names what the relay goes by anyway: the relay compares certificates and
    proxy, behind the second line of the body, with the marks of each credential.
    """
    proxied = request.text("proxied") or ""
    if not proxied and sum(byte == _LINE_END for byte in body) < _LINES:
        return {}
    marks = [[*each.trust] for each in grants]
    return {"proxied": proxied.split(","), "accepted": marks}


def _grant_facts(found: StoredRecord, request: Request) -> tuple[Login, str, str]:
    """Return the first fields of a RunGrant."""
    return found.record.login, service_of(request), request.text("provider") or ""


def _describe(
    name: str, command: RunPeer, grants: Sequence[RunGrant], now: int, lifetime: int
) -> dict[str, Value]:
    """Return what `auth status` shows of a run."""
    tool = requester_of_run(command.requester).tool
    names = dict.fromkeys(each for grant in grants for each in grant.projects)
    projects: list[Value] = []
    projects += [each[:_SHOWN_TEXT] for each in names][:_SHOWN]
    services = dict.fromkeys(grant.service for grant in grants)
    return {
        "run": name,
        "pid": command.process.pid,
        "program": "" if tool is None else tool.program.name[:_SHOWN_TEXT],
        "started": now,
        "ends": now + lifetime,
        "service": grants[0].service[:_SHOWN_URL],
        "indexes": len(services),
        "projects": projects,
    }


def _url_of(request: Request) -> str:
    """Return the URL by which tools name the index. Raises Failure if it is not of its host."""
    url = request.text("url") or ""
    if url and url.split("/")[:3] != service_of(request).split("/")[:3]:
        raise Failure("bad-request", "The URL of the index is not that of its service.")
    return url


def read_draft(held: RunGrant, name: str | None, settings: IndexPaths) -> Draft:
    """Return the draft of an index that is read; `name` is what users call it. Raises Failure."""
    from tokenward_relay.grants import Grant, read_roots

    scheme, host, port, path = _place_of(held.service)
    floor = _place_of(held.login.service)[3]
    roots = read_roots(path, settings.kind, settings.also_read, floor)
    passes = tuple(_read_path(each)[:-1] for each in settings.passes)  # each ends with a slash
    grant = Grant(name or held.service, scheme, host, port, roots, passes, None, ())
    return Draft(held, grant.as_map())


def publish_draft(
    held: RunGrant, name: str | None, upload: str, *, is_tools: bool = False
) -> Draft:
    """Return the draft of an index whose path `upload` takes uploads. Raises Failure.

    If `is_tools`, they go with the credential that the tool has itself.
    """
    from tokenward_relay.grants import Grant

    scheme, host, port, _ = _place_of(held.service)
    path = _read_path(upload)
    passes = (_MINTING,) if is_tools else ()
    grant = Grant(
        name or held.service, scheme, host, port, (), passes, path, held.projects, is_tools
    )
    return Draft(held, grant.as_map())


def _place_of(service: str) -> tuple[str, str, int, str]:
    """Return a service's scheme, host, port and path. Raises Failure if it is not a URL."""
    scheme, mark, rest = service.partition("://")
    if not mark:
        raise Failure("bad-request", "A run needs the URL of an index.")
    authority, _, path = rest.partition("/")
    host, port = host_and_port(authority)
    usual = 443 if scheme == "https" else 80
    return scheme, host.strip("[]"), int(port or usual), f"/{path}"


def _read_path(path: str) -> tuple[bytes, ...]:
    """Return a path as segments. Raises Failure for one that no request can have."""
    from tokenward_relay.grants import read_path

    try:
        segments: tuple[bytes, ...] = read_path(path)
    except ValueError as error:
        raise Failure("bad-request", f"A run cannot use this path: {error}.") from None
    return segments
