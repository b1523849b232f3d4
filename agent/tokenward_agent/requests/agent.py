"""The requests about the agent and what it holds: `hello`, `status`, `list`, `clock`, `stop`."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, NamedTuple

from tokenward_agent.requests.naming import stored_service
from tokenward_agent.requests.overview import describe_vault, page_of_entries
from tokenward_agent.wire.answer import Answer, success_answer
from tokenward_protocol import VERSION, WIRE_VERSION

if TYPE_CHECKING:
    from collections.abc import Callable

    from tokenward_agent.audit.log import AuditLog
    from tokenward_agent.requests.authorization import Authorizer
    from tokenward_agent.session.auto_lock import AutoLock
    from tokenward_agent.settings import Settings
    from tokenward_agent.store.derived_tokens import DerivedTokens
    from tokenward_agent.store.lookup import StoredRecord
    from tokenward_agent.store.made_secrets import MadeSecrets
    from tokenward_agent.store.opening import Opening
    from tokenward_agent.store.vaults import Vaults
    from tokenward_agent.wire.request import Request
    from tokenward_protocol.index_tokens import IndexToken
    from tokenward_protocol.packing import Value


class Uses(NamedTuple):
    """What is open: `overview` returns the shares and runs, for `status`.

    `need_this_agent` tells whether one is open that the next agent would not open.
    """

    overview: Callable[[], dict[str, Value]]
    need_this_agent: Callable[[], bool]


class AgentRequests:
    """Answers requests about the agent itself.

    `protections` returns those in force.
    """

    def __init__(
        self,
        settings: Settings,
        protections: Callable[[], dict[str, Value]],
        vaults: Vaults,
        opening: Opening,
        auto_lock: AutoLock,
        made: MadeSecrets,
        derived_tokens: DerivedTokens,
        log: AuditLog,
        authorizer: Authorizer,
        uses: Uses,
        stop: Callable[[], object],
    ) -> None:
        self._settings, self._protections, self._vaults = settings, protections, vaults
        self._opening, self._auto_lock, self._made = opening, auto_lock, made
        self._derived_tokens = derived_tokens
        self._log, self._authorizer = log, authorizer
        self._policy = authorizer.file
        self._uses = uses
        self._stop_agent = stop
        self._started = vaults.clock.wall()

    def hello(self, request: Request) -> Answer:
        """Return version, wire version and process; tell whether a newer agent may replace it."""
        return success_answer(
            request.number,
            version=VERSION,
            wire=WIRE_VERSION,
            pid=os.getpid(),
            directory=self._settings.directory,
            replaceable=self.is_expendable(),
        )

    def is_expendable(self) -> bool:
        """Tell whether a new agent would have everything this one holds, without a prompt."""
        held = (
            self._vaults.memory.records
            or self._made.has_attended
            or self._uses.need_this_agent()
            or self._authorizer.has_state()
        )
        return not held and all(
            vault.state != "open" or bool(self._opening.unattended_slots(vault))
            for vault in self._vaults.each.values()
        )

    def clock(self, request: Request) -> Answer:
        """Note the time that an index's server reported. Raises Failure."""
        service = stored_service(request)
        ahead = self._derived_tokens.clocks.record(service, int(request.arguments["now"]))
        return success_answer(request.number, service=service, ahead=ahead)

    def status(self, request: Request) -> Answer:
        """Return the state of the agent: vaults, log, policy, locks, shares, runs, protections."""
        uses = self._uses.overview()
        return success_answer(
            request.number,
            None,
            version=VERSION,
            wire=WIRE_VERSION,
            pid=os.getpid(),
            directory=self._settings.directory,
            state=self._settings.state,
            socket=self._settings.address or self._settings.socket,
            started=self._started,
            locked=self._opening.is_locked,
            vaults=[
                describe_vault(
                    vault,
                    locked=self._opening.is_locked,
                    count=len(self._vaults.all_records(vault.provider)),
                    note=self._opening.notes.get(vault.provider),
                    handed=self._opening.has_service_passphrase,
                )
                for vault in self._vaults.each.values()
            ],
            memory=len(self._vaults.memory.records),
            commands=self._made.status(),
            log={
                "folder": self._log.files.folder,
                "lost": self._log.lost,
                "problem": self._log.problem,
            },
            protections=self._protections(),
            policy=self._policy_overview(),
            locks=self._auto_lock.overview(),
            shares=uses["shares"],
            runs=uses["runs"],
        )

    def _policy_overview(self) -> dict[str, Value]:
        self._policy.reload(self._vaults.clock.wall())
        return {
            "file": self._policy.path,
            "rules": len(self._policy.policy.rules),
            "problem": self._policy.problem,
        }

    def stop(self, request: Request) -> Answer:
        """End the agent after the answer is sent."""
        self._stop_agent()
        return success_answer(request.number, pid=os.getpid())

    async def list(self, request: Request, _body: memoryview) -> Answer:
        """Return a page of the stored entries, and the vaults that are not open."""
        await self._opening.open_available(None)
        self._policy.reload(self._vaults.clock.wall())
        entries, following = page_of_entries(
            self._vaults.all_records(),
            request.count("after") or 0,
            self._read_token,
            self._policy,
            self._made.overview,
        )
        closed: list[Value] = [vault.provider for vault in self._vaults.not_open(None)]
        return success_answer(request.number, entries=entries, next=following, closed=closed)

    def _read_token(self, found: StoredRecord) -> IndexToken | None:
        """Return what is visible of an entry's token, None if reading it would need a keyring."""
        return (
            None
            if found.record.adopted is not None
            else self._derived_tokens.read_token(found.secret())
        )
