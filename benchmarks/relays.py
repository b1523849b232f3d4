"""What a relay costs: the start of a run, one small request, and a large file each way.

The index is a process of its own with TLS (relay_index.py); its work and the client's do not count.
For large files the rate is the bytes over the relay's own processor time, which is that of one core.
"""

from __future__ import annotations

import base64
import hashlib
import os
import socket
import ssl
import subprocess
import sys
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import TYPE_CHECKING, NamedTuple

from figures import Row, interleaved, milliseconds, noise
from whole_process import seconds

from support.auth_commands import PROGRAMS
from support.home import Home
from support.servers.certificates import write_certificates
from tokenward.services import is_asleep
from tokenward.settings.effective import settings_here
from tokenward.transport.connect import connect

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tokenward.transport.connect import Connection

MEGABYTE = 1_000_000
SIZE = 256 * MEGABYTE
AT_ONCE = 50
_FILE = "mine-1.0-py3-none-any.whl"


class Run(NamedTuple):
    """An open run: its relay's port and process, the capability, and what its command trusts."""

    port: int
    capability: bytes
    authority: str
    pid: int


class Place(NamedTuple):
    """The index at `port` of `localhost`, by a home whose user trusts `authority`."""

    home: Home
    port: int
    authority: Path

    @property
    def url(self) -> str:
        """The index's URL."""
        return f"https://localhost:{self.port}/"


def rows(rounds: int = 20) -> Iterator[Row]:
    """Yield the figures of the relay."""
    with _place() as place:
        yield from _start_rows(place, rounds)
        with _run(place) as (run, _):
            yield from _request_rows(place, run, rounds * 10)
            yield from _transfer_rows(place, run)


@contextmanager
def _place() -> Iterator[Place]:
    with ExitStack() as ends:
        home = ends.enter_context(Home())
        authority = write_certificates(home.path, ["localhost"])
        index = ends.enter_context(
            subprocess.Popen(
                [
                    sys.executable,
                    Path(__file__).with_name("relay_index.py"),
                    home.path / "server.pem",
                ],
                stdout=subprocess.PIPE,
            )
        )
        ends.callback(index.terminate)
        assert index.stdout is not None
        port = int(index.stdout.readline())
        settings = home.path / ".config/tokenward/config.toml"
        settings.parent.mkdir(parents=True)
        settings.write_text(
            f'ca = "{authority}"\n[services.one]\nurl = "https://localhost:{port}/"\n'
        )
        home.done("login", "one", "-u", "ana", "--password", "-", stdin="made-up-and-long")
        yield Place(home, port, authority)


@contextmanager
def _run(place: Place) -> Iterator[tuple[Run, Connection]]:
    """Open a run for this process, as `auth exec` does before it becomes the command."""
    with _agent_of(place) as agent:
        yield _begin(place, agent), agent


def _agent_of(place: Place) -> Connection:
    environ = place.home.environment
    directory = settings_here(environ).directories.credentials
    return connect(directory, start=False, asleep=is_asleep, environ=environ)


def _begin(place: Place, agent: Connection) -> Run:
    agent.ask("grant", service=place.url)
    agent.ask("grant", service=place.url, upload="/", projects="mine")
    answer = agent.ask("run", b"\n")
    found = subprocess.run(
        ["pgrep", "-n", "-P", str(agent.greeting["pid"])],
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    header = answer.header
    return Run(int(header["port"]), answer.body, str(header["ca"]), int(found.stdout))


def _start_rows(place: Place, rounds: int) -> Iterator[Row]:
    bare = ["/bin/true"]
    auth = [str(PROGRAMS / "auth"), "exec", "--index", "one"]
    environment = place.home.environment
    measures = {
        "true": partial(seconds, bare, environment),
        "relay": partial(seconds, [*auth, "--relay", "--", *bare], environment),
        "environment": partial(seconds, [*auth, "--env", "--", *bare], environment),
    }
    samples = interleaved(measures, rounds)
    yield Row(
        "`auth exec --relay -- true`, agent running",
        "adds",
        60,
        "ms",
        (median(samples["relay"]) - median(samples["true"])) * 1e3,
        aside=milliseconds(samples),
        spread=noise(samples["true"]),
    )
    # A run belongs to its process and ends with it, so each has one of its own.
    taken = [_seconds_of_run(place) for _ in range(rounds)]
    yield Row("the relay's port", "known after", 35, "ms", median(taken) * 1e3, spread=noise(taken))


def _seconds_of_run(place: Place) -> float:
    """Open a run in a child of this process; return the seconds until the relay's port is known."""
    reader, writer = os.pipe()
    if not os.fork():
        with _agent_of(place) as agent:
            agent.ask("grant", service=place.url)
            begin = perf_counter()
            agent.ask("run", b"\n")
            os.write(writer, f"{perf_counter() - begin}\n".encode())
        os._exit(0)
    os.close(writer)
    os.wait()
    found = float(os.read(reader, 64))
    os.close(reader)
    return found


class _Tool:
    """A connection to the index: kept alive, through a relay or direct."""

    def __init__(self, place: Place, run: Run | None) -> None:
        self._place = place
        context = ssl.create_default_context(
            cafile=None if run else str(place.authority), cadata=run.authority if run else None
        )
        sock = socket.create_connection(("127.0.0.1", run.port if run else place.port))
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if run:
            shown = base64.b64encode(b"run:" + run.capability)
            where = b"localhost:%d" % place.port
            sock.sendall(
                b"CONNECT %b HTTP/1.1\r\nHost: %b\r\nProxy-Authorization: Basic %b\r\n\r\n"
                % (where, where, shown)
            )
            self._head(sock)
        self.sock = context.wrap_socket(sock, server_hostname="localhost")

    def get(self, path: str) -> float:
        """Read a path to its end; return the seconds that this took."""
        begin = perf_counter()
        self.sock.sendall(
            b"GET %b HTTP/1.1\r\nHost: localhost:%d\r\n\r\n" % (path.encode(), self._place.port)
        )
        head, body = self._head(self.sock)
        self._drain(head, len(body))
        return perf_counter() - begin

    def upload(self, size: int) -> None:
        """Publish a file of zeros."""
        piece = bytes(MEGABYTE)
        digest = hashlib.sha256()
        for _ in range(size // MEGABYTE):
            digest.update(piece)
        fields = {
            ":action": "file_upload",
            "name": "mine",
            "version": "1.0",
            "sha256_digest": digest.hexdigest(),
        }
        form = "".join(
            f'--B\r\nContent-Disposition: form-data; name="{k}"\r\n\r\n{v}\r\n'
            for k, v in fields.items()
        )
        form += f'--B\r\nContent-Disposition: form-data; name="content"; filename="{_FILE}"\r\n\r\n'
        end = b"\r\n--B--\r\n"
        length = len(form) + size + len(end)
        self.sock.sendall(
            b"POST / HTTP/1.1\r\nHost: localhost:%d\r\nContent-Type: multipart/form-data; boundary=B\r\n"
            b"Content-Length: %d\r\n\r\n%b" % (self._place.port, length, form.encode())
        )
        for _ in range(size // MEGABYTE):
            self.sock.sendall(piece)
        self.sock.sendall(end)
        head, _ = self._head(self.sock)
        assert b" 200 " in head.partition(b"\r\n")[0], head

    def _head(self, sock: socket.socket) -> tuple[bytes, bytes]:
        data = b""
        while True:
            while b"\r\n\r\n" not in data:
                more = sock.recv(65536)
                assert more, data
                data += more
            head, _, data = data.partition(b"\r\n\r\n")
            if b" 100 " not in head.partition(b"\r\n")[0]:
                return head, data

    def _drain(self, head: bytes, got: int) -> None:
        lines = head.lower().split(b"\r\n")
        left = next(int(line[15:]) for line in lines if line.startswith(b"content-length:")) - got
        buffer = bytearray(MEGABYTE)
        while left:
            left -= self.sock.recv_into(buffer, min(left, len(buffer)))


def _request_rows(place: Place, run: Run, rounds: int) -> Iterator[Row]:
    tools = {"direct": _Tool(place, None), "relay": _Tool(place, run)}
    measures = {name: partial(tool.get, "/simple/") for name, tool in tools.items()}
    samples = interleaved(measures, rounds)
    direct = median(samples["direct"])
    yield Row(
        "a small answer",
        "later than on a direct kept connection",
        3,
        "ms",
        (median(samples["relay"]) - direct) * 1e3,
        aside=milliseconds(samples),
        spread=noise(samples["direct"]),
    )

    def first() -> float:
        begin = perf_counter()
        tool = _Tool(place, run)
        tool.get("/simple/")
        took = perf_counter() - begin
        tool.sock.close()
        return took

    taken = [first() for _ in range(rounds // 4)]
    yield Row(
        "the same with a new tunnel",
        "later than on a direct kept connection",
        10,
        "ms",
        (median(taken) - direct) * 1e3,
        spread=noise(taken),
    )


def _transfer_rows(place: Place, run: Run) -> Iterator[Row]:
    descriptors = _descriptors(run.pid)
    for figure, limit in (("down", 200), ("up", 150)):
        tool, begin = _Tool(place, run), _cpu(run.pid)
        if figure == "down":
            tool.get(f"/big/{SIZE}")
        else:
            tool.upload(SIZE)
        used = _cpu(run.pid) - begin
        tool.sock.close()
        rate = SIZE / MEGABYTE / used
        yield Row(
            f"{SIZE // MEGABYTE} MB {figure}, per second of the relay's processor time",
            "rate", limit, "MB/s", rate, at_least=True,
        )  # fmt: skip
    tools = [_Tool(place, run) for _ in range(AT_ONCE)]
    for tool in tools:
        tool.sock.sendall(
            b"GET /big/%d HTTP/1.1\r\nHost: localhost:%d\r\n\r\n" % (SIZE, place.port)
        )
    for tool in tools:
        tool.sock.recv(65536)
    for tool in tools:
        tool.sock.close()
    end = perf_counter() + 10
    while _descriptors(run.pid) > descriptors and perf_counter() < end:
        os.sched_yield()
    yield Row(
        f"memory of the relay, {AT_ONCE} transfers at once cancelled",
        "most",
        50,
        "MiB",
        _memory(run.pid),
    )
    left = _descriptors(run.pid) - descriptors
    yield Row("descriptors left behind by them", "more than before", 0, "", left)


def _cpu(pid: int) -> float:
    """Return the seconds of processor time that all threads of a process used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _memory(pid: int) -> float:
    status = Path(f"/proc/{pid}/status").read_text()
    return (
        next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM"))
        / 1024
    )


def _descriptors(pid: int) -> int:
    """Return how many descriptors a process has; only root sees those of the relay."""
    try:
        return len([*Path(f"/proc/{pid}/fd").iterdir()])
    except PermissionError:
        return 0
