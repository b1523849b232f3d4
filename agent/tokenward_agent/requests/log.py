"""`log`: verify the audit log by what the open vaults know of it.

The agent verifies it itself, in a thread: a client with the keys that this takes could forge a log.
The keys are opened into the arena and wiped after use.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from tokenward_agent.audit.files import FILE_BYTES, FILES
from tokenward_agent.audit.lines import READ_BYTES
from tokenward_agent.audit.verify import KEYS_SIZE, NAMED, AnchoredChain, verify
from tokenward_agent.failure import Failure
from tokenward_agent.requests.overview import fit_names
from tokenward_agent.vault.errors import VaultError
from tokenward_agent.vault.sealing import KEY_SIZE
from tokenward_agent.wire.answer import Answer, success_answer

if TYPE_CHECKING:
    from tokenward_agent.arena import Arena
    from tokenward_agent.audit.log import AuditLog
    from tokenward_agent.audit.verify import VerificationReport
    from tokenward_agent.store.opening import Opening
    from tokenward_agent.store.vaults import Vaults
    from tokenward_agent.vault.body import AuditAnchor
    from tokenward_agent.vault.vault import Vault
    from tokenward_agent.wire.request import Request
    from tokenward_protocol.packing import Value

_MOST_BYTES: Final = 2 * FILE_BYTES + READ_BYTES
_MOST_FILES: Final = 4 * FILES
_STRAYS_BYTES: Final = 2048


class LogRequests:
    """Answers requests about the agent's log."""

    def __init__(self, log: AuditLog, vaults: Vaults, opening: Opening, arena: Arena) -> None:
        self._log, self._vaults, self._opening, self._arena = log, vaults, opening, arena
        self._one = asyncio.Lock()

    async def log(self, request: Request, _body: memoryview) -> Answer:
        """Verify the log."""
        if not request.flag("verify"):
            raise Failure("bad-request", "A `log` request needs `verify`.")
        await self._opening.open_available(None)
        shut = self._vaults.not_open(None)
        if len(shut) == len([v for v in self._vaults.each.values() if v.state != "absent"]) > 0:
            raise self._vaults.not_found_error(None, None)
        async with self._one:
            report, elsewhere = await self._verify()
            strays = fit_names(await asyncio.to_thread(self._log.files.strays), _STRAYS_BYTES)
        problems: list[Value] = [*report.problems[:NAMED]]
        closed: list[Value] = [vault.provider for vault in shut]
        return success_answer(
            request.number,
            folder=self._log.files.folder,
            lines=report.lines,
            vouched=report.anchored,
            unanchored=report.unanchored,
            lost=report.lost + self._log.lost,
            since=report.since,
            gone=report.gone,
            elsewhere=elsewhere,
            strays=strays,
            problems=problems,
            count=len(report.problems),
            closed=closed,
        )

    async def _verify(self) -> tuple[VerificationReport, int]:
        """Return the report, and how many chains of other logs the vaults know."""
        chain = self._log.chain
        entries: dict[str, list[tuple[Vault, AuditAnchor]]] = {}
        elsewhere: set[str] = set()
        for vault in self._vaults.each.values():
            for entry in vault.chains:
                if entry.log == chain.log:
                    entries.setdefault(entry.name, []).append((vault, entry))
                else:
                    elsewhere.add(entry.name)
        live = (chain.name, chain.lines, chain.file)
        room = self._arena.allocate(KEYS_SIZE * (len(entries) + 1))
        try:
            report = await asyncio.to_thread(self._read_and_verify, entries, live, room)
        except VaultError as error:  # locked meanwhile, or the folder is not the user's
            raise Failure(error.code, error.message, error.hint) from None
        finally:
            self._arena.release(room)
        return report, len(elsewhere)

    def _read_and_verify(
        self,
        entries: dict[str, list[tuple[Vault, AuditAnchor]]],
        live: tuple[str, int, int],
        room: memoryview,
    ) -> VerificationReport:
        known = {}
        for at, (name, held) in enumerate(entries.items()):
            keys = room[KEYS_SIZE * at : KEYS_SIZE * (at + 1)]
            vault, first = min(held, key=lambda pair: pair[1].first)
            vault.open_chain(first, keys[:KEY_SIZE])
            last = max((entry for _, entry in held), key=lambda entry: entry.lines)
            ends = live[1:] if name == live[0] else (last.lines, last.file)
            known[name] = AnchoredChain(first.first, keys, *ends)
        if live[0] not in known and self._log.chain.copy_first_key(
            room[-KEYS_SIZE : -KEYS_SIZE + KEY_SIZE]
        ):
            known[live[0]] = AnchoredChain(0, room[-KEYS_SIZE:], *live[1:])
        files = self._log.files
        try:
            numbers = files.numbers()[-_MOST_FILES:]
        except OSError:
            numbers = []
        return verify([(number, files.content(number, _MOST_BYTES)) for number in numbers], known)
