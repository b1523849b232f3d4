"""One connection to a message bus, on the loop: ask, and hear what is signalled.

What comes in is bounded: a frame by `frames.MAX_FRAME`, those that wait for their turn by
`MAX_WAITING`, an answer by `SECONDS`; whoever sends more, or what is no message, is hung up on. A
bus is a Unix socket; it is told our user id and nothing else. Nothing secret is ever near it.

The bus says truly who sent a message, but not that they may: anybody can send a signal straight to
us, whatever we asked to hear. So `owners` follows whose a well-known name is, and only `from_owner`
tells whether a signal is from there.
"""

from __future__ import annotations

import array
import asyncio
import collections
import os
import socket
import sys

from jeepney.auth import BEGIN, Authenticator  # type: ignore[import-untyped] # no annotations

from tokenward_agent.session import frames
from tokenward_agent.session.frames import ANSWER, ERROR, SIGNAL

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Final

    from tokenward_agent.session.frames import Heard

SECONDS: Final = 20
"""How long a bus or a service may take to answer."""

MAX_WAITING: Final = 256
"""Signals that may come before an answer that is waited for."""

_DESCRIPTORS: Final = 16
_THE_BUS: Final = "org.freedesktop.DBus"
_THE_BUS_PATH: Final = "/org/freedesktop/DBus"
_OWNER_CHANGED: Final = f"{_THE_BUS}.NameOwnerChanged"


class BusError(Exception):
    """A bus is not there, or is none; or a service refused what it was asked, by this name."""

    def __init__(self, why: str, refused: str = "") -> None:
        super().__init__(why)
        self.refused = refused


class BusGone(BusError):  # noqa: N818 - a state of the world
    """A bus that was there hung up: it has ended."""


class Bus:
    """A connection, once `connect` has made it, until `close`. One task uses it."""

    def __init__(self) -> None:
        self._sock = _socket()
        self._serial = 0
        self._read = bytearray()
        self._descriptors: list[int] = []
        self._waiting: collections.deque[Heard] = collections.deque()
        self.owners: dict[str, str] = {}
        """Whose the names are that are followed: the unique name of a connection, "" of nobody."""

    async def connect(self, path: str) -> None:
        """Connect to the socket at `path`. Raises BusError."""
        try:
            async with asyncio.timeout(SECONDS):
                await asyncio.get_running_loop().sock_connect(self._sock, path)
                await self._authenticate()
            await self.ask(_THE_BUS, _THE_BUS_PATH, f"{_THE_BUS}.Hello")
        except (OSError, ValueError) as error:  # TimeoutError is an OSError
            raise BusError(f"no bus answers ({type(error).__name__})") from None

    async def _authenticate(self) -> None:
        conversation = Authenticator(enable_fds=True)
        for line in conversation:
            await self._send(line)
            conversation.feed(await self._more(1024))
        await self._send(BEGIN)

    def close(self) -> None:
        """Hang up, and let go of descriptors that nobody took."""
        self._sock.close()
        self._close_all(self._descriptors)
        self._descriptors = []

    async def _send(self, data: bytes) -> None:
        await asyncio.get_running_loop().sock_sendall(self._sock, data)

    async def _more(self, size: int) -> bytes:
        """Return what comes next, at most so many bytes; keep the descriptors. Raises BusError."""
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

    async def _next(self) -> tuple[Heard, list[int]]:
        """Return the next message and the descriptors that came with it, which are the caller's.

        May be cancelled at any point: what was read by then is read on from.
        """
        await asyncio.sleep(0)  # however fast they come, everybody else has their turn
        while len(self._read) < (whole := self._whole()):
            self._read += await self._more(whole - len(self._read))
        message = frames.heard(bytes(self._read), self._descriptors)
        self._read.clear()
        descriptors, self._descriptors = self._descriptors, []
        return message, descriptors

    def _whole(self) -> int:
        """Return how many bytes the message under way has, as far as that is known."""
        start = bytes(self._read[: frames.START])
        return frames.START if len(start) < frames.START else frames.size(start)

    async def ask(
        self, to: str, path: str, method: str, signature: str = "", *body: object
    ) -> tuple[Any, ...]:
        """Call a method, and return what it returns. Raises BusError."""
        message, descriptors = await self._ask(to, path, method, signature, body)
        self._close_all(descriptors)
        return message.body

    async def ask_for_descriptor(
        self, to: str, path: str, method: str, signature: str, *body: object
    ) -> int:
        """Call a method that returns a descriptor, which is the caller's. Raises BusError."""
        _, descriptors = await self._ask(to, path, method, signature, body)
        self._close_all(descriptors[1:])
        if not descriptors:
            raise BusError(f"{method} returned no descriptor")
        return descriptors[0]

    async def _ask(
        self, to: str, path: str, method: str, signature: str, body: tuple[Any, ...]
    ) -> tuple[Heard, list[int]]:
        self._serial += 1
        try:
            async with asyncio.timeout(SECONDS):
                await self._send(frames.call(self._serial, to, path, method, signature, body))
                while True:
                    message, descriptors = await self._next()
                    if message.kind in {ANSWER, ERROR} and message.of == self._serial:
                        break
                    self._close_all(descriptors)
                    self._note(message)
        except (OSError, ValueError) as error:
            raise _is_none(error) from None
        if message.kind == ERROR:
            self._close_all(descriptors)
            raise BusError(f"{method} was refused", message.name)
        return message, descriptors

    def _note(self, message: Heard) -> None:
        if message.kind != SIGNAL:
            return
        if len(self._waiting) >= MAX_WAITING:
            raise BusError("the bus sends more than is read")
        self._waiting.append(message)

    @staticmethod
    def _close_all(descriptors: list[int]) -> None:
        for descriptor in descriptors:
            os.close(descriptor)

    async def hear(self) -> Heard:
        """Return the next signal; may be cancelled. Raises BusError."""
        while not self._waiting:
            try:
                message, descriptors = await self._next()
            except (OSError, ValueError) as error:
                raise _is_none(error) from None
            self._close_all(descriptors)
            self._note(message)
        message = self._waiting.popleft()
        match message.body:
            case [str(name), _, str(owner)] if self.owner_changed(message, name):
                self.owners[name] = owner
        return message

    async def want(self, **rule: str) -> None:
        """Have signals that match a rule sent here. Raises BusError."""
        text = ",".join(f"{key}='{value}'" for key, value in {"type": "signal", **rule}.items())
        await self.ask(_THE_BUS, _THE_BUS_PATH, f"{_THE_BUS}.AddMatch", "s", text)

    async def follow(self, name: str) -> str:
        """Follow whose a well-known name is, and return it, "" for nobody. Raises BusError."""
        await self.want(sender=_THE_BUS, interface=_THE_BUS, member="NameOwnerChanged", arg0=name)
        try:
            found = await self.ask(_THE_BUS, _THE_BUS_PATH, f"{_THE_BUS}.GetNameOwner", "s", name)
            self.owners[name] = str(found[0])
        except BusError as error:
            if not error.refused:
                raise
            self.owners[name] = ""
        return self.owners[name]

    def from_owner(self, message: Heard, name: str) -> bool:
        """Tell whether a signal was sent by whose the name `name` is."""
        return bool(message.sender) and message.sender == self.owners.get(name)

    def owner_changed(self, message: Heard, name: str) -> bool:
        """Tell whether a signal says that the name `name` is somebody else's now."""
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


def _is_none(error: Exception) -> BusError:
    """Say of what went wrong whether the bus has ended, or is no bus."""
    kind = BusGone if isinstance(error, ConnectionError) else BusError
    return kind(f"the bus is none ({type(error).__name__})")
