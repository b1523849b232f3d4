"""Decide what the audit log records of a request: the requester, the service, the decision.

A fetch that finds nothing is not a decision and leaves no line; neither do requests that only look
(`list`, `status`). For a failed request the line has the code, and the service only if that is a
URL: other text may be a secret in the wrong place. No line holds an argument of a process, the
message of an error, or anything of a body.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from tokenward_agent.audit.lines import encode_json
from tokenward_agent.peer.peer import Peer
from tokenward_agent.requests.naming import names_service, stored_service

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tokenward_agent.audit.log import AuditLog
    from tokenward_agent.store.audit_anchoring import AuditAnchoring
    from tokenward_agent.wire.answer import Answer
    from tokenward_agent.wire.request import Request
    from tokenward_protocol.packing import Value

RECORDED: Final = frozenset(
    {"fetch", "login", "logout", "lock", "unlock", "create", "passphrase", "restore", "stop"}
    | {"share", "unshare", "clock", "grant", "run", "refresh", "check", "revoke"}
)
"""Operations that leave a line."""

UNDECIDED: Final = frozenset(
    {"bad-request", "not-found", "other-directory", "consent", "making", "asker"}
)
"""Codes of failed requests that are not decisions."""

_OF_ANSWER: Final = frozenset(
    {"service", "username", "provider", "projects", "evidence", "narrowed", "expires"}
    | {"replaced", "count", "opened", "generation", "rule", "consent", "ahead"}
    | {"socket", "ends", "whole", "uids", "stopped", "run", "relay", "tunnels", "purpose"}
    | {"state", "revoked"}
)
"""Fields that a line takes from an answer, unless they are empty."""


class Recorder:
    """Writes the lines about one agent's requests, or those of the socket `share`, into its log."""

    def __init__(self, log: AuditLog, audit_anchoring: AuditAnchoring, share: str = "") -> None:
        self._log, self._audit_anchoring, self._share = log, audit_anchoring, share
        self.when_withheld: Callable[[], None] = lambda: None
        """Called where a tool gets nothing that is stored, since a vault is closed or locked."""

    def record_decision(self, request: Request, answer: Answer) -> None:
        """Write the line about a request, before its answer is sent."""
        if request.op == "fetch" and answer.values.get("code") == "locked":
            is_for_tool = not self._share and not request.flag("whole")
            if is_for_tool and answer.values.get("stored") is not False:
                self.when_withheld()
        if request.op not in RECORDED or answer.values.get("code") in UNDECIDED:
            return
        if request.op == "lock" and answer.values["ok"] is True:
            return  # `record_first` has written it
        self._write(request.op, request, _facts_of(request, answer))

    def record_event(self, event: str, **facts: object) -> None:
        """Write a line about an event without a request: the agent starts or ends."""
        self._log.write(event, "", facts)

    def record_run(self, event: str, who: str, facts: Mapping[str, object]) -> bool:
        """Write a line about a run; `who` is that of `describe_peer`. Return False if it failed."""
        share = {"share": self._share} if self._share else {}
        self._log.write(event, who, {**facts, **share})
        self._audit_anchoring.note_line()
        return self._log.problem is None

    async def record_on_disk(self, event: str, who: str, facts: Mapping[str, object]) -> bool:
        """Write a line about a run and wait for the disk; return False if it is not there."""
        return self.record_run(event, who, facts) and await asyncio.to_thread(self._log.sync)

    async def record_first(self, request: Request) -> None:
        """Write a request's line, and have the vaults vouch for it, before the request is obeyed.

        The line says `done`; if the request fails, a second line says so.
        """
        self._write(request.op, request, {"decision": "done"})
        await self._audit_anchoring.anchor_now()

    def _write(self, event: str, request: Request, facts: dict[str, object]) -> None:
        peer, who = request.peer, ""
        if isinstance(peer, Peer):
            who = describe_peer(peer)
            if event == "fetch" and peer.wanted and not self._share:
                facts["purpose"] = peer.wanted
        self.record_run(event, who, facts)


def _facts_of(request: Request, answer: Answer) -> dict[str, object]:
    values = answer.values
    if values["ok"] is not True:
        facts: dict[str, object] = {"decision": "refused", "code": values["code"]}
        service = request.text("service") or request.text("spelling") or ""
        if "://" in service:
            facts["service"] = service
        for key in ("rule", "consent", "why"):
            if values.get(key):
                facts[key] = values[key]
        return facts
    facts = {"decision": "given" if request.op == "fetch" else "done"}
    for key, value in values.items():
        if value and key in _OF_ANSWER:
            facts[key] = value
    if request.op in {"login", "logout", "refresh"} and names_service(request):
        facts["service"] = stored_service(request)
        facts["username"] = request.text("username") or _only_removed(values.get("removed"))
    elif request.op == "passphrase":
        facts["action"] = request.text("action")
    return facts


def describe_peer(peer: Peer) -> str:
    """Return a peer as a line has it."""
    return peer.describe(encode_json)


def _only_removed(removed: Value) -> Value:
    """Return the user name of the one credential that a logout removed, else None."""
    match removed:
        case [{"username": str(name)}]:
            return name
    return None
