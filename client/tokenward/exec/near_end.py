"""The near end of a relay share: in a container or on another host, where a command runs behind it.

    TOKENWARD_SOCK=PATH auth exec -- CMD

The relay is at the other end of the socket at PATH. Tools speak to a proxy by TCP, so a *pump*, a
process of its own, listens on loopback. For each connection of a tool it makes one at PATH and moves
bytes both ways; it can read none of what is inside, which is TLS with the relay. The process that
was started becomes CMD. The pump ends with CMD, and with it the run, whose connection it holds.

Only what is for the indexes of the share, and for the hosts that it lends tunnels to, goes through
it. Every other host is reached by the network of this side, by its own proxies.

`auth share --near-end` prints this module with what it needs as one file (one_file.py), for any
Python from 3.9 on and without dependencies.
"""

from __future__ import annotations

import base64
import contextlib
import hmac
import os
import re
import select
import shutil
import signal
import socket
import sys

assert sys.platform != "win32"

import tempfile
import threading
from time import monotonic, sleep
from urllib.parse import unquote, urlsplit

from tokenward.errors import CommandError
from tokenward.exec.environment import Access, ExecIndex
from tokenward.exec.relay_environment import git_variables, relay_environment, run_variables
from tokenward.reach.certificates import (
    SYSTEM,
    without_missing_folders,
    write_authority,
    write_certificates,
)
from tokenward.reach.variables import ADDED_TRUST, former_trust
from tokenward.settings.service_names import env_form
from tokenward_os.tunnel import pump
from tokenward_protocol import ProtocolError
from tokenward_protocol.frames import PREFIX, find_frame, make_frame
from tokenward_protocol.packing import pack, unpack

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any, NoReturn

    Header = dict[str, Any]

SOCKET = "TOKENWARD_SOCK"

_ANSWER_SECONDS = 20.0
_HEAD_SECONDS = 120.0
_CONNECT_SECONDS = 20.0
_MOST_AT_ONCE = 4
"""Connections that the pump makes at the share at a time: it has room for few that wait."""

_MOST_TOOLS = 600
_TRIES = 8
_MAX_HEAD = 64 * 1024
_CHUNK = 64 * 1024
_CONNECT = re.compile(
    rb"CONNECT (?:\[([0-9A-Fa-f:.]+)\]|([^\s:/\[\]]+)):(\d{1,5}) HTTP/1\.[01]\r?\n"
)
_PLAIN = re.compile(
    rb"[A-Z]+ http://(?:\[([0-9A-Fa-f:.]+)\]|([^\s:/?#@\[\]]+))(?::(\d{1,5}))?(/[^\s]*)? HTTP/1\.[01]\r?\n"
)
_HOP = re.compile(rb"(?im)^(?:Proxy-Authorization|Proxy-Connection|Connection|Keep-Alive):.*\r?\n")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


class NotRelayShare(CommandError):  # noqa: N818 - a state of the world, and the name says it
    """What answers at the socket is an agent, or, if `is_share`, a share without a relay."""

    is_share = False


class Line:
    """One connection to the share."""

    def __init__(self, path: str) -> None:
        """Connect. Raises OSError."""
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._number = 0
        try:
            _connect(self.sock, path)
        except BaseException:
            self.sock.close()
            raise

    def ask(self, op: str, body: bytes = b"", **arguments: Any) -> tuple[Header, bytes]:
        """Return the answer to a request. Raises OSError and ProtocolError."""
        self._number += 1
        header = pack({"v": 1, "id": self._number, "op": op, **arguments})
        self.sock.settimeout(_ANSWER_SECONDS)
        self.sock.sendall(make_frame(header, body))
        data = bytearray()
        while (found := find_frame(memoryview(data))) is None:
            more = self.sock.recv(_CHUNK)
            if not more:
                raise ConnectionResetError("the share hung up")
            data += more
        start, end = found
        return unpack(bytes(data[PREFIX:start])), bytes(data[start:end])


def _connect(sock: socket.socket, path: str) -> None:
    """Connect; wait while the kernel turns clients away because too many connect (EAGAIN)."""
    end = monotonic() + _ANSWER_SECONDS
    while True:
        sock.settimeout(_ANSWER_SECONDS)
        try:
            sock.connect(path)
        except BlockingIOError:
            if monotonic() > end:
                raise
            sleep(0.01)
        else:
            return


def greet(path: str) -> Header:
    """Return what a relay share says of itself.

    Raises CommandError; NotRelayShare if another agent or share answers.
    """
    try:
        line = Line(path)
        with contextlib.closing(line.sock):
            header, _ = line.ask("hello")
    except OSError as failed:
        raise CommandError(
            f"No agent answers at {path}, which {SOCKET} names: {failed.strerror or failed}.",
            "`auth share --relay` on the share's host opens it",
        ) from None
    except ProtocolError:
        raise CommandError(f"What answers at {path} is not an agent of tokenward.") from None
    if header.get("relay") is not True:
        failure = NotRelayShare(
            f"The share at {path} has no relay: it hands out the credential itself.",
            "`auth exec --env` puts it into the environment of the command",
        )
        failure.is_share = header.get("directory") == ""
        raise failure
    return header


def enter(path: str, environ: Mapping[str, str], program: Sequence[str]) -> dict[str, str]:
    """Begin a run at the share, start its pump, and return the environment of CMD.

    This process is the one that becomes CMD. Raises CommandError.
    """
    listener = socket.create_server(("127.0.0.1", 0), backlog=128)
    port = listener.getsockname()[1]
    try:
        line = Line(path)
        header, body = line.ask("run", port=port)
    except (OSError, ProtocolError) as failed:
        raise CommandError(f"The share at {path} does not answer: {failed}.") from None
    if header.get("ok") is not True:
        raise CommandError(str(header.get("message")), str(header.get("hint") or ""))
    capability = body.decode("ascii")
    folder = tempfile.mkdtemp(prefix="tokenward-run-")
    try:
        indexes = [_exec_index(each) for each in header["indexes"]]
        urls = [
            url for each in header["indexes"] for url in (each["install"], each["publish"]) if url
        ]
        trust: dict[str, str] = {}
        file = ""
        if authority := str(header["ca"]).encode():
            names = [index.name for index in indexes if index.name]
            former = former_trust(without_missing_folders(environ), names)
            # A small image has no certificates of its own, and then none that the run's would replace.
            has_some = any(map(os.path.exists, SYSTEM))
            trust = write_certificates(
                former, ADDED_TRUST if has_some else tuple(former), folder, authority
            )
            file = write_authority(folder, authority)
        variables = run_variables(indexes, capability, port)
        installs = [index.install.url for index in indexes if index.install]
        if installs and os.path.basename(program[0]) in {"uv", "uvx"}:
            variables["UV_EXTRA_INDEX_URL"] = " ".join(installs)
        proxy = f"http://run:{capability}@127.0.0.1:{port}"
        sites = list(dict.fromkeys("/".join(url.split("/")[:3]) for url in urls))
        variables |= git_variables(environ, sites, proxy, file)
        origins = [_origin(url) for url in urls]
        hosts = list(dict.fromkeys(host for host, _ in origins))
        found = relay_environment(environ, variables, proxy, hosts, trust)
        lent = [
            (host, int(port))
            for each in header["tunnels"]
            for host, _, port in [each.rpartition(":")]
        ]
        pump = _Pump(path, line, listener, capability, folder, {*origins, *lent}, environ)
        _start(pump)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    return found


def _exec_index(index: Mapping[str, Any]) -> ExecIndex:
    name = str(index["name"])
    return ExecIndex(
        Access(index["publish"], "", "") if index["publish"] else None,
        Access(index["install"], "", "") if index["install"] else None,
        env_form(name) if _NAME.fullmatch(name) else None,
    )


def _origin(url: str) -> tuple[str, int]:
    """Return the host and port of a URL."""
    parts = urlsplit(url)
    return parts.hostname or "", parts.port or {"http": 80, "https": 443}[parts.scheme]


def _start(pump: _Pump) -> None:
    """Start the pump as a process that is not a child of CMD."""
    own = os.getpid()
    ended = os.pidfd_open(own) if hasattr(os, "pidfd_open") else -1
    child = os.fork()
    if child:
        os.waitpid(child, 0)
        if ended >= 0:
            os.close(ended)
        return
    try:
        os.setsid()
        if not os.fork():
            pump.run(own, ended)
    finally:
        os._exit(0)


class _Pump:
    """Moves bytes between tools and the share, until CMD ends."""

    def __init__(
        self,
        path: str,
        line: Line,
        listener: socket.socket,
        capability: str,
        folder: str,
        shared: set[tuple[str, int]],
        environ: Mapping[str, str],
    ) -> None:
        self._path = path
        self._line = line
        self._listener = listener
        self._capability = capability.encode()
        self._folder = folder
        self._shared = shared
        self._environ = environ
        self._room = threading.BoundedSemaphore(_MOST_TOOLS)
        self._turn = threading.BoundedSemaphore(_MOST_AT_ONCE)

    def run(self, command: int, ended: int) -> None:
        """Serve until the process `command` ends; `ended` is the kernel's handle on it, or -1."""
        null = os.open(os.devnull, os.O_RDWR)
        for number in (0, 1):  # whoever reads CMD's output waits for the end of all writers
            os.dup2(null, number)
        os.chdir("/")
        for ignored in (signal.SIGINT, signal.SIGHUP):
            signal.signal(ignored, signal.SIG_IGN)
        kept = {2, self._line.sock.fileno(), self._listener.fileno(), ended}
        _close_others(kept)
        if ended < 0:
            ended = _watch(command)
        threading.stack_size(256 * 1024)
        notices = self._notices()  # before a tool is led there, so that each refusal is told
        telling = threading.Thread(target=_tell, args=(notices,), daemon=True)
        telling.start()
        threading.Thread(target=self._accept, daemon=True).start()
        poll = select.poll()
        poll.register(ended, select.POLLIN)
        poll.register(self._line.sock, select.POLLIN)
        if ended not in dict(poll.poll()):  # the share has ended before CMD
            self._listener.close()
            _say("the share has ended, and with it what this command may use")
            poll.unregister(self._line.sock)
            poll.poll()
        if notices is not None:
            with contextlib.suppress(OSError):
                notices.shutdown(socket.SHUT_RD)  # what has arrived is still read
            telling.join(1)
        shutil.rmtree(self._folder, ignore_errors=True)

    def _accept(self) -> None:
        while True:
            try:
                tool, _ = self._listener.accept()
            except OSError:
                if self._listener.fileno() < 0:
                    return
                sleep(0.1)  # it is gone already, or there is no descriptor: wait for one
                continue
            if not self._room.acquire(blocking=False):
                tool.close()
                continue
            threading.Thread(target=self._serve, args=(tool,), daemon=True).start()

    def _serve(self, tool: socket.socket) -> None:
        try:
            with contextlib.closing(tool), contextlib.suppress(OSError, ProtocolError):
                tool.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                self._lead(tool, _read_head(tool))
        finally:
            self._room.release()

    def _lead(self, tool: socket.socket, data: bytes) -> None:
        """Lead a connection whose first bytes are read to the share, or past it."""
        head, _, rest = data.partition(b"\r\n\r\n")
        connect, plain = _CONNECT.match(data), _PLAIN.match(data)
        found = connect or plain
        host = "" if found is None else (found[1] or found[2]).decode("ascii", "replace").lower()
        port = 0 if found is None else int(found[3] or 80)
        if found is None or (host, port) in self._shared or not self._is_ours(head):
            far = self._stream()
            far.sendall(data)
            pump(tool, far)
            return
        scheme = "https" if connect else "http"
        proxy = _own_proxy(self._environ, scheme, host)
        try:
            where = (host, port) if proxy is None else (proxy[0], proxy[1])
            far = socket.create_connection(where, _CONNECT_SECONDS)
        except (OSError, UnicodeError):
            text = f"tokenward: {host} does not answer on this side of the share"
            tool.sendall(f"HTTP/1.1 502 {text}\r\nContent-Length: 0\r\n\r\n".encode())
            return
        if connect and proxy is None:
            tool.sendall(b"HTTP/1.1 200 \r\n\r\n")
            far.sendall(rest)
        else:
            line, _, fields = (head + b"\r\n").partition(b"\r\n")
            if plain and proxy is None:
                line = b"%s %s HTTP/1.1" % (line.split()[0], plain[4] or b"/")
            account = b"" if proxy is None else proxy[2]
            # A client may ask another host next on the same connection, so it gets but one answer.
            more = account + (b"" if connect else b"Connection: close\r\n")
            far.sendall(line + b"\r\n" + _HOP.sub(b"", fields) + more + b"\r\n" + rest)
        pump(tool, far)

    def _is_ours(self, head: bytes) -> bool:
        """Tell whether a request shows the capability, as CMD's do."""
        pair = base64.b64encode(b"run:" + self._capability)
        shown = re.search(rb"(?im)^Proxy-Authorization:[ \t]*Basic[ \t]+(\S+)[ \t]*\r?$", head)
        return shown is not None and hmac.compare_digest(shown[1], pair)

    def _stream(self, **arguments: bool) -> socket.socket:
        """Return a connection to the relay. Raises OSError."""
        for left in reversed(range(_TRIES)):
            try:
                with self._turn:
                    line = Line(self._path)
                    try:
                        header, _ = line.ask("stream", self._capability, **arguments)
                    except BaseException:
                        line.sock.close()
                        raise
            except OSError:
                if not left:
                    raise
                sleep(0.05)  # the share had no room
                continue
            if header.get("ok") is True:
                return line.sock
            line.sock.close()
            break
        raise ConnectionRefusedError("the share takes no connection")

    def _notices(self) -> socket.socket | None:
        """Return where the relay tells what it has to tell, None if the share takes no more."""
        try:
            found = self._stream(notices=True)
        except (OSError, ProtocolError):
            return None
        found.settimeout(None)
        return found


def _tell(notices: socket.socket | None) -> None:
    """Write what the relay has to tell where CMD writes its errors."""
    with contextlib.suppress(OSError):
        while notices is not None and (data := notices.recv(_CHUNK)):
            os.write(2, data)


def _close_others(kept: set[int]) -> None:
    """Close what was open in the process that becomes CMD: others may wait for its end."""
    highest = min(os.sysconf("SC_OPEN_MAX"), 1 << 16)
    before = 0
    for number in sorted(each for each in kept if each >= 0):
        os.closerange(max(before, 3), number)
        before = number + 1
    os.closerange(max(before, 3), highest)


def _watch(command: int) -> int:
    """Return a descriptor that can be read once a process has ended, for kernels without pidfds."""
    reader, writer = os.pipe()
    begun = _start_time(command)

    def watch() -> None:
        while _start_time(command) == begun:
            sleep(0.5)
        os.close(writer)

    threading.Thread(target=watch, daemon=True).start()
    return reader


def _start_time(process: int) -> object:
    """Return what tells a process from a later one with its number; None if it has ended."""
    try:
        with open(f"/proc/{process}/stat", "rb") as file:
            words = file.read().rpartition(b")")[2].split()
        return None if words[0] == b"Z" else words[19]
    except OSError:
        pass
    try:
        os.kill(process, 0)
    except OSError:
        return None
    return True


def _read_head(tool: socket.socket) -> bytes:
    """Return the first bytes of a tool, up to the end of a request's head at least, if it is one."""
    end = monotonic() + _HEAD_SECONDS
    data = b""
    while b"\r\n\r\n" not in data and len(data) < _MAX_HEAD:
        tool.settimeout(max(end - monotonic(), 0.001))
        more = tool.recv(_CHUNK)
        if not more:
            break
        data += more
    return data


def _own_proxy(environ: Mapping[str, str], scheme: str, host: str) -> tuple[str, int, bytes] | None:
    """Return the host, port and header line of this side's proxy for a host; None without one."""
    variables = (f"{scheme}_proxy", f"{scheme.upper()}_PROXY", "all_proxy", "ALL_PROXY")
    value = next((environ[name] for name in variables if environ.get(name)), "")
    without = environ.get("no_proxy") or environ.get("NO_PROXY") or ""
    entries = [each.strip().lower() for each in without.split(",")]
    names = [each.lstrip("*").lstrip(".") for each in entries]
    if (
        not value
        or "*" in entries
        or any(f".{host}".endswith(f".{each}") for each in names if each)
    ):
        return None
    parts = urlsplit(value if "://" in value else f"http://{value}")
    if parts.scheme != "http" or not parts.hostname:
        return "", 0, b""  # a proxy of another kind: nothing answers there
    account = b""
    if parts.username is not None:
        pair = f"{unquote(parts.username)}:{unquote(parts.password or '')}".encode()
        account = b"Proxy-Authorization: Basic " + base64.b64encode(pair) + b"\r\n"
    return parts.hostname, parts.port or 80, account


def _say(text: str) -> None:
    with contextlib.suppress(OSError):
        os.write(2, f"tokenward: {text}\n".encode())


def main(words: Sequence[str]) -> NoReturn:
    """Run the command of `words` behind the share that TOKENWARD_SOCK names."""
    program = [*words[1:]] if words[:1] == ["--"] else [*words]
    try:
        path = os.environ.get(SOCKET, "")
        if not path:
            raise CommandError(
                f"{SOCKET} does not name the socket of a share.",
                "`auth share --relay` on the share's host prints its path",
            )
        if not program:
            raise CommandError("The command to run is missing.", "name it behind `--`")
        greet(path)
        environ = enter(path, os.environ, program)
        for ignored in (signal.SIGPIPE, signal.SIGXFSZ):  # Python ignores them
            signal.signal(ignored, signal.SIG_DFL)
        try:
            os.execvpe(program[0], program, environ)  # noqa: S606 - the user asked for no shell
        except OSError as failed:
            name = os.path.basename(program[0])
            problem = f"{name} cannot be started: {failed.strerror}."
        raise CommandError(problem)
    except CommandError as error:
        _say(str(error))
        if error.hint:
            os.write(2, f"hint: {error.hint}\n".encode())
        sys.exit(2)
