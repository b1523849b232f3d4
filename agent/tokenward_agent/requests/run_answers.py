"""The answers to a relay's questions: the credential for one read or one publish.

A read is a fetch with the purpose `install`, by the command of the run. It was decided before the
command started, and is decided anew when the policy, the keys or the record have changed. A publish
is one with the purpose `publish`, for the project, file and digest that the relay found in the form
(run_upload.py). The log has a line before the first byte is sent, and nothing is sent without it; a
second line has the index's answer, or `unknown`. What the tool says of itself is in no line.

A vault that was locked meanwhile is not opened for a run: its requests are refused until another
request opens it. A lock stops what is being sent, and what came of that is `unknown`.
"""

from __future__ import annotations

import contextlib
import re
import socket
from functools import partial
from typing import NamedTuple

from tokenward_agent.failure import Failure
from tokenward_agent.requests.attenuation import RelayDelivery
from tokenward_agent.requests.dispatch import failure_of
from tokenward_agent.requests.grants import replaced_error
from tokenward_agent.requests.recording import UNDECIDED, describe_peer
from tokenward_agent.requests.run_upload import (
    UploadDelivery,
    UploadFacts,
    UploadQuestions,
    covered_uploads,
    read_upload,
)
from tokenward_agent.store.lookup import locked_meanwhile_error
from tokenward_agent.vault.record import Login  # noqa: TC001 - NamedTuple reads its annotations
from tokenward_agent.wire.request import Request
from tokenward_protocol.messages import VARIABLES

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from typing import Any, Final, Protocol

    from tokenward_agent.failure import SecretSource
    from tokenward_agent.peer.peer import Peer
    from tokenward_agent.requests.authorization import Authorization, Authorizer
    from tokenward_agent.requests.fetch import DescribeGrant, MakeRunDelivery
    from tokenward_agent.requests.grants import Grant
    from tokenward_agent.requests.recording import Recorder
    from tokenward_agent.vault.record import Record
    from tokenward_agent.wire.answer import Answer

    Header = dict[str, Any]

    class FetchesForRun(Protocol):
        """Fetches the credentials of a run: on this host, or of a share."""

        async def fetch_for_run(
            self,
            request: Request,
            projects: tuple[str, ...],
            describe_grant: DescribeGrant,
            make_delivery: MakeRunDelivery,
            decided: Callable[[Record], Authorization | None],
            /,
        ) -> tuple[Answer, Record, Authorization]:
            """Return a credential for these projects, and why. Raises Failure."""
            ...


UNKNOWN: Final = "unknown"
"""The status of an upload whose answer did not arrive: the index may have it."""

NOT_SENT: Final = "not-sent"
"""The status of an upload of which no byte was sent after all."""

_STATUS: Final = re.compile("[1-9][0-9]{2}|unknown|not-sent")


class RunDecision(NamedTuple):
    """A decision on reads: for a `login`, under a `state` of policy and keys."""

    login: Login
    state: tuple[int, int]
    authorization: Authorization


class RunGrant(NamedTuple):
    """One index of a run: the `login` that answered, and how it was named.

    `service` is the key that was asked for, `provider` the vault, "" for any. `projects` are those
    that may be published (normalised), `listed` the files that the command line names. Reads were
    `decided` before the command started, or are None for a share until it is opened; of several
    entries of an account they use the one that is named `entry`. `own` has the run's own credential,
    None for one that is stored. `trust` are the marks that its login named.
    """

    login: Login
    service: str
    provider: str
    publishes: bool
    projects: tuple[str, ...] = ()
    listed: tuple[UploadFacts, ...] = ()
    decided: RunDecision | None = None
    entry: str | None = None
    own: FetchesForRun | None = None
    trust: tuple[bytes, ...] = ()


class _Question:
    """A question that is being answered; closing `hold` ends its prompt."""

    def __init__(self) -> None:
        self.watched, self.hold = socket.socketpair()
        self.is_cancelled = False

    def cancel(self) -> None:
        """End its prompt: the tool has given up, or the run ends."""
        self.is_cancelled = True
        self.hold.close()

    def close(self) -> None:
        self.watched.close()
        self.hold.close()


class _Sending(NamedTuple):
    """An upload that is being sent: what the log says of it and of its requester."""

    who: str
    facts: dict[str, object]


class RunAnswers:
    """Answers the questions of one run's relay.

    `begun` is the request that began the run; `note_use` is called before each answer, as before
    each request of a client. `now` returns the wall time. If the run `is_bound`, its relay trusts what
    each credential was stored with, and no other login of an account answers.
    """

    def __init__(
        self,
        fetch: FetchesForRun,
        authorizer: Authorizer,
        recorder: Recorder,
        run: str,
        grants: Sequence[RunGrant],
        peer: Peer,
        begun: Request,
        note_use: Callable[[str], object],
        now: Callable[[], int],
        *,
        is_bound: bool = False,
    ) -> None:
        self._now = now
        self._is_bound = is_bound
        self._fetch = fetch
        self._authorizer = authorizer
        self._recorder = recorder
        self._run = run
        self._grants = grants
        self._peer = peer
        self._note_use = note_use
        self._screen = screen_of(begun)
        self._decided = {number: each.decided for number, each in enumerate(grants)}
        self._count = UploadQuestions().count
        self._refused: dict[int, str] = {}
        self._open: dict[int, _Question] = {}
        self._sending: dict[int, _Sending] = {}
        self._has_ended = False

    async def answer(self, question: Header) -> tuple[Header, SecretSource | None]:
        """Return the answer to one question: a credential, or why there is none."""
        publishes = question.get("ask") == "publish"
        self._note_use("fetch")
        try:
            number, grant = self._grant_of(question)
            if publishes and grant.publishes:
                with self._open_question(question["id"]) as opened:
                    return await self._publish(question, grant, opened)
            if question.get("ask") == "read" and not grant.publishes:
                return await self._read(number, grant)
            raise Failure("bad-request", "The relay asks for what this run may not do.")
        except Exception as error:  # noqa: BLE001 - every question is answered
            return _refusal(failure_of(error), publishes=publishes), None

    async def _read(self, number: int, grant: RunGrant) -> tuple[Header, SecretSource | None]:
        before = self._decided[number]

        def decided(record: Record) -> Authorization | None:
            state = self._authorizer.read_state()
            holds = before is not None and before[:2] == (record.login, state)
            return before.authorization if before is not None and holds else None

        make = partial(RelayDelivery, bounds=("read", self._run))
        try:
            answer, record, authorization = await self._ask(grant, (), describe_read, make, decided)
        except Failure as failure:
            if self._refused.get(number) != str(failure):  # a tool may read again and again
                self._refused[number] = str(failure)
                self._record_refusal("grant", grant, failure, {"purpose": "install"})
            raise
        self._refused.pop(number, None)
        now = RunDecision(record.login, self._authorizer.read_state(), authorization)
        if before is None or before[:2] != now[:2]:
            self._decided[number] = now
            facts = {"decision": "done", "purpose": "install", **_facts_of(answer, grant)}
            self._recorder.record_run("grant", describe_peer(self._peer), self._with_name(facts))
        more = self._seconds_left(answer)
        return {"ok": True, "username": record.username, **more}, answer.secret

    def _seconds_left(self, answer: Answer) -> Header:
        """Return how long a relay may keep a credential that ends: until the second before."""
        end = answer.values.get("expires")
        return {"seconds": end - self._now() - 1} if isinstance(end, int) else {}

    async def _publish(
        self, question: Header, grant: RunGrant, opened: _Question
    ) -> tuple[Header, SecretSource | None]:
        upload = read_upload(question)
        if upload.project not in grant.projects:
            raise Failure("refused", f"This run may not publish {upload.project}.")
        covered = covered_uploads(upload, grant.listed)
        digests = tuple(sorted(each.sha256 for each in covered))
        make = partial(
            UploadDelivery,
            bounds=("publish", self._run, *digests),
            place=grant.service,
            covered=covered,
            watched=opened.watched.fileno(),
        )

        def describe(_grant: Grant) -> list[str]:
            self._count()
            return []

        try:
            answer, record, _ = await self._ask(grant, (upload.project,), describe, make)
        except Failure as failure:
            given_up = self._given_up(opened)
            self._record_refusal("publish", grant, given_up or failure, upload._asdict())
            raise
        # Nothing was awaited since the decision: what changes it from here on has to be looked for.
        state = self._authorizer.read_state()
        facts = {"decision": "given", **_facts_of(answer, grant), **upload._asdict()}
        sending = _Sending(describe_peer(self._peer), self._with_name(facts))
        if not await self._recorder.record_on_disk("publish", *sending):
            self._record_end(sending, NOT_SENT)
            raise Failure(
                "refused",
                "The audit log cannot be written, so nothing was sent.",
                "`auth status` says why",
            )
        try:
            if given_up := self._given_up(opened):
                raise given_up
            if self._authorizer.read_state() != state:
                raise locked_meanwhile_error()
        except Failure:
            self._record_end(sending, NOT_SENT)
            raise
        self._sending[question["id"]] = sending
        return {"ok": True, "username": record.username}, answer.secret

    async def _ask(
        self,
        grant: RunGrant,
        projects: tuple[str, ...],
        describe: DescribeGrant,
        make_delivery: MakeRunDelivery,
        decided: Callable[[Record], Authorization | None] = lambda _record: None,
    ) -> tuple[Answer, Record, Authorization]:
        request = request_for(grant, self._peer, self._screen, attended=True)
        fetch = grant.own or self._fetch
        found = await fetch.fetch_for_run(request, projects, describe, make_delivery, decided)
        if self._is_bound and found[1].login != grant.login:
            raise replaced_error()
        return found

    @contextlib.contextmanager
    def _open_question(self, number: int) -> Iterator[_Question]:
        if number in self._open or number in self._sending:
            raise Failure("bad-request", "The relay has asked with this number before.")
        self._open[number] = opened = _Question()
        try:
            yield opened
        finally:
            self._open.pop(number, None)
            opened.close()

    def _given_up(self, opened: _Question) -> Failure | None:
        """Return the failure of an upload whose tool has given up or whose run has ended."""
        if not opened.is_cancelled and not self._has_ended:
            return None
        return Failure("refused", "The tool has given up, and nothing was sent.", why="given up")

    def hear(self, told: Header) -> None:
        """Record what became of an upload, or end the question that a tool does not wait for."""
        number, status = told.get("upload"), told.get("status")
        if not isinstance(number, int):
            return
        opened = self._open.get(number)
        if opened is not None:
            opened.cancel()
        sending = self._sending.pop(number, None)
        if sending is not None:
            said = str(status)
            self._record_end(sending, said if _STATUS.fullmatch(said) else UNKNOWN)

    def forget(self) -> None:
        """Record what is being sent as unknown: a lock stops it."""
        for sending in self._sending.values():
            self._record_end(sending, UNKNOWN)
        self._sending.clear()

    def stop(self) -> None:
        """End every open question; nothing more is answered."""
        self._has_ended = True
        for opened in list(self._open.values()):
            opened.cancel()

    def _record_end(self, sending: _Sending, status: str) -> None:
        facts = {key: value for key, value in sending.facts.items() if key != "decision"}
        self._recorder.record_run("published", sending.who, {**facts, "status": status})

    def _record_refusal(
        self, event: str, grant: RunGrant, failure: Failure, facts: Mapping[str, object]
    ) -> None:
        if failure.code in UNDECIDED:
            return
        more = {key: failure.more.get(key) for key in ("rule", "consent", "why")}
        said = {
            "decision": "refused",
            "code": failure.code,
            "service": grant.service,
            "username": grant.login.username,
            **{key: value for key, value in more.items() if value},
            **facts,
        }
        self._recorder.record_run(event, describe_peer(self._peer), self._with_name(said))

    def _with_name(self, facts: Mapping[str, object]) -> dict[str, object]:
        return {**facts, "run": self._run}

    def _grant_of(self, message: Header) -> tuple[int, RunGrant]:
        number = message.get("grant")
        if not isinstance(number, int) or not 0 <= number < len(self._grants):
            raise Failure("bad-request", "The relay names no grant of this run.")
        return number, self._grants[number]


def made_request(arguments: Mapping[str, str | int | bool], peer: Peer) -> Request:
    """Return a fetch that the agent itself makes for the command of a run."""
    request = Request("fetch", 0, "", dict(arguments))
    request.peer = peer
    return request


def screen_of(request: Request) -> dict[str, str]:
    """Return the arguments of a request that say where the user is prompted."""
    known = ("tty", "term", *VARIABLES)
    return {name: value for name in known if (value := request.text(name))}


def request_for(
    grant: RunGrant, peer: Peer, screen: Mapping[str, str], *, attended: bool
) -> Request:
    """Return the fetch that the agent itself makes for one index of a run."""
    arguments: dict[str, str | int | bool] = {
        "service": grant.service,
        "username": grant.login.username,
        "purpose": "publish" if grant.publishes else "install",
        **screen,
    }
    if attended:
        arguments["attended"] = True
    if grant.provider:
        arguments["provider"] = grant.provider
    if grant.entry is not None:
        arguments["entry"] = grant.entry
    return made_request(arguments, peer)


def _facts_of(answer: Answer, grant: RunGrant) -> dict[str, object]:
    """Return what the log says of a credential that is given to a relay, and for which index."""
    known = ("username", "rule", "consent")
    found = {key: answer.values[key] for key in known if answer.values.get(key)}
    return {"service": grant.service, **found}


def describe_read(_grant: Grant) -> list[str]:
    """Describe to the user what a run may do with a grant for reading."""
    return ["downloads from there, without the credential itself"]


def _refusal(failure: Failure, *, publishes: bool) -> Header:
    """Return a failure as the relay passes it on: maturin hides the text of a 403."""
    is_locked = failure.code == "locked"
    status = 502 if failure.code == "internal" else 400 if publishes else 403
    return {
        "ok": False,
        "status": status,
        "text": "the vault is locked" if is_locked else str(failure).rstrip("."),
        "hint": "`auth unlock`" if is_locked else failure.hint,
    }
