"""The answers to a relay's questions: the credential for one read or one publish.

A read is a fetch with the purpose `install`, by the command of the run. A publish is one with the
purpose `publish`, for the project, file and digest that the relay found in the form; an approval
covers that digest alone. The log has a line before the first byte is sent, and nothing is sent
without it; a second line has the index's answer. What the tool says of itself is in no line.
"""

from __future__ import annotations

import itertools
import re

from tokenward_agent.failure import Failure, KeyDestroyed
from tokenward_agent.prompt.question import shorten
from tokenward_agent.vault.errors import VaultError
from tokenward_agent.wire.request import Request
from tokenward_protocol.messages import VARIABLES

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any, Final, Protocol

    from tokenward_agent.failure import SecretSource
    from tokenward_agent.peer.peer import Peer
    from tokenward_agent.relay.run import RunGrant
    from tokenward_agent.requests.fetch import DescribeGrant
    from tokenward_agent.requests.grants import Grant
    from tokenward_agent.requests.recording import Recorder
    from tokenward_agent.store.vaults import Vaults
    from tokenward_agent.wire.answer import Answer

    Header = dict[str, Any]

    class FetchesForRun(Protocol):
        """Fetches the credentials of a run."""

        async def fetch_for_run(
            self,
            request: Request,
            projects: tuple[str, ...],
            describe_grant: DescribeGrant,
            bounds: tuple[object, ...],
            /,
        ) -> Answer:
            """Return a credential for these projects. Raise Failure."""
            ...


_FACTS: Final = {"project": str, "version": str, "file": str, "size": int, "sha256": str}
"""What a relay says of an upload, and the log keeps."""

_DIGEST: Final = re.compile("[0-9a-f]{64}")
_STATUS: Final = re.compile("[1-9][0-9]{2}|unknown|gone")
_MOST_TEXT: Final = 256


class RunAnswers:
    """Answers the questions of one run's relay; `begun` is the request that began it."""

    def __init__(
        self,
        vaults: Vaults,
        fetch: FetchesForRun,
        recorder: Recorder,
        run: str,
        grants: Sequence[RunGrant],
        peer: Peer,
        begun: Request,
    ) -> None:
        self._vaults = vaults
        self._fetch = fetch
        self._recorder = recorder
        self._run = run
        self._grants = grants
        self._peer = peer
        context = ("tty", "term", *VARIABLES)
        self._screen = {name: value for name in context if (value := begun.text(name))}
        self._sending: dict[tuple[int, str], list[dict[str, object]]] = {}

    async def answer(self, question: Header) -> tuple[Header, SecretSource | None]:
        """Return the answer to one question: a credential, or why there is none."""
        try:
            number, grant = self._grant_of(question)
            if question["ask"] == "read" and not grant.publishes:
                return await self._fetch_for(
                    grant, "install", (), describe_read, ("read", self._run)
                )
            if question["ask"] == "publish" and grant.publishes:
                return await self._publish(question, number, grant)
            raise Failure("bad-request", "The relay asks for what this run may not do.")
        except (Failure, VaultError, KeyDestroyed) as error:
            return _refusal(error, publishes=question["ask"] == "publish"), None

    async def _publish(
        self, question: Header, number: int, grant: RunGrant
    ) -> tuple[Header, SecretSource | None]:
        facts = _facts_of(question)
        project, digest = str(facts["project"]), str(facts["sha256"])
        if project not in grant.projects:
            raise Failure("refused", f"This run may not publish {project}.")

        def describe(_grant: Grant) -> list[str]:
            return [
                f"one upload of {shorten(str(facts['file']))}, version {shorten(str(facts['version']))}",
                f"Size: {facts['size']} bytes",
                f"SHA-256: {digest}",
            ]

        header, secret = await self._fetch_for(
            grant, "publish", (project,), describe, ("publish", self._run, digest)
        )
        said: dict[str, object] = {**facts, **header.pop("facts"), "run": self._run}
        if not self._recorder.record_now("publish", self._peer, said):
            raise Failure(
                "refused",
                "The audit log cannot be written, so nothing was sent.",
                "`auth log --verify`",
            )
        self._sending.setdefault((number, digest), []).append(said)
        return header, secret

    async def _fetch_for(
        self,
        grant: RunGrant,
        purpose: str,
        projects: tuple[str, ...],
        describe: Any,
        bounds: tuple[object, ...],
    ) -> tuple[Header, SecretSource | None]:
        login = grant.login
        arguments: dict[str, str | int | bool] = {
            "service": grant.service,
            "username": login.username,
            "purpose": purpose,
            "attended": True,
            **self._screen,
        }
        if grant.provider:
            arguments["provider"] = grant.provider
        request = made_request(arguments, self._peer)
        answer = await self._fetch.fetch_for_run(request, projects, describe, bounds)
        values = answer.values
        header: Header = {"ok": True, "username": str(values["username"])}
        if purpose == "publish":
            known = ("service", "username", "rule", "consent")
            header["facts"] = {key: values[key] for key in known if values.get(key)}
        return header, answer.secret

    def hear(self, told: Header) -> None:
        """Record what became of an upload."""
        try:
            number, _ = self._grant_of(told)
            facts = _facts_of(told)
            said = self._sending[number, str(facts["sha256"])].pop()
            status = str(told["status"])
        except (Failure, KeyError, IndexError):
            return
        if not _STATUS.fullmatch(status):
            status = "unknown"
        self._recorder.record_now("published", self._peer, {**said, "status": status})

    def end(self) -> None:
        """Record the uploads whose end is not known."""
        for said in itertools.chain(*self._sending.values()):
            self._recorder.record_now("published", self._peer, {**said, "status": "unknown"})
        self._sending.clear()

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


def _facts_of(message: Header) -> dict[str, object]:
    """Return what a message says of an upload, each value checked. Raise Failure."""
    facts: dict[str, object] = {}
    for name, kind in _FACTS.items():
        value = message.get(name)
        if type(value) is not kind or (isinstance(value, str) and len(value) > _MOST_TEXT):
            raise Failure("bad-request", f"The relay does not say the {name} of an upload.")
        facts[name] = value
    if not _DIGEST.fullmatch(str(facts["sha256"])):
        raise Failure("bad-request", "The relay does not say the digest of an upload.")
    return facts


def describe_read(_grant: Grant) -> list[str]:
    """Describe to the user what a run may do with a grant for reading."""
    return ["downloads from there, without the credential itself"]


def _refusal(error: Exception, *, publishes: bool) -> Header:
    """Return a failure as the relay passes it on: maturin hides the text of a 403."""
    text, hint = "the credential cannot be read any more", "`auth unlock`"
    if isinstance(error, Failure):
        text, hint = str(error), error.hint
    elif isinstance(error, VaultError):
        text, hint = error.message, error.hint
    return {
        "ok": False,
        "status": 400 if publishes else 403,
        "text": text.rstrip("."),
        "hint": hint,
    }
