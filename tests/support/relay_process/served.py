"""A real relay process, with the test in the agent's place and in the tool's.

It is started as the agent starts it, and speaks to the same pipe; what it asks is answered by a
function, so that a test decides what an agent never would. `Tool` says any bytes at its port.
"""

from __future__ import annotations

import base64
import contextlib
import os
import secrets
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import msgpack

from support.waiting import PATIENCE, until
from tokenward_agent.relay.certificates import make_certificates, validity
from tokenward_agent.worker.runner import worker_command
from tokenward_relay.grants import Grant

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from support.relay_process.raw_index import RawIndex

    Header = dict[str, Any]
    Reply = tuple[Mapping[str, Any], bytes]

USER = "ana"
SECRET = b"pypi-" + secrets.token_urlsafe(60).encode()
BASIC = b"Basic " + base64.b64encode(USER.encode() + b":" + SECRET)
PROJECT = "mine"


def allow(_question: Header) -> Reply:
    """Answer each question of a relay with the credential."""
    return {"ok": True, "username": USER}, SECRET


def grant_of(
    port: int, host: str = "127.0.0.1", scheme: str = "https", passes: tuple[bytes, ...] = ()
) -> Grant:
    """Return what lets a run read below /simple/, publish PROJECT at /legacy/, and pass `passes`."""
    roots = ((b"simple",), (b"files",))
    paths = tuple((each,) for each in passes)
    return Grant("corp", scheme, host, port, roots, paths, (b"legacy", b""), (PROJECT,))


class RelayProcess:
    """A relay; `before` is a command that starts it, `patch` is Python that runs in it before it
    serves.

    `asked` has its questions and `told` its reports. `shown` is what the terminal of the run gets.
    """

    def __init__(
        self,
        *grants: Grant,
        answer: Callable[[Header], Reply] = allow,
        before: Sequence[str] = (),
        patch: str = "",
        now: float | None = None,
        environ: Mapping[str, str] | None = None,
        proxies: bytes = b"\n\n",
        **header: Any,
    ) -> None:
        self.capability = b"tokenward-run-" + secrets.token_urlsafe(32).encode()
        self.asked: list[Header] = []
        self.told: list[Header] = []
        self.reply = answer
        self._folder = tempfile.TemporaryDirectory(prefix="relay-", dir="/tmp")
        self.folder = Path(self._folder.name)
        self._shown = self.folder / "shown"
        self._before = before
        self._patch = patch
        self._environ = dict(environ or {})
        self._proxies = proxies
        hosts = [each.host for each in grants if each.scheme == "https"]
        made = int(time.time() if now is None else now)
        authority, leaves = make_certificates(hosts, made) if hosts else (b"", {})
        self.authority = authority
        self.header: Header = {
            "grants": [each.as_map() for each in grants],
            "leaves": leaves,
            "ca": "",
            "proxy": "",
            "direct": "",
            "spool": str(self.folder),
            "uid": os.geteuid(),
            "shared": None,
            "valid": validity(made),
            **header,
        }
        self._writing = threading.Lock()

    def __enter__(self) -> Self:
        self.start()
        self.write({**self.header, "job": "relay", "seconds": 0}, self.capability + self._proxies)
        told = self._read()
        assert told["ok"] is True, told
        self.port: int = told["port"]
        self._listener = threading.Thread(target=self._listen, daemon=True)
        self._listener.start()
        return self

    def start(self) -> None:
        """Start the process, and say nothing to it yet."""
        command = worker_command("relay")
        if self._patch:
            at = next(at for at, word in enumerate(command) if word.endswith("main.py"))
            patched = f"import sys; sys.path.extend(sys.argv[1:])\n{self._patch}\n"
            run = "from tokenward_agent.worker.main import main; main()"
            command = [*command[:at], "-c", patched + run, *command[at + 1 :]]
        self.channel, theirs = socket.socketpair()
        self._sender, self._receiver = self.channel.makefile("wb"), self.channel.makefile("rb")
        with theirs, self._shown.open("wb") as shown:
            os.set_inheritable(shown.fileno(), True)
            spread = [sys.executable, "-I", "-c", _AS_DESCRIPTOR_3, str(shown.fileno())]
            self.process = subprocess.Popen(
                [*self._before, *spread, *command],
                env=self._environ,
                pass_fds=[shown.fileno()],
                stdin=theirs.fileno(),
                stdout=theirs.fileno(),
                stderr=subprocess.DEVNULL,
                start_new_session=True,
                cwd="/",
            )

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self._listener.join(PATIENCE)
        self.close()

    def close(self) -> None:
        """Take away what is left of a process that has ended."""
        self.process.wait(PATIENCE)
        for pipe in (self._sender, self._receiver, self.channel):
            with contextlib.suppress(OSError):
                pipe.close()
        self._folder.cleanup()

    @property
    def pid(self) -> int:
        return self.process.pid

    @property
    def shown(self) -> str:
        return self._shown.read_text()

    @property
    def threads(self) -> int:
        return len(list(Path(f"/proc/{self.pid}/task").iterdir()))

    def write(self, header: Mapping[str, Any], secret: bytes = b"") -> None:
        """Say something as the agent."""
        said = {**header, "size": len(secret)}
        packed: bytes = msgpack.packb(said)  # pyright: ignore[reportAssignmentType] - never None here
        with self._writing:
            self._sender.write(len(packed).to_bytes(4, "big") + packed + secret)
            self._sender.flush()

    def hang_up(self) -> int:
        """Close the channel as an agent that died; return the exit code."""
        self.channel.shutdown(socket.SHUT_RDWR)
        return self.process.wait(PATIENCE)

    def wait_for(self, event: str, count: int = 1) -> list[Header]:
        """Wait for so many reports of a kind, or questions."""

        def found() -> list[Header]:
            matching = [each for each in self.told if each["tell"] == event]
            matching += [each for each in self.asked if each["ask"] == event]
            return matching if len(matching) >= count else []

        return until(found)

    def tool(self) -> Tool:
        """Return a new connection to its port."""
        return Tool(self)

    def still_serves(self, index_port: int, path: bytes = b"/simple/") -> None:
        """Check that a tool of the run is answered."""
        with self.tool() as tool:
            assert tool.enter("127.0.0.1", index_port).get(path, index_port)[0] == 200

    def _listen(self) -> None:
        with contextlib.suppress(OSError, ValueError, EOFError):
            while True:
                said = self._read()
                if "ask" not in said:
                    self.told.append(said)
                    continue
                self.asked.append(said)
                threading.Thread(target=self._answer, args=(said,), daemon=True).start()

    def _answer(self, question: Header) -> None:
        header, secret = self.reply(question)
        with contextlib.suppress(OSError, ValueError):
            self.write({**header, "id": question["id"]}, secret if header["ok"] else b"")

    def _read(self) -> Header:
        length = self._receiver.read(4)
        if len(length) < 4:
            raise EOFError
        packed = self._receiver.read(int.from_bytes(length, "big"))
        header: Header = msgpack.unpackb(packed)
        return header


_AS_DESCRIPTOR_3 = """
import os, sys
if int(sys.argv[1]) != 3:
    os.dup2(int(sys.argv[1]), 3)
os.execv(sys.argv[2], sys.argv[2:])
"""


@contextlib.contextmanager
def run_at(index: RawIndex, *grants: Grant, **more: Any) -> Iterator[RelayProcess]:
    """Have a relay serve a run that may use an index, which it trusts."""
    with tempfile.NamedTemporaryFile(prefix="ca-", dir="/tmp") as file:
        file.write(index.certificate)
        file.flush()
        with RelayProcess(*(grants or (grant_of(index.port),)), ca=file.name, **more) as relay:
            yield relay


class Tool:
    """One connection to a relay's port, which says what a test wants."""

    def __init__(self, relay: RelayProcess) -> None:
        self.relay = relay
        self.sock: socket.socket = socket.create_connection(("127.0.0.1", relay.port), PATIENCE)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.sock.close()

    def send(self, data: bytes) -> None:
        self.sock.sendall(data)

    def proof(self, name: bytes = b"Proxy-Authorization", user: bytes = b"run") -> bytes:
        """Return the header that shows the capability."""
        return name + b": Basic " + base64.b64encode(user + b":" + self.relay.capability) + b"\r\n"

    def connect(self, host: str, port: int) -> bytes:
        """Ask for a tunnel; return the head of the answer."""
        where = f"{host}:{port}".encode()
        self.send(
            b"CONNECT " + where + b" HTTP/1.1\r\nHost: " + where + b"\r\n" + self.proof() + b"\r\n"
        )
        return self.head()

    def enter(self, host: str, port: int, name: str | None = None) -> Self:
        """Open a tunnel to an index and speak TLS in it, trusting this run alone."""
        head = self.connect(host, port)
        assert b" 200 " in head, head
        context = ssl.create_default_context(cadata=self.relay.authority.decode())
        self.sock = context.wrap_socket(self.sock, server_hostname=name or host)
        return self

    def get(self, path: bytes, port: int, more: bytes = b"") -> tuple[int, bytes]:
        """Ask within a tunnel; return status and the rest of the answer."""
        self.send(b"GET " + path + b" HTTP/1.1\r\n" + host_line(port) + more + b"\r\n")
        return self.answer()

    def answer(self) -> tuple[int, bytes]:
        """Return the status and the whole of one answer, without interim ones."""
        while True:
            data = self.head()
            if not data:
                return 0, b""
            status = int(data.split(b" ", 2)[1])
            if status >= 200:
                break
        lower = data.lower()
        if b"content-length:" in lower:
            length = int(lower.partition(b"content-length:")[2].partition(b"\r\n")[0])
            while len(data.partition(b"\r\n\r\n")[2]) < length:
                more = self.recv()
                if not more:
                    break
                data += more
        else:
            data += self.rest()
        return status, data

    def head(self) -> bytes:
        """Return the head of an answer and no more, or what there is of it."""
        data = b""
        while not data.endswith(b"\r\n\r\n"):
            with contextlib.suppress(ConnectionError):
                more = self.sock.recv(1)
                data += more
                if more:
                    continue
            return data
        return data

    def recv(self) -> bytes:
        with contextlib.suppress(ConnectionError, ssl.SSLEOFError):
            return self.sock.recv(65536)
        return b""

    def rest(self) -> bytes:
        """Return all that comes until the other end hangs up."""
        data = b""
        while more := self.recv():
            data += more
        return data

    def reset(self) -> None:
        """End the connection by a reset."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        number = self.sock.detach()
        os.close(number)


def host_line(port: int, host: str = "127.0.0.1") -> bytes:
    return f"Host: {host}:{port}\r\n".encode()
