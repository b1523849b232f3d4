"""A small server that speaks the wire as docs/PROTOCOL.md has it, or breaks it as a test wants.

It runs in a thread of the test, on a real socket, and keeps what it was asked.
"""

from __future__ import annotations

import os
import socket
import sys
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Self

from tokenward_protocol import VERSION, places
from tokenward_protocol.frames import PREFIX, find_frame, make_frame
from tokenward_protocol.packing import pack, unpack
from tokenward_protocol.urls import ServiceError, parse_service_url

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from typing import Any

    import pytest

    Answering = Callable[[dict[str, Any]], bytes | None]


def done(request: dict[str, Any], body: bytes = b"", **values: Any) -> bytes:
    """The answer of a request that was done."""
    return make_frame(pack({"id": request["id"], "ok": True, **values}), body)


def refused(request: dict[str, Any], code: str, message: str = "No.", **more: Any) -> bytes:
    """The answer of a request that was not done."""
    answer = {"id": request["id"], "ok": False, "code": code, "message": message, "hint": "h"}
    return make_frame(pack(answer | more))


class ReferenceAgent:
    """Serves `directory` at `path`; `secrets` maps (service, user name) to what it hands out.

    `instead` may answer a request first: with bytes, b"" to hang up, or None to let it pass.
    """

    def __init__(
        self,
        path: Path,
        directory: str | None = None,
        secrets: dict[tuple[str, str], bytes] | None = None,
        *,
        version: str = VERSION,
        replaceable: bool = False,
        instead: Answering = lambda _: None,
    ) -> None:
        self.path = path
        self.directory = directory
        self.secrets = secrets or {}
        self.version = version
        self.replaceable = replaceable
        self.instead = instead
        self.requests: list[dict[str, Any]] = []
        self.bodies: list[bytes] = []
        self.connections = 0
        self._open: list[socket.socket] = []
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(path))
        self._listener.listen(64)
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    @property
    def ops(self) -> list[str]:
        return [request["op"] for request in self.requests]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        for thread in self._threads:
            thread.join()
        self._listener.close()
        for connection in self._open:
            connection.close()

    def stop(self) -> None:
        """Vanish: the address is free, every connection ends."""
        self.path.unlink(missing_ok=True)
        for connection in [self._listener, *self._open]:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            self._open.append(connection)
            thread = threading.Thread(target=self._serve, args=(connection,))
            self._threads.append(thread)
            thread.start()

    def _serve(self, connection: socket.socket) -> None:
        data = b""
        with suppress(OSError):
            while more := connection.recv(65536):
                data += more
                while (ends := find_frame(memoryview(data))) is not None:
                    request = unpack(data[PREFIX : ends[0]])
                    self.requests.append(request)
                    self.bodies.append(data[ends[0] : ends[1]])
                    data = data[ends[1] :]
                    answer = self.instead(request)
                    if answer is None:
                        answer = self._answer(request)
                    if not answer:
                        connection.shutdown(socket.SHUT_RDWR)
                        return
                    connection.sendall(answer)
                    if request["op"] == "stop":
                        self.stop()

    def _answer(self, request: dict[str, Any]) -> bytes:
        if request.get("dir", self.directory) != self.directory:
            return refused(request, "other-directory")
        if request["op"] == "hello":
            return done(request, version=self.version, wire=1, replaceable=self.replaceable)
        if request["op"] == "fetch":
            found = [
                (username, secret)
                for (service, username), secret in self.secrets.items()
                if service == _asked(request) and request.get("username", username) == username
            ]
            if not found:
                return refused(request, "not-found", "Nothing is stored.")
            username, secret = found[0]
            service = _asked(request)
            return done(
                request,
                secret,
                service=service,
                username=username,
                provider="disabled",
                created=1,
                expires=None,
                narrowed=False,
                projects=None,
            )
        return done(request)


def _asked(request: dict[str, Any]) -> str:
    """What is asked for, by the key of a URL in any spelling."""
    if "service" in request:
        return str(request["service"])
    spelling = str(request["spelling"])
    try:
        return parse_service_url(spelling).key if "://" in spelling else spelling
    except ServiceError:
        return spelling


def made_home(home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Make `home` this process's own, with nobody listening in it, and return its socket folder."""
    for name in list(os.environ):
        if name.startswith(("UV_", "TOKENWARD_", "XDG_")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(home / "run"))
    monkeypatch.setenv("TOKENWARD_NO_AUTOSTART", "1")
    monkeypatch.chdir(home)
    folder = home / "run" / "tokenward"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return folder


def served_here(
    home: Path,
    monkeypatch: pytest.MonkeyPatch,
    secrets: dict[tuple[str, str], bytes],
    directory: Path | None = None,
) -> ReferenceAgent:
    """Serve this process in a home of its own; of another directory than the ordinary one, too."""
    kept = os.environ.get("TOKENWARD_DIR")
    folder = made_home(home, monkeypatch)
    ordinary = os.path.realpath(places.data_directory(sys.platform, os.environ, str(home)))
    if kept is not None:
        monkeypatch.setenv("TOKENWARD_DIR", kept)
    served = ordinary if directory is None else os.path.realpath(directory)
    return ReferenceAgent(folder / places.socket_name(served, ordinary), served, secrets)
