"""One byte stream to an agent over a named pipe of Windows, and the check of its owner (stream.py).

Any user can take the name of a pipe first, so before anything is sent the owner of the pipe has to
be this user, whose SID is that of this process. An agent makes its pipe with itself as the owner,
and no user can set another user as the owner. The server learns who we are, but may not act as us
(SECURITY_IDENTIFICATION).
"""

from __future__ import annotations

import sys

assert sys.platform == "win32"

import ctypes
from ctypes import wintypes
from time import monotonic

from tokenward.errors import AgentAbsent, AgentUnreachable
from tokenward_os.windows import calls
from tokenward_os.windows.calls import own_sid, owner_of
from tokenward_protocol.places import PIPES

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

CONNECT_SECONDS: Final = 2.0
WITHDRAW_SECONDS: Final = 1.0
"""Seconds until an agent must accept a connection."""

ACCESS: Final = 0xC0000000  # GENERIC_READ | GENERIC_WRITE
FLAGS: Final = 0x40110000
"""FILE_FLAG_OVERLAPPED | SECURITY_SQOS_PRESENT | SECURITY_IDENTIFICATION."""

_OPEN_EXISTING: Final = 3
_ENDED: Final = (calls.ERROR_BROKEN_PIPE, calls.ERROR_NO_DATA, calls.ERROR_PIPE_NOT_CONNECTED)


class PipeStream:
    """A connected stream, as in stream.py."""

    __slots__ = ("_event", "_handle", "stranger")

    def __init__(self, handle: int, stranger: str | None) -> None:
        self._handle = handle
        self._event = calls.create_event(None, True, False, None)
        self.stranger = stranger

    def send(self, data: bytes, deadline: float) -> None:
        """Send all of `data`."""
        sent = 0
        while sent < len(data):
            rest = ctypes.create_string_buffer(data[sent:], len(data) - sent)
            moved = self._transfer(calls.write_file, rest, deadline)
            if not moved:
                raise BrokenPipeError
            sent += moved

    def receive(self, deadline: float) -> bytes:
        """Return some bytes as soon as there are any; b"" at the end of the stream."""
        room = ctypes.create_string_buffer(65536)
        size = self._transfer(calls.read_file, room, deadline)
        return room.raw[:size]

    def _transfer(
        self, call: ctypes._NamedFuncPointer, buffer: ctypes.Array[ctypes.c_char], deadline: float
    ) -> int:
        """Read or write, wait, and return the number of bytes; 0 at the end of the stream."""
        task, moved = calls.Overlapped(hEvent=self._event), wintypes.DWORD()
        if not call(self._handle, buffer, len(buffer), None, task):
            error = ctypes.get_last_error()
            if error in _ENDED:
                return 0
            if error != calls.ERROR_IO_PENDING:
                raise calls.last_error()
            late = calls.wait(self._event, _milliseconds(deadline)) == calls.WAIT_TIMEOUT
            if late:
                calls.cancel_io(self._handle, task)
        else:
            late = False
        if not calls.overlapped_result(self._handle, task, moved, True):
            if late:
                raise TimeoutError
            if ctypes.get_last_error() in _ENDED:
                return 0
            raise calls.last_error()
        return moved.value

    def withdraw(self) -> None:
        """Tell the agent that the client waits no more: for a pipe, closing it does that."""

    def close(self) -> None:
        """Close the pipe."""
        if self._handle:
            calls.close_handle(self._handle)
            calls.close_handle(self._event)
            self._handle = 0


def open_stream(path: str) -> PipeStream:
    """Connect to the agent's address.

    Raises AgentAbsent if no agent listens, AgentUnreachable for any other failure.
    """
    if not path.startswith(PIPES):
        raise AgentUnreachable(
            f"The agent's address {path} is not the name of a pipe.",
            f"it must be {PIPES}NAME",
        )
    try:
        handle = _connect(path)
    except FileNotFoundError:
        raise AgentAbsent("No agent is running.", "`auth agent start` starts it") from None
    except TimeoutError:
        raise AgentUnreachable(
            f"The agent at {path} accepts no connection.", "`auth agent restart`"
        ) from None
    except OSError as error:
        raise AgentUnreachable(
            f"The agent at {path} cannot be reached: {error.strerror}."
        ) from None
    try:
        owner = owner_of(handle)
    except OSError as error:
        calls.close_handle(handle)
        raise AgentUnreachable(
            f"Windows does not tell who owns the agent at {path}: {error.strerror}."
        ) from None
    return PipeStream(handle, None if owner == own_sid() else owner)


def _connect(path: str) -> int:
    """Open the pipe; wait while every instance of it is in use. Raises OSError."""
    deadline = monotonic() + CONNECT_SECONDS
    while True:
        handle: int = calls.create_file(path, ACCESS, 0, None, _OPEN_EXISTING, FLAGS, None)
        if handle != calls.INVALID_HANDLE:
            return handle
        if ctypes.get_last_error() != calls.ERROR_PIPE_BUSY:
            raise calls.last_error()
        left = _milliseconds(deadline)
        if not left:
            raise TimeoutError
        calls.wait_named_pipe(path, left)


def _milliseconds(deadline: float) -> int:
    return max(int((deadline - monotonic()) * 1000), 0)
