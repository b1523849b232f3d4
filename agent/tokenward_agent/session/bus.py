"""One connection to a message bus, on the loop: call methods, and receive signals.

Input is bounded: a frame by `dbus_frames.MAX_FRAME`, waiting signals by `MAX_WAITING`, an answer by
`SECONDS`; a bus that sends more, or an invalid message, is disconnected. A bus is a Unix socket; it
learns our user id and nothing else. No secret ever comes near it.

The bus is truthful about the sender of a message, but any client can send a signal straight to us,
whether or not we asked for it. So `owners` tracks the owner of a well-known name, and only
`is_from_owner` tells whether a signal comes from it.
"""

from __future__ import annotations

import array
import asyncio
import collections
import os
import socket
import sys
from typing import TYPE_CHECKING, Any, Final

from jeepney.auth import BEGIN, Authenticator  # type: ignore[import-untyped] # no annotations

from tokenward_agent.session import dbus_frames
from tokenward_agent.session.dbus_frames import ANSWER, ERROR, SIGNAL

if TYPE_CHECKING:
    from tokenward_agent.session.dbus_frames import BusMessage

SECONDS: Final = 20  # time limit for an answer of a bus or a service
MAX_WAITING: Final = 256  # the most signals that may come before an expected answer
_DESCRIPTORS: Final = 16
_THE_BUS: Final = "org.freedesktop.DBus"
_THE_BUS_PATH: Final = "/org/freedesktop/DBus"
_OWNER_CHANGED: Final = f"{_THE_BUS}.NameOwnerChanged"


class BusError(Exception):
    """No bus answers there, or a service refused a call with the error named `refused`."""

    def __init__(self, why: str, refused: str = "") -> None:
        super().__init__(why)
        self.refused = refused


class BusGone(BusError):  # noqa: N818 - a state of the world
    """A bus that was connected hung up: it has ended."""


class Bus:
    """A connection, from `connect` until `close`. One task uses it."""

    def __init__(self) -> None:
        self._sock = _socket()
        self._serial = 0
        self._read = bytearray()
        self._descriptors: list[int] = []
        self._waiting: collections.deque[BusMessage] = collections.deque()
        self.owners: dict[str, str] = {}
        """The owners of the tracked names: the unique name of a connection, "" for none."""

    async def connect(self, path: str) -> None:
        """Connect to the socket at `path`. Raises BusError."""
        try:
            async with asyncio.timeout(SECONDS):
                await asyncio.get_running_loop().sock_connect(self._sock, path)
                await self._authenticate()
            await self.call(_THE_BUS, _THE_BUS_PATH, f"{_THE_BUS}.Hello")
        except (OSError, ValueError) as error:  # TimeoutError is an OSError
            raise BusError(f"no bus answers ({type(error).__name__})") from None

    async def _authenticate(self) -> None:
        conversation = Authenticator(enable_fds=True)
        for line in conversation:
            await self._send(line)
            conversation.feed(await self._receive(1024))
        await self._send(BEGIN)

    def close(self) -> None:
        """Hang up, and close descriptors that no caller took."""
        self._sock.close()
        self._close_all(self._descriptors)
        self._descriptors = []

    async def _send(self, data: bytes) -> None:
        await asyncio.get_running_loop().sock_sendall(self._sock, data)

    async def _receive(self, size: int) -> bytes:
        """Return the next bytes, at most `frame_size`; keep the descriptors. Raises BusError."""
        if sys.platform != "linux":
            raise NotImplementedError
        room = socket.CMSG_SPACE(_DESCRIPTORS * array.array("i").itemsize)
        while True:
            try:
                data, beside, _, _ = self._sock.recvmsg(size, room, socket.MSG_CMSG_CLOEXEC)
                break
            except BlockingIOError:
                await self._readable()
        for level, kind, content in beside:
            if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
                found = array.array("i")
                found.frombytes(content[: len(content) - len(content) % found.itemsize])
                self._descriptors += found
        if len(self._descriptors) > _DESCRIPTORS:
            raise BusError("the bus sends more than is read")
        if not data:
            raise BusGone("the bus hung up")
        return data

    async def _readable(self) -> None:
        loop = asyncio.get_running_loop()
        ready = asyncio.Event()
        loop.add_reader(self._sock.fileno(), ready.set)
        try:
            await ready.wait()
        finally:
            loop.remove_reader(self._sock.fileno())

    async def _next(self) -> tuple[BusMessage, list[int]]:
        """Return the next message and the descriptors that came with it, which are the caller's.

        May be cancelled at any point: the bytes read so far are kept.
        """
        await asyncio.sleep(0)  # other tasks run in between, however fast messages come
        while len(self._read) < (whole := self._message_size()):
            self._read += await self._receive(whole - len(self._read))
        message = dbus_frames.read_message(bytes(self._read), self._descriptors)
        self._read.clear()
        descriptors, self._descriptors = self._descriptors, []
        return message, descriptors

    def _message_size(self) -> int:
        """Return the size of the message being read, as far as it is known."""
        start = bytes(self._read[: dbus_frames.START])
        return (
            dbus_frames.START if len(start) < dbus_frames.START else dbus_frames.frame_size(start)
        )

    async def call(
        self, to: str, path: str, method: str, signature: str = "", *body: object
    ) -> tuple[Any, ...]:
        """Call a method, and return its result. Raises BusError."""
        message, descriptors = await self._call(to, path, method, signature, body)
        self._close_all(descriptors)
        return message.body

    async def call_for_descriptor(
        self, to: str, path: str, method: str, signature: str, *body: object
    ) -> int:
        """Call a method that returns a descriptor, which is the caller's. Raises BusError."""
        _, descriptors = await self._call(to, path, method, signature, body)
        self._close_all(descriptors[1:])
        if not descriptors:
            raise BusError(f"{method} returned no descriptor")
        return descriptors[0]

    async def _call(
        self, to: str, path: str, method: str, signature: str, body: tuple[Any, ...]
    ) -> tuple[BusMessage, list[int]]:
        self._serial += 1
        try:
            async with asyncio.timeout(SECONDS):
                await self._send(
                    dbus_frames.make_call(self._serial, to, path, method, signature, body)
                )
                while True:
                    message, descriptors = await self._next()
                    if message.kind in {ANSWER, ERROR} and message.of == self._serial:
                        break
                    self._close_all(descriptors)
                    self._note(message)
        except (OSError, ValueError) as error:
            raise _error_of(error) from None
        if message.kind == ERROR:
            self._close_all(descriptors)
            raise BusError(f"{method} was refused", message.name)
        return message, descriptors

    def _note(self, message: BusMessage) -> None:
        if message.kind != SIGNAL:
            return
        if len(self._waiting) >= MAX_WAITING:
            raise BusError("the bus sends more than is read")
        self._waiting.append(message)

    @staticmethod
    def _close_all(descriptors: list[int]) -> None:
        for descriptor in descriptors:
            os.close(descriptor)

    async def next_signal(self) -> BusMessage:
        """Return the next signal; may be cancelled. Raises BusError."""
        while not self._waiting:
            try:
                message, descriptors = await self._next()
            except (OSError, ValueError) as error:
                raise _error_of(error) from None
            self._close_all(descriptors)
            self._note(message)
        message = self._waiting.popleft()
        match message.body:
            case [str(name), _, str(owner)] if self.is_owner_change(message, name):
                self.owners[name] = owner
        return message

    async def subscribe(self, **rule: str) -> None:
        """Subscribe to signals that match a rule. Raises BusError."""
        text = ",".join(f"{key}='{value}'" for key, value in {"type": "signal", **rule}.items())
        await self.call(_THE_BUS, _THE_BUS_PATH, f"{_THE_BUS}.AddMatch", "s", text)

    async def follow_owner(self, name: str) -> str:
        """Track the owner of a well-known name, and return it, "" for none. Raises BusError."""
        await self.subscribe(
            sender=_THE_BUS, interface=_THE_BUS, member="NameOwnerChanged", arg0=name
        )
        try:
            found = await self.call(_THE_BUS, _THE_BUS_PATH, f"{_THE_BUS}.GetNameOwner", "s", name)
            self.owners[name] = str(found[0])
        except BusError as error:
            if not error.refused:
                raise
            self.owners[name] = ""
        return self.owners[name]

    def is_from_owner(self, message: BusMessage, name: str) -> bool:
        """Tell whether the owner of the name `name` sent a signal."""
        return bool(message.sender) and message.sender == self.owners.get(name)

    def is_owner_change(self, message: BusMessage, name: str) -> bool:
        """Tell whether a signal says that the owner of the name `name` changed."""
        return (
            message.name == _OWNER_CHANGED
            and message.sender == _THE_BUS
            and message.body[:1] == (name,)
            and name in self.owners
        )


def _socket() -> socket.socket:
    if sys.platform != "linux":
        raise NotImplementedError
    return socket.socket(
        socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK
    )


def _error_of(error: Exception) -> BusError:
    """Return the error for a bus that has ended, or that is not a bus."""
    kind = BusGone if isinstance(error, ConnectionError) else BusError
    return kind(f"it is not a bus ({type(error).__name__})")
