"""Another process: waiting for its end, and whether we may read its memory."""

from __future__ import annotations

import sys

assert sys.platform == "win32"

from tokenward_os.windows import calls

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

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
