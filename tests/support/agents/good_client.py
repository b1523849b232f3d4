"""A client that behaves, in a process of its own: what it was answered, and how fast.

It fetches one credential again and again, on a connection that it keeps and on new ones in turn. It
has its own process so that its times are the agent's, whatever the test does meanwhile.
"""

from __future__ import annotations

import json
import select
import socket
import subprocess
import sys
import time
from typing import TYPE_CHECKING, NamedTuple, Self

from tokenward_protocol import RemoteError
from tokenward_protocol.frames import PREFIX, make_frame, read_sizes
from tokenward_protocol.messages import make_request
from tokenward_protocol.packing import unpack

if TYPE_CHECKING:
    from pathlib import Path

SERVICE = "https://good.example/"
SECRET = b"pypi-what-a-good-client-asks-for"
PAUSE = 0.002  # seconds between two requests
ANSWER_SECONDS = 30  # more is no answer


class Fetch(NamedTuple):
    """One fetch: when it `begun` (time.monotonic), its `seconds`, and "" or what went wrong."""

    begun: float
    seconds: float
    wrong: str


class GoodClient:
    """The client as its starter sees it: ends with the `with` block."""

    def __init__(self, path: Path) -> None:
        self._process = subprocess.Popen(
            [sys.executable, __file__, str(path)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def report(self) -> list[Fetch]:
        """Return every fetch since the last report."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write("report\n")
        self._process.stdin.flush()
        return [Fetch(*each) for each in json.loads(self._process.stdout.readline())]

    def __enter__(self) -> Self:
        self.report()  # it is there, and has loaded all it needs
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.communicate()


class _Fetching:
    def __init__(self, path: str) -> None:
        self._path = path
        self._kept: socket.socket | None = None
        self._question = make_frame(make_request("fetch", 1, {"service": SERVICE}))

    def once(self, *, kept: bool) -> str:
        """Fetch; return "" or what went wrong."""
        sock = self._kept if kept and self._kept else self._connected()
        self._kept = None
        try:
            sock.sendall(self._question)
            wrong = _judged(sock)
        except BaseException:
            sock.close()
            raise
        if kept:
            self._kept = sock
        else:
            sock.close()
        return wrong

    def _connected(self) -> socket.socket:
        sock = socket.socket(socket.AF_UNIX)
        try:
            sock.connect(self._path)
            sock.settimeout(ANSWER_SECONDS)
        except BaseException:
            sock.close()
            raise
        return sock


def _judged(sock: socket.socket) -> str:
    data, whole, header = b"", PREFIX, 0
    while len(data) < whole:
        more = sock.recv(65536)
        if not more:
            return "hung up"
        data += more
        if whole == PREFIX <= len(data):
            whole, header = read_sizes(data)
    answer = unpack(data[PREFIX : PREFIX + header])
    if not answer["ok"]:
        return str(answer["code"])
    return "" if data[PREFIX + header :] == SECRET else "another secret"


def main() -> None:
    fetching, fetches, number = _Fetching(sys.argv[1]), list[Fetch](), 0
    while True:
        if select.select([sys.stdin], [], [], PAUSE)[0]:
            if not sys.stdin.readline():
                return
            sys.stdout.write(json.dumps(fetches) + "\n")
            sys.stdout.flush()
            fetches.clear()
        number += 1
        begun = time.monotonic()
        try:
            wrong = fetching.once(kept=number % 2 == 0)
        except (OSError, RemoteError) as error:
            wrong = type(error).__name__
        fetches.append(Fetch(begun, time.monotonic() - begun, wrong))


if __name__ == "__main__":
    main()
