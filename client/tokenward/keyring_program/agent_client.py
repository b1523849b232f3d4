"""The one small client of the agent, for what cannot wait for the protocol's package, or has none.

It does what transport/ and that package do, for one request: of the shortest route (hot.py), of the
`keyring` program, and of keyring's backend. This file becomes part of the one that `auth setup
keyring` writes, for any Python from 3.9 on and without dependencies (docs/adr/0008). It speaks
version 1 of docs/PROTOCOL.md, which every agent will speak. It parses no settings file and starts
nothing; `tokenward.keyring_relay` does that.
"""

from __future__ import annotations

import os
import stat
import sys
from time import monotonic, sleep

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

TELLING = (b"auth-cache-dir", b"\\u", b"\\U", b"\\x")
"""A settings file without any of these bytes chooses no credentials directory."""

_SCREEN = {
    "bus": "DBUS_SESSION_BUS_ADDRESS",
    "display": "DISPLAY",
    "wayland": "WAYLAND_DISPLAY",
    "xauthority": "XAUTHORITY",
    "term": "TERM",
}
_LOCAL_PEERCRED = 1  # sys/un.h of macOS, at level SOL_LOCAL 0; one for every Mac, like the next
_CS_DARWIN_USER_TEMP_DIR = 65537  # unistd.h
_TEXT, _MAP, _ARRAY = 0xA0, 0x80, 0x90
_CONSTANTS = {0xC0: None, 0xC2: False, 0xC3: True}
_WIDE = {
    **{0xCC + i: (1, 1 << i) for i in range(4)},
    **{0xD0 + i: (-1, 1 << i) for i in range(4)},
    **{0xD9 + i: (_TEXT, 1 << i) for i in range(3)},
    **{0xDC + i: (_ARRAY, 2 << i) for i in range(2)},
    **{0xDE + i: (_MAP, 2 << i) for i in range(2)},
}
"""msgpack's forms with a number after the first byte: their kind (-1: signed) and its width."""

RUN = "TOKENWARD_RELAY"
"""Set for a command behind a relay (tokenward_protocol/messages.py): tools get nothing of ours."""

TOOL = "TOKENWARD_KEYRING_FOR"
"""In this variable the `keyring` script gives the pid of the process that it asks for."""

_TOLD: set[str] = set()
_MANY = 4096
"""The size in bytes from which the list of notified tools is started anew."""

_LONGEST_TEXT = 1024
_VAULTS = ("keyring", "disabled")

_LONGEST = 4 + 256 * 1024
"""The maximum length of a frame in bytes, its length field included."""


def address() -> tuple[str, str | None] | None:
    """Return the agent's socket and the credentials directory; None if files must be parsed for it.

    The directory is None if the user named the socket: then every agent there is accepted.
    """
    environ = os.environ
    if given := environ.get("TOKENWARD_SOCK"):
        return given, None
    if sys.platform == "win32":
        return None
    state = _xdg("XDG_STATE_HOME", ".local/state", "tokenward")
    chosen = environ.get("TOKENWARD_DIR")
    if not chosen:
        if environ.get("UV_CONFIG_FILE") or os.path.lexists(f"{state}/trusted.json"):
            return None
        if any(mark in data for data in map(read_start, settings_files()) for mark in TELLING):
            return None
    ordinary = os.path.realpath(_xdg("XDG_DATA_HOME", ".local/share", "tokenward"))
    directory = os.path.realpath(chosen or ordinary)
    shared = [environ.get("XDG_RUNTIME_DIR", ""), f"/run/user/{os.geteuid()}"]
    if sys.platform == "darwin":
        shared[1] = os.confstr(_CS_DARWIN_USER_TEMP_DIR) or ""
    places = [f"{base.rstrip('/')}/tokenward" for base in shared if base.startswith("/")]
    place = next(filter(is_private, places), f"{state}/run")
    name = "agent" if directory == ordinary else directory_tag(directory)
    return f"{place}/{name}.sock", directory


def settings_files() -> list[str]:
    """Return the files, which may not exist, that can choose the credentials directory."""
    bases = [b for b in os.environ.get("XDG_CONFIG_DIRS", "").split(":") if b.startswith("/")]
    files = [config_file(), _xdg("XDG_CONFIG_HOME", ".config", "uv/uv.toml", mac=False)]
    return files + [f"{base}/uv/uv.toml" for base in [*(bases or ["/etc/xdg"]), "/etc"]]


def recorded_address(directory: str) -> str | None:
    """Return where the agent of a directory says it is: it may be in another environment."""
    if sys.platform == "win32":
        return None
    try:
        with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
            host = f"{file.read().strip()}-{os.readlink('/proc/self/ns/pid')[5:-1]}"
    except OSError:
        host = directory_tag(os.uname().nodename)
    path = _xdg(
        "XDG_STATE_HOME", ".local/state", f"tokenward/{directory_tag(directory)}/agent-{host}"
    )
    try:
        found = os.lstat(path)
    except OSError:
        return None
    if found.st_uid != os.geteuid() or found.st_mode != 0o100600:
        return None
    told, end, _ = read_start(path).decode(errors="replace").partition("\n")
    return told if end and told.startswith("/") else None


def is_listed(directory: str, service: str) -> bool | None:
    """Return by the agent's list whether a credential is stored for a service; None without a list.

    True, too, if that cannot be decided without the rules for URLs (ADR 21).
    """
    import json
    from hashlib import blake2s

    path = _xdg(
        "XDG_STATE_HOME", ".local/state", f"tokenward/{directory_tag(directory)}/stored.json"
    )
    try:
        held = json.loads(read_start(path, 1 << 24))
        key = bytes.fromhex(held["key"])
        origins = {each for name in _VAULTS if name in held for each in held[name]["origins"]}
    except (ValueError, LookupError, TypeError):
        return None
    here = _origin(service)
    names = {service, here or service}
    texts = (name.encode(errors="surrogatepass") for name in names)
    hashes = {blake2s(each, key=key, digest_size=16).hexdigest() for each in texts}
    return here is None or not hashes.isdisjoint(origins)


def may_have_recipes(directory: str) -> bool:
    """Return whether commands may make credentials for a directory: then no vault is needed."""
    path = _xdg(
        "XDG_STATE_HOME", ".local/state", f"tokenward/{directory_tag(directory)}/recipes.toml"
    )
    return os.path.lexists(path) or b"command" in read_start(config_file())


def is_left(service: str) -> bool:
    """Return whether `leave` in config.toml leaves the host of a service to other keyrings."""
    return is_covered(service, left_hosts(read_start(config_file())))


def left_hosts(config: bytes) -> list[str]:
    """Return what config.toml has as `leave` at its top; no TOML is parsed, and hosts need none."""
    top = (b"\n" + config).partition(b"\n[")[0].decode(errors="replace")
    lines = (line.partition("#")[0] for line in top.split("\n"))
    for line in lines:
        name, mark, value = line.partition("=")
        if mark and name.strip().strip("\"'") == "leave":
            while "]" not in value:
                value += next(lines, "]")
            words = value.partition("[")[2].partition("]")[0].split(",")
            return [host for host in (word.strip().strip("\"'") for word in words) if host]
    return []


def is_covered(service: str, hosts: list[str] | tuple[str, ...]) -> bool:
    """Return whether one of the hosts, in which `*` stands for one label, is that of a service."""
    if not hosts:
        return False
    rest = service.partition("://")[2] or service
    authority = rest.partition("?")[0].partition("#")[0].partition("/")[0].rpartition("@")[2]
    labels = authority.partition(":")[0].lower().removesuffix(".").split(".")
    for host in hosts:
        wanted = host.lower().split(".")
        if len(wanted) == len(labels) and all(map(_is_label, wanted, labels)):
            return True
    return False


def _is_label(wanted: str, label: str) -> bool:
    return wanted in ("*", label)


def _origin(service: str) -> str | None:
    """Return scheme, host and port as the agent spells them; None if that needs all its rules."""
    scheme, mark, rest = service.partition("://")
    if not mark:
        return service
    authority = rest.partition("?")[0].partition("#")[0].partition("/")[0].rpartition("@")[2]
    host, colon, port = authority.lower().partition(":")
    host = host.removesuffix(".")
    usual = "443" if scheme.lower() == "https" else "80"
    if not host.isascii() or not host.replace(".", "").replace("-", "").isalnum():
        return None
    if colon and not (port.isascii() and port.isdigit() and len(port) < 6):
        return None
    port = "" if int(port or usual) == int(usual) else f":{int(port)}"
    if not port and scheme.lower() == "https" and host in {"pypi.org", "www.pypi.org"}:
        host = "upload.pypi.org"
    return f"{scheme.lower()}://{host}{port}"


def directory_tag(text: str) -> str:
    """Return the tag of a credentials directory, as the protocol's places.py has it."""
    data = text.encode("utf-8", "surrogateescape")
    try:  # without OpenSSL, which hashlib loads
        made = __import__("_sha2" if sys.version_info >= (3, 12) else "_sha256").sha256(data)
    except ImportError:
        import hashlib

        made = hashlib.sha256(data)
    digest: str = made.hexdigest()
    return digest[:16]


def _xdg(variable: str, default: str, name: str, *, mac: bool = True) -> str:
    base = os.environ.get(variable, "")
    if not base.startswith("/"):
        apple = mac and sys.platform == "darwin"
        base = os.path.expanduser("~/" + ("Library/Application Support" if apple else default))
    return f"{base.rstrip('/')}/{name}"


def config_file() -> str:
    """Return the path of config.toml, which may not exist."""
    named = os.environ.get("TOKENWARD_CONFIG")
    return named or _xdg("XDG_CONFIG_HOME", ".config", "tokenward/config.toml")


def read_start(path: str, most: int = 65536) -> bytes:
    """Return the beginning of a file, or b"" if it cannot be read."""
    try:
        file = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
        try:
            return os.read(file, most)
        finally:
            os.close(file)
    except OSError:
        return b""


def is_private(path: str) -> bool:
    """Return whether this is a directory of the user, closed to others; always False on Windows."""
    if sys.platform == "win32":
        return False
    try:
        found = os.lstat(path)
    except OSError:
        return False
    return found.st_mode & ~0o2000 == 0o40700 and found.st_uid == os.geteuid()


def fetch(
    path: str, asked: dict[str, str | bool | None], seconds: float
) -> tuple[dict[str, Any], bytes]:
    """Return header and body of the answer of the agent at `path` to a fetch with these arguments.

    An argument that is not text is sent as true.

    Raises TimeoutError if `seconds` were not enough, another OSError (also if another user's agent
    is at our address), OverflowError if the question is longer than anything that could be stored,
    and ValueError, LookupError, TypeError or RecursionError if the answer is malformed.
    """
    if sys.platform == "win32":
        raise ConnectionRefusedError(path)
    import _socket

    given = [(key, value) for key, value in asked.items() if value is not None]
    header = bytes([0x83 + len(given)]) + b"\xa1v\x01\xa2id\x01\xa2op\xa5fetch"
    for key, value in given:
        header += _text(key) + (_text(value) if isinstance(value, str) else b"\xc3")
    size = len(header)
    request = (2 + size).to_bytes(4, "big") + size.to_bytes(2, "big") + header
    deadline = monotonic() + seconds
    connection = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM)
    try:
        owner = os.stat(path).st_uid
        _connect(connection, path, deadline)
        if sys.platform == "darwin":
            credentials = connection.getsockopt(0, _LOCAL_PEERCRED, 76)
            whole = len(credentials) == 76
        else:
            credentials = connection.getsockopt(_socket.SOL_SOCKET, _socket.SO_PEERCRED, 12)
            whole = len(credentials) == 12
        server = int.from_bytes(credentials[4:8], sys.byteorder)
        if not whole or (asked["dir"] and not {owner, server} <= {os.geteuid(), 0}):
            raise PermissionError(path)  # another user's agent; allowed only if the user named it
        connection.sendall(request)
        data = b""
        while len(data) < 6 or len(data) < 4 + int.from_bytes(data[:4], "big"):
            if len(data) > _LONGEST:
                raise ValueError(path)
            if (left := deadline - monotonic()) <= 0:
                raise TimeoutError(path)
            connection.settimeout(left)
            if not (more := connection.recv(65536)):
                raise ConnectionAbortedError(path)
            data += more
    except _socket.timeout:  # a class of its own before Python 3.10
        raise TimeoutError(path) from None
    except KeyboardInterrupt:
        if "attended" in asked:  # closing the connection ends the agent's prompt on this terminal
            connection.shutdown(_socket.SHUT_WR)
            connection.settimeout(1)
            connection.recv(1)
        raise
    finally:
        connection.close()
    if len(data) != 4 + int.from_bytes(data[:4], "big"):
        raise ValueError(path)
    body = 6 + int.from_bytes(data[4:6], "big")
    return _read(data[:body], 6)[0], data[body:]


def is_first_time(me: str = "") -> bool:
    """Return True once for each tool, so that each prints only one notice.

    The tool is `me` (a pid), else this process, or the caller of a `keyring` program. The list is in
    a file of the state folder; without that folder only this process remembers.
    """
    me = me or _tool()
    told = read_start(f"/proc/{me}/stat").rpartition(b")")[2].split()
    me += "-".join(["", *(each.decode() for each in told[19:20])])  # its start time
    if me in _TOLD:
        return False
    _TOLD.add(me)
    path = _xdg("XDG_STATE_HOME", ".local/state", "tokenward/told")
    line = f"{me}\n".encode()
    before = read_start(path)
    if line in before:
        return False
    try:
        flags = os.O_WRONLY | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0)
        flags |= os.O_TRUNC if len(before) > _MANY else os.O_APPEND
        file = os.open(path, flags, 0o600)
        try:
            os.write(file, line)
        finally:
            os.close(file)
    except OSError:
        pass
    return True


def say(text: str) -> None:
    """Write a line for the user to stderr, and to pip's: pip hides that of its `keyring` program."""
    line = f"tokenward: {text}\n"
    try:
        if sys.stderr is not None:
            sys.stderr.write(line)
        if sys.platform == "win32":
            return
        tool = f"/proc/{_tool()}"
        theirs = f"{tool}/fd/2"
        own, there = os.fstat(2), os.stat(theirs)
        seen = stat.S_ISFIFO(there.st_mode) or stat.S_ISCHR(there.st_mode)
        if seen and not os.path.samestat(own, there) and _is_pip(read_start(f"{tool}/cmdline")):
            flags = os.O_WRONLY | os.O_NONBLOCK | os.O_NOCTTY  # do not wait for a reader
            file = os.open(theirs, flags)
            try:
                os.write(file, line.encode(errors="replace"))
            finally:
                os.close(file)
    except (OSError, ValueError):
        pass  # stderr is closed, the terminal is gone, or there is no /proc


def _is_pip(argv: bytes) -> bool:
    """Return whether this is pip: its script, `-m pip`, or the runner of an isolated build."""
    words = argv.split(b"\0")[:4]
    return any(b"pip" in word.rpartition(b"/")[2] or b"/pip/" in word for word in words)


def _tool() -> str:
    """Return the pid of the tool: this process, or the caller of a `keyring` program."""
    me = os.environ.get(TOOL, "")
    if me.isdigit():
        return me
    name = (sys.argv or [""])[0].replace("\\", "/").replace("/__main__.py", "")
    called = name.rpartition("/")[2] in {"keyring", "keyring.exe"}
    return str(os.getppid() if called else os.getpid())


def bus() -> str | None:
    """Return the session bus if its keyring is there, for an agent with none or an old one."""
    address = os.environ.get(_SCREEN["bus"], "")
    return address if address.isascii() and 0 < len(address) <= _LONGEST_TEXT else None


def screen() -> dict[str, str | bool | None]:
    """Return the arguments that let the agent prompt the user; the caller then has to wait."""
    given = {key: os.environ.get(name) or None for key, name in _SCREEN.items()}
    return {"attended": True, **given}


def _connect(connection: Any, path: str, deadline: float) -> None:
    """Connect; wait while the kernel turns clients away because too many connect (EAGAIN)."""
    while (left := deadline - monotonic()) > 0:
        connection.settimeout(left)
        try:
            connection.connect(path)
        except BlockingIOError:
            sleep(0.005)
        else:
            return
    raise TimeoutError(path)


def _text(text: str) -> bytes:
    data = text.encode()
    return b"\xda" + len(data).to_bytes(2, "big") + data


def _read(data: bytes, at: int) -> tuple[Any, int]:
    """Read one value of the protocol's msgpack, and return it with the offset after it."""
    code, at = data[at], at + 1
    if code < 0x80 or code >= 0xE0:
        return (code if code < 0x80 else code - 0x100), at
    if code in _CONSTANTS:
        return _CONSTANTS[code], at
    if code < 0xC0:
        short = 0x0F if code < _TEXT else 0x1F
        kind, size = code & ~short, code & short
    else:
        kind, width = _WIDE[code]
        size, at = int.from_bytes(data[at : at + width], "big", signed=kind < 0), at + width
    if abs(kind) == 1:
        return size, at
    if kind == _TEXT:
        return data[at : at + size].decode(), at + size
    values = []
    for _ in range(2 * size if kind == _MAP else size):
        value, at = _read(data, at)
        values.append(value)
    if kind == _MAP:
        return {values[i]: values[i + 1] for i in range(0, 2 * size, 2)}, at
    return values, at
