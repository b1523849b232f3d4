"""Other processes: one that outlives this one, and one whose end is waited for.

A new agent inherits next to nothing, and reports once. It gets no console, so that closing ours does
not end it; it leaves a job that ends with us, if that is allowed; it gets no input, and of our
handles only three. It writes its one line to standard output.
"""

from __future__ import annotations

import sys

assert sys.platform == "win32"

import subprocess
from contextlib import suppress
from threading import Thread
from time import monotonic

from tokenward_os.windows import calls

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Final


_FLAGS: Final = subprocess.DETACHED_PROCESS | subprocess.CREATE_NEW_PROCESS_GROUP
_READY: Final = ("--ready-fd", "1")


class Spawned:
    """`command`, which gets the option `--ready-fd`; stderr goes to `log`."""

    def __init__(self, command: Sequence[str], environ: Mapping[str, str], log: int | None) -> None:
        """Start it. Raises OSError."""
        try:
            self._process = _start(
                command, environ, log, _FLAGS | subprocess.CREATE_BREAKAWAY_FROM_JOB
            )
        except PermissionError:  # our job does not let processes leave
            self._process = _start(command, environ, log, _FLAGS)

    def first_line(self, deadline: float) -> str:
        """Return the line that it writes, without its end; "" if none comes in time."""
        said: list[bytes] = []
        reader = Thread(target=self._read, args=(said,), daemon=True)
        reader.start()
        reader.join(max(0, deadline - monotonic()))
        line = said[0] if said else b""
        if not line.endswith(b"\n"):
            return ""
        return line.decode("utf-8", "replace").strip()

    def _read(self, said: list[bytes]) -> None:
        if self._process.stdout is not None:
            said.append(self._process.stdout.readline())
            self._process.stdout.close()

    def leave(self) -> None:
        """Let it run on by itself."""
        self._process.returncode = 0  # else Popen warns that it still runs, as intended

    def kill(self) -> None:
        """Kill it."""
        with suppress(OSError):
            self._process.kill()

    def wait(self) -> None:
        """Wait for its end."""
        self._process.wait()


def _start(
    command: Sequence[str], environ: Mapping[str, str], log: int | None, flags: int
) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [*command, *_READY],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL if log is None else log,
        env=dict(environ),
        creationflags=flags,
    )


_SYNCHRONIZE: Final = 0x00100000
_VM_READ: Final = 0x0010  # PROCESS_VM_READ


def may_be_read(pid: int) -> bool:
    """Return whether Windows lets this process read the memory of another one."""
    handle = calls.open_process(_VM_READ, False, pid)
    if handle:
        calls.close_handle(handle)
    return bool(handle)


class Running:
    """The process with this pid; one that is not visible here counts as ended."""

    def __init__(self, pid: int) -> None:
        self._handle = calls.open_process(_SYNCHRONIZE, False, pid)

    def has_ended(self, seconds: float) -> bool:
        """Wait for its end, at most `seconds`."""
        if not self._handle:
            return True
        try:
            return bool(calls.wait(self._handle, int(seconds * 1000)) != calls.WAIT_TIMEOUT)
        finally:
            calls.close_handle(self._handle)
