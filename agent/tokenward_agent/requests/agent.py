"""The requests about the agent and what it holds: `hello`, `status`, `list`, `clock`, `stop`."""

from __future__ import annotations

import os

from tokenward_agent.requests.naming import stored_as
from tokenward_agent.requests.overview import page, protections, vault_overview
from tokenward_agent.wire.answer import Answer, done
from tokenward_protocol import VERSION, WIRE_VERSION

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from tokenward_agent.arena import Arena
    from tokenward_agent.audit.log import AuditLog
    from tokenward_agent.harden import Report
    from tokenward_agent.requests.gate import Gate
    from tokenward_agent.requests.sharing import Sharing
    from tokenward_agent.session.auto_lock import AutoLock
    from tokenward_agent.settings import Settings
    from tokenward_agent.store.children import Children
    from tokenward_agent.store.found import Found
    from tokenward_agent.store.opening import Opening
    from tokenward_agent.store.vaults import Vaults
    from tokenward_agent.wire.request import Request
    from tokenward_protocol.index_tokens import IndexToken
    from tokenward_protocol.packing import Value


class AgentRequests:
    """Answers requests about the agent itself."""

    def __init__(
        self,
        settings: Settings,
        report: Report,
        arena: Arena,
        vaults: Vaults,
        opening: Opening,
        auto_lock: AutoLock,
        children: Children,
        log: AuditLog,
        gate: Gate,
        sharing: Sharing,
        stop: Callable[[], object],
    ) -> None:
        self._settings = settings
        self._report = report
        self._arena = arena
        self._vaults = vaults
        self._opening = opening
        self._auto_lock = auto_lock
        self._children = children
        self._log = log
        self._gate = gate
        self._policy = gate.file
        self._sharing = sharing
        self._stop_agent = stop
        self._started = vaults.clock.wall()

    def hello(self, request: Request) -> Answer:
        """Return version, wire version and process; tell whether a newer agent may replace it."""
        return done(
            request.number,
            version=VERSION,
            wire=WIRE_VERSION,
            pid=os.getpid(),
            directory=self._settings.directory,
            replaceable=self.expendable(),
        )

    def expendable(self) -> bool:
        """Tell whether a new agent would have everything this one holds, without a prompt."""
        held = self._vaults.memory.records or self._sharing.overview() or self._gate.holds()
        return not held and all(
            vault.state != "open" or bool(self._opening.unattended(vault))
            for vault in self._vaults.each.values()
        )

    def clock(self, request: Request) -> Answer:
        """Note the time that an index's server reported. Raise Failure."""
        service = stored_as(request)
        ahead = self._children.clocks.saw(service, int(request.arguments["now"]))
        return done(request.number, service=service, ahead=ahead)

    def status(self, request: Request) -> Answer:
        """Return the state of the agent: vaults, log, policy, locks, shares and protections."""
        return done(
            request.number,
            version=VERSION,
            wire=WIRE_VERSION,
            pid=os.getpid(),
            directory=self._settings.directory,
            state=self._settings.state,
            socket=self._settings.address,
            started=self._started,
            locked=self._opening.locked,
            vaults=[
                vault_overview(
                    vault,
                    locked=self._opening.locked,
                    count=len(self._vaults.all_records(vault.provider)),
                    note=self._opening.notes.get(vault.provider),
                    handed=self._opening.handed,
                )
                for vault in self._vaults.each.values()
            ],
            memory=len(self._vaults.memory.records),
            log={
                "folder": self._log.files.folder,
                "lost": self._log.lost,
                "problem": self._log.problem,
            },
            protections=protections(self._report, self._arena),
            policy=self._policy_overview(),
            locks=self._auto_lock.overview(),
            shares=self._sharing.overview(),
        )

    def _policy_overview(self) -> dict[str, Value]:
        self._policy.look(self._vaults.clock.wall())
        return {
            "file": self._policy.path,
            "rules": len(self._policy.policy.rules),
            "problem": self._policy.problem,
        }

    def stop(self, request: Request) -> Answer:
        """End the agent after the answer is sent."""
        self._stop_agent()
        return done(request.number, pid=os.getpid())

    async def list(self, request: Request, _body: memoryview) -> Answer:
        """Return a page of the stored entries, and the vaults that are not open."""
        await self._opening.open_what_opens(None)
        self._policy.look(self._vaults.clock.wall())
        entries, following = page(
            self._vaults.all_records(), request.count("after") or 0, self._seen, self._policy
        )
        closed: list[Value] = [vault.provider for vault in self._vaults.not_open(None)]
        return done(request.number, entries=entries, next=following, closed=closed)

    def _seen(self, found: Found) -> IndexToken | None:
        """Return what is visible of an entry's token, None if reading it would need a keyring."""
        return None if found.record.adopted is not None else self._children.seen(found.sealed())
