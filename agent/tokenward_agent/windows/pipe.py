"""A named pipe with the interface of a non-blocking socket: `Pipe`, `PipeListener`.

Rules:

- every instance has this user's own security descriptor, refuses clients on other machines, and
  carries bytes, not messages. The first instance is created as the first one, so that creation
  fails if another process took the name before or tries to serve it, too. The next instance exists
  before a client is handed out: the name is never free while it is served;
- bytes go from the pipe into the caller's memory and back, and no object is made of them;
- an answer is taken as a whole or not at all. For a partial write Windows would keep using the
  sender's memory, which holds a secret, until the client reads; so a client that leaves `QUOTA`
  bytes of answers unread is disconnected.

The loop waits for data (loop.py), by `wait`.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, Final

assert sys.platform == "win32"

import ctypes
from asyncio.windows_utils import PipeHandle
from ctypes import wintypes
from typing import cast
from weakref import WeakValueDictionary

from tokenward_os.windows import calls

if TYPE_CHECKING:
    from asyncio.windows_events import IocpProactor

    from tokenward_agent.windows.security import Descriptor

QUOTA: Final = 512 * 1024
"""Bytes that may wait in each direction: more than twice the longest frame."""

OPEN_MODE: Final = 0x40000003  # PIPE_ACCESS_DUPLEX | FILE_FLAG_OVERLAPPED
FIRST_INSTANCE: Final = 0x00080000  # FILE_FLAG_FIRST_PIPE_INSTANCE
PIPE_MODE: Final = 0x00000008  # PIPE_TYPE_BYTE | PIPE_READMODE_BYTE | PIPE_REJECT_REMOTE_CLIENTS
INSTANCES: Final = 255  # PIPE_UNLIMITED_INSTANCES
_NOTHING: Final = bytearray()

ENDS: WeakValueDictionary[int, Pipe | PipeListener] = WeakValueDictionary()
"""The ends that the loop waits for, by their number."""


class Pipe:
    """One connected instance of a pipe."""

    def __init__(self, handle: PipeHandle) -> None:
        self.handle = handle
        ENDS[id(self)] = self

    def fileno(self) -> int:
        """Return the number that the loop knows this end by; -1 once it is closed."""
        return -1 if self.handle.handle is None else id(self)

    def setblocking(self, flag: bool) -> None:
        """Do nothing: a pipe never blocks."""

    def recv_into(self, view: memoryview) -> int:
        """Read what is there, as much as fits; 0 at the end. Raises BlockingIOError, OSError."""
        there = wintypes.DWORD()
        if not calls.peek_named_pipe(self.handle.fileno(), None, 0, None, there, None):
            if ctypes.get_last_error() == calls.ERROR_BROKEN_PIPE:
                return 0
            raise calls.last_error()
        if not there.value:
            raise BlockingIOError
        return self._try_io(calls.read_file, view[: there.value])

    def send(self, view: memoryview) -> int:
        """Write all of it. Raises OSError, also if the other end leaves too much unread."""
        return self._try_io(calls.write_file, view)

    def _try_io(self, call: ctypes._NamedFuncPointer, view: memoryview) -> int:
        """Do it if that takes no waiting, else cancel it. Raises OSError."""
        size, moved = len(view), wintypes.DWORD()
        handle = self.handle.fileno()
        event = calls.create_event(None, True, False, None)
        # The lowest bit of the event keeps the completion from the loop's port.
        task = calls.Overlapped(hEvent=event | 1)
        memory = ctypes.c_char.from_buffer(view)
        try:
            if not call(handle, ctypes.addressof(memory), size, None, task):
                if ctypes.get_last_error() != calls.ERROR_IO_PENDING:
                    raise calls.last_error()
                calls.cancel_io(handle, task)
            if not calls.overlapped_result(handle, task, moved, True) or moved.value != size:
                raise ConnectionResetError("The other end of the pipe does not read.")
        finally:
            del memory
            calls.close_handle(event)
        return size

    async def wait(self, iocp: IocpProactor) -> None:
        """Wait until there is something to read: a read of zero bytes completes then."""
        await iocp.recv_into(cast("Any", self.handle), _NOTHING)

    def client(self) -> int:
        """Return the id of the process at the other end. Raises OSError."""
        found = wintypes.ULONG()
        if not calls.pipe_client(self.handle.fileno(), found):
            raise calls.last_error()
        return found.value

    def close(self) -> None:
        """Hang up. The other end can still read what was sent."""
        self.handle.close()


class PipeListener:
    """The pipe of one name, which always has one more instance for the next client."""

    def __init__(self, name: str, descriptor: Descriptor) -> None:
        """Take the name. Raises PermissionError if another process has it, OSError."""
        self.name = name
        self._descriptor = descriptor
        self._next = self._instance(FIRST_INSTANCE)
        self._came = False
        ENDS[id(self)] = self

    def _instance(self, first: int = 0) -> PipeHandle:
        made = calls.create_named_pipe(
            self.name,
            OPEN_MODE | first,
            PIPE_MODE,
            INSTANCES,
            QUOTA,
            QUOTA,
            0,
            self._descriptor.attributes,
        )
        if made == calls.INVALID_HANDLE:
            raise calls.last_error()
        return PipeHandle(made)

    def fileno(self) -> int:
        """Return the number that the loop knows this end by."""
        return id(self)

    def setblocking(self, flag: bool) -> None:
        """Do nothing: a pipe never blocks."""

    def listen(self, backlog: int) -> None:
        """Do nothing: a client that comes before the next instance exists waits and tries again."""

    async def wait(self, iocp: IocpProactor) -> None:
        """Wait for a client; one that has already gone does not count."""
        try:
            await iocp.accept_pipe(cast("Any", self._next))
        except OSError:
            calls.disconnect(self._next.fileno())
        else:
            self._came = True

    def accept(self) -> tuple[Pipe, str]:
        """Return the client that came. Raises BlockingIOError if none did, OSError."""
        if not self._came:
            raise BlockingIOError
        self._came = False
        came = self._next
        try:
            self._next = self._instance()
        except OSError:
            calls.disconnect(came.fileno())  # reuse it: the name must not become free
            raise
        return Pipe(came), ""

    def close(self) -> None:
        """Release the name."""
        self._next.close()
