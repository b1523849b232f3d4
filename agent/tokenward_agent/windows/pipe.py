"""A named pipe that looks like a non-blocking socket to whoever serves it: `Pipe`, `PipeListener`.

Rules:

- every instance is made with this user's own descriptor, refuses clients on other machines, and is
  bytes, not messages; the first is made as the first, so that whoever took the name before us, or
  tries to serve beside us, is noticed. The next one is there before a client is handed out: the
  name is never free while it is served;
- bytes go from the pipe into the caller's memory and back, with no object made of them;
- an answer is taken whole or not at all. Windows lets nobody write a part of it without lending it
  the memory until somebody reads, and there lies a secret; so a client that leaves `QUOTA` bytes
  of answers unread is hung up on.

Waiting is the loop's (loop.py): `came` is what it waits for.
"""

from __future__ import annotations

import sys

assert sys.platform == "win32"

import ctypes
from asyncio.windows_utils import PipeHandle
from ctypes import wintypes
from typing import cast
from weakref import WeakValueDictionary

from tokenward_os.windows import calls

TYPE_CHECKING = False
if TYPE_CHECKING:
    from asyncio.windows_events import IocpProactor
    from typing import Any, Final

    from tokenward_agent.windows.security import Descriptor

QUOTA: Final = 512 * 1024
"""Bytes that may wait in either direction: more than the longest frame, twice."""

OPEN_MODE: Final = 0x40000003  # PIPE_ACCESS_DUPLEX | FILE_FLAG_OVERLAPPED
FIRST_INSTANCE: Final = 0x00080000  # FILE_FLAG_FIRST_PIPE_INSTANCE
PIPE_MODE: Final = 0x00000008  # PIPE_TYPE_BYTE | PIPE_READMODE_BYTE | PIPE_REJECT_REMOTE_CLIENTS
INSTANCES: Final = 255  # PIPE_UNLIMITED_INSTANCES
_NOTHING: Final = bytearray()

ENDS: WeakValueDictionary[int, Pipe | PipeListener] = WeakValueDictionary()
"""What the loop is asked to wait for, by the number that it is called by."""


class Pipe:
    """One instance of a pipe, connected."""

    def __init__(self, handle: PipeHandle) -> None:
        self.handle = handle
        ENDS[id(self)] = self

    def fileno(self) -> int:
        """Return the number that the loop knows it by; -1 once it is closed."""
        return -1 if self.handle.handle is None else id(self)

    def setblocking(self, flag: bool) -> None:
        """Never blocks, whatever is asked for."""

    def recv_into(self, view: memoryview) -> int:
        """Read what is there, as much as fits; 0 at the end. Raises BlockingIOError, OSError."""
        there = wintypes.DWORD()
        if not calls.peek_named_pipe(self.handle.fileno(), None, 0, None, there, None):
            if ctypes.get_last_error() == calls.ERROR_BROKEN_PIPE:
                return 0
            raise calls.failed()
        if not there.value:
            raise BlockingIOError
        return self._at_once(calls.read_file, view[: there.value])

    def send(self, view: memoryview) -> int:
        """Write all of it. Raises OSError, also where the other end has too much to read yet."""
        return self._at_once(calls.write_file, view)

    def _at_once(self, call: ctypes._NamedFuncPointer, view: memoryview) -> int:
        """Do what need not wait, and take it back where it would. Raises OSError."""
        size, moved = len(view), wintypes.DWORD()
        handle = self.handle.fileno()
        event = calls.create_event(None, True, False, None)
        # The lowest bit of the event: no word of it to the loop's completion port.
        task = calls.Overlapped(hEvent=event | 1)
        memory = ctypes.c_char.from_buffer(view)
        try:
            if not call(handle, ctypes.addressof(memory), size, None, task):
                if ctypes.get_last_error() != calls.ERROR_IO_PENDING:
                    raise calls.failed()
                calls.cancel_io(handle, task)
            if not calls.overlapped_result(handle, task, moved, True) or moved.value != size:
                raise ConnectionResetError("The other end of the pipe does not read.")
        finally:
            del memory
            calls.close_handle(event)
        return size

    async def came(self, iocp: IocpProactor) -> None:
        """Wait until there is something to read: reading nothing ends when something is there."""
        await iocp.recv_into(cast("Any", self.handle), _NOTHING)

    def client(self) -> int:
        """Return the id of the process at the other end. Raises OSError."""
        found = wintypes.ULONG()
        if not calls.pipe_client(self.handle.fileno(), found):
            raise calls.failed()
        return found.value

    def close(self) -> None:
        """Hang up. What was sent stays there to be read."""
        self.handle.close()


class PipeListener:
    """The pipe of one name, of which there is always one more instance for the next client."""

    def __init__(self, name: str, descriptor: Descriptor) -> None:
        """Take the name. Raises PermissionError where somebody else has it, OSError."""
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
            raise calls.failed()
        return PipeHandle(made)

    def fileno(self) -> int:
        """Return the number that the loop knows it by."""
        return id(self)

    def setblocking(self, flag: bool) -> None:
        """Never blocks, whatever is asked for."""

    def listen(self, backlog: int) -> None:
        """Whoever comes before the next instance is there waits, and asks again."""

    async def came(self, iocp: IocpProactor) -> None:
        """Wait for a client; one that has gone again already is none."""
        try:
            await iocp.accept_pipe(cast("Any", self._next))
        except OSError:
            calls.disconnect(self._next.fileno())
        else:
            self._came = True

    def accept(self) -> tuple[Pipe, str]:
        """Return who came. Raises BlockingIOError where nobody did, OSError."""
        if not self._came:
            raise BlockingIOError
        self._came = False
        came = self._next
        try:
            self._next = self._instance()
        except OSError:
            calls.disconnect(came.fileno())  # for the next one: the name is not to be free
            raise
        return Pipe(came), ""

    def close(self) -> None:
        """Give the name back."""
        self._next.close()
