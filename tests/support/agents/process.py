"""Real agent processes for tests, each with a directory of its own, and the wire to speak to them.

The wire side is written out again here, on blocking sockets, so that tests see bytes that the
client would never send.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Self

from support.waiting import PATIENCE
from tokenward_protocol.frames import PREFIX, make_frame, read_sizes
from tokenward_protocol.messages import make_request
from tokenward_protocol.packing import unpack

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from tokenward_protocol.packing import Value

COMMAND = [sys.executable, "-I", "-c", "from tokenward_agent.__main__ import main; main()"]


class NotDone(Exception):  # noqa: N818 - the protocol's own word would be "not ok"
    """An answer that is not ok."""

    def __init__(self, header: dict[str, Value]) -> None:
        super().__init__(f"{header['code']}: {header['message']}")
        self.code = header["code"]
        self.header = header


class Asking(ABC):
    """What a test asks an agent, however it is connected. Raises NotDone."""

    @abstractmethod
    def ask_whole(
        self, op: str, body: bytes = b"", **arguments: Value
    ) -> tuple[dict[str, Value], bytes]:
        """Put a request; return the answer's header and body."""

    def ask(self, op: str, body: bytes = b"", **arguments: Value) -> dict[str, Value]:
        return self.ask_whole(op, body, **arguments)[0]

    def create_vault(self) -> None:
        """Make the vault of the provider `disabled`, which a key file opens."""
        self.ask("create", provider="disabled", slot="key-file")

    def log_in(self, service: str, secret: bytes, username: str = "ana") -> None:
        """Store a credential in that vault."""
        self.ask("login", secret, service=service, username=username, provider="disabled")

    def fetch(
        self, service: str, username: str | None = None, provider: str | None = None
    ) -> bytes:
        return self.ask_whole("fetch", service=service, username=username, provider=provider)[1]


class Wire(Asking):
    """One blocking connection that says whatever bytes a test wants."""

    def __init__(self, path: Path) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        try:
            self.sock.connect(str(path))  # with a timeout, Linux would not wait for a full queue
        except OSError:
            self.sock.close()
            raise
        self.sock.settimeout(PATIENCE)
        self.number = 0

    def close(self) -> None:
        self.sock.close()

    def send(self, data: bytes) -> None:
        self.sock.sendall(data)

    def read(self, size: int) -> bytes:
        """Read exactly `size` bytes, or what comes before the other end hangs up."""
        data = b""
        while len(data) < size:
            more = self.sock.recv(size - len(data))
            if not more:
                break
            data += more
        return data

    def answer(self) -> tuple[dict[str, Value], bytes]:
        start = self.read(PREFIX)
        assert len(start) == PREFIX, "the agent hung up"
        whole, header = read_sizes(start)
        rest = self.read(whole - PREFIX)
        return unpack(rest[:header]), rest[header:]

    def ask_whole(
        self, op: str, body: bytes = b"", **arguments: Value
    ) -> tuple[dict[str, Value], bytes]:
        self.number += 1
        self.send(make_frame(make_request(op, self.number, arguments), body))
        header, answer = self.answer()
        assert header["id"] == self.number
        if header["ok"] is not True:
            raise NotDone(header)
        return header, answer


class Agent(Asking):
    """One agent process below `root`, started by us and killed at the end of the `with` block.

    `root` has a short path, for the socket's sake. `before` is a command that it is started by,
    such as `prlimit`, which has to become it.
    """

    def __init__(
        self,
        root: Path,
        environment: dict[str, str] | None = None,
        before: Sequence[str] = (),
    ) -> None:
        self.directory = root / "credentials"
        self.state = root / "state"
        self.socket = root / "run" / "agent.sock"
        self.socket.parent.mkdir(mode=0o700, exist_ok=True)
        self.environment = {
            "HOME": str(root),
            "PATH": os.environ["PATH"],
            "DBUS_SYSTEM_BUS_ADDRESS": "unix:path=/nowhere",  # the machine's own sleep is not ours
        } | (environment or {})
        self.before = before
        self._process: subprocess.Popen[bytes] | None = None
        self.errors = root / "agent.err"
        self.start()

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def start(self) -> None:
        ready, ours = os.pipe()
        with self.errors.open("ab") as errors:
            self._process = subprocess.Popen(
                [
                    *self.before,
                    *COMMAND,
                    *("--directory", str(self.directory), "--state", str(self.state)),
                    *("--socket", str(self.socket), "--ready-fd", str(ours)),
                ],
                env=self.environment,
                pass_fds=[ours],
                stdin=subprocess.DEVNULL,
                stderr=errors,
            )
        os.close(ours)
        with os.fdopen(ready, "rb") as file:
            line = file.readline()
        assert line == b"ready\n", (line, self.errors.read_text())

    def wire(self) -> Wire:
        return Wire(self.socket)

    def ask_whole(
        self, op: str, body: bytes = b"", **arguments: Value
    ) -> tuple[dict[str, Value], bytes]:
        wire = self.wire()
        try:
            return wire.ask_whole(op, body, **arguments)
        finally:
            wire.close()

    def end(self, number: int = signal.SIGTERM) -> int:
        """End the process; return its exit code."""
        assert self._process is not None
        if self._process.poll() is None:
            self._process.send_signal(number)
        code = self._process.wait(PATIENCE)
        self._process = None
        return code

    def restart(self, number: int = signal.SIGKILL) -> None:
        self.end(number)
        self.start()

    def ended(self) -> int:
        """Wait for the process to end by itself; return its exit code."""
        assert self._process is not None
        return self._process.wait(PATIENCE)

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._process is not None:
            self.end(signal.SIGKILL)
