"""The audit log of one agent: a line for each decision, written before it takes effect.

Nothing waits for the disk: a line that cannot be written stops no request, `problem` says so, and
the next line that can be written says how many are missing. An agent's first line in a file names
the file, the oldest file that is kept, and the line before it. So files can be neither exchanged
nor removed unnoticed; and once another agent has begun, the last lines of an agent that was killed
cannot be cut off unnoticed.
"""

from __future__ import annotations

import errno
import functools
import hashlib
import os
from socket import gethostname
from typing import TYPE_CHECKING, Final

from tokenward_agent.audit.chain import Chain
from tokenward_agent.audit.files import FILE_BYTES, FILES, LogFiles
from tokenward_agent.audit.lines import complete_line, format_line, read_line, timestamp
from tokenward_agent.vault.body import CHAINS, NAME_DIGITS
from tokenward_agent.vault.errors import VaultError
from tokenward_os.files import SETTINGS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tokenward_agent.arena import Arena
    from tokenward_agent.audit.chain import Mark
    from tokenward_agent.clock import Clock
    from tokenward_agent.vault.body import AuditAnchor, MakeAnchors
    from tokenward_agent.vault.sealing import Buffer

FILE_CHAINS: Final = 32
"""The most agents that begin in one file: so a vault need not know more chains than it may."""

LOG_CHAINS: Final = (FILES + 1) * FILE_CHAINS  # the most chains in the files of one log
_BEGINS: Final = b'","n":1,'


_MACHINE_IDS = ("/etc/machine-id", "/var/lib/dbus/machine-id")  # machine-id(5)


class AuditLog:
    """The log in the state folder `state`. Creating the object does not touch the disk."""

    def __init__(self, state: str, arena: Arena, clock: Clock) -> None:
        self.files = LogFiles(os.path.join(state, "audit"))
        self.chain = Chain(arena, log_name(state))
        self.lost = 0  # lines that could not be written since the last that was
        self.problem: str | None = None
        """Why lines cannot be written, as a sentence; None if they can."""
        self._clock = clock
        self._entering: dict[str, object] | None = None  # `file` of the first line in a file
        self._wall, self._time = -1, ""
        self._torn = False  # the file ends within a line, which the next line reports

    def write(self, event: str, who: str, fields: Mapping[str, object]) -> None:
        """Write a line about an event; `who` is a JSON object or "". A failure is counted."""
        try:
            self._write(event, who, fields)
        except (OSError, MemoryError) as error:
            self.lost += 1
            reason = os.strerror(getattr(error, "errno", None) or errno.ENOMEM)
            self.problem = f"The audit log in {self.files.folder} cannot be written: {reason}."
        except VaultError as error:  # it is about the folder
            self.lost += 1
            self.problem = f"The audit log cannot be written: {error.message}"
        else:
            self.lost, self.problem = 0, None

    def _write(self, event: str, who: str, fields: Mapping[str, object]) -> None:
        chain, files = self.chain, self.files
        if not files.is_usable:
            self._continue_file(files.open_last())
        if files.size >= FILE_BYTES:
            self._begin_file()
        extra: dict[str, object] = {}  # about the log itself
        if self._entering is not None:
            extra["file"] = self._entering
        if self.lost:
            extra["lost"] = self.lost
        if self._torn:
            extra["torn"] = True
        line = format_line(chain.name, chain.lines + 1, self._now(), event, who, fields, extra)
        mac = chain.sign(line)
        data = b"\n" + complete_line(line, mac) if self._torn else complete_line(line, mac)
        short = len(data) - files.append(data)
        self._torn = short > 0
        if short > 1:  # one byte short: only the line end is missing, which the next line brings
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        chain.advance(mac, files.number)
        if self._entering is not None:
            self._entering = None
            files.remove_before(files.number - FILES + 1)

    def sync(self) -> bool:
        """Wait until the last line is on the disk; return False if it cannot be."""
        try:
            self.files.sync()
        except (OSError, VaultError):
            return False
        return self.problem is None

    def _now(self) -> str:
        """Return the current time in the form of a line, computed once a second."""
        wall = self._clock.wall()
        if wall != self._wall:
            self._wall, self._time = wall, timestamp(wall)
        return self._time

    def _continue_file(self, end: bytes) -> None:
        """Go on behind the existing lines of the file, whose end is `end`."""
        lines = end.split(b"\n")
        self._torn = bool(lines[-1])
        whole_lines = [line for line in lines[:-1] if line]
        at = self.files.number
        if not end:  # an agent began it and found the disk full
            at -= 1
            whole_lines = self.files.content(at, 2 * FILE_BYTES).splitlines()
        last = read_line(whole_lines[-1], at, 0) if whole_lines else None
        after = None if last is None else [last.file, last.chain, last.n, last.mac.hex()]
        self._warn(after)
        if sum(_BEGINS in line[:48] for line in whole_lines) >= FILE_CHAINS:
            self._begin_file()

    def _begin_file(self) -> None:
        """Begin a new file."""
        entering, number = self._entering, self.files.number
        self.files.open_next()
        after: object = None if entering is None else entering["after"]
        if self.chain.lines and self.chain.file == number:
            after = [number, self.chain.name, self.chain.lines, self.chain.mac.hex()]
        self._warn(after)

    def _warn(self, after: object) -> None:
        number = self.files.number
        self._entering = {
            "number": number,
            "before": self.chain.file,
            "kept": max(number - FILES + 1, 1),
            "after": after,
        }

    def make_anchors(self) -> MakeAnchors | None:
        """Return the function that makes the chains of a vault to be saved, None for no change.

        It first flushes the lines that the vault will know of, so that a power failure leaves no
        vault that misses lines. Waits for the disk; one save of a vault at a time may call it.
        """
        if not self.chain.lines:
            return None
        mark = self.chain.mark()
        try:
            self.files.sync()
        except (OSError, VaultError):
            self.chain.wipe_mark()
            return None
        return functools.partial(self._anchors, mark)

    def _anchors(
        self, mark: Mark, vault_id: str, chains: tuple[AuditAnchor, ...], data_key: Buffer
    ) -> tuple[AuditAnchor, ...]:
        chain = self.chain
        before = next((each for each in chains if each.name == chain.name), None)
        entry = chain.anchor(before, mark, vault_id, data_key)
        others = tuple(each for each in chains if each.name != chain.name)
        ours = [each for each in others if each.log == chain.log][-LOG_CHAINS + 1 :]
        theirs = [each for each in others if each.log != chain.log][-(CHAINS - LOG_CHAINS) :]
        kept = {each.name for each in (*ours, *theirs)}
        return (*(each for each in others if each.name in kept), entry)


def log_name(state: str) -> str:
    """Return the name of the log in a state folder, 16 hex digits."""
    text = f"{_machine()}\0{state}"
    return hashlib.sha256(os.fsencode(text)).hexdigest()[:NAME_DIGITS]


def _machine() -> str:
    for path in _MACHINE_IDS:
        try:
            file = os.open(path, os.O_RDONLY | SETTINGS)
        except OSError:
            continue
        try:
            return os.fsdecode(os.read(file, 64).strip())
        finally:
            os.close(file)
    return gethostname()
