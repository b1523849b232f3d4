"""The shortest route: `auth token` and `auth token SERVICE`, with next to nothing imported.

It answers only if a running agent alone decides the answer, and otherwise returns None from `run`
before anything is printed; then the full commands take over. So the two routes cannot give
different answers. It gives up if

- a variable of uv might hold the credential, or name other settings;
- it runs behind a relay, where no credential is handed out;
- a settings file of the user might choose another credentials directory. No TOML is parsed: the
  bytes `auth-cache-dir`, or an escape in which they could be spelled, are enough. A malformed file
  is reported by the full commands;
- SERVICE is a name that files define, has a password, or needs a message to the user;
- no agent runs, it is not ours, or its answer is anything but the secret.

Windows has no short route: loading the code for a pipe costs more than it saves. The secret goes
from the socket to standard output as bytes.
"""

from __future__ import annotations

import os
import sys

assert sys.platform != "win32"

from time import monotonic

from tokenward.errors import CommandError
from tokenward.transport import address
from tokenward.transport.socket_stream import open_stream
from tokenward_protocol import WIRE_VERSION, ProtocolError, places
from tokenward_protocol.frames import PREFIX, find_frame, make_frame
from tokenward_protocol.packing import pack, unpack

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tokenward_protocol.packing import Value

ANSWER_SECONDS = 10.0

FIXED = {"pypi": "https://upload.pypi.org/legacy/", "testpypi": "https://test.pypi.org/legacy/"}
"""The two most frequent services, as urls.py has them, so that it need not be imported."""

_MAX_SETTINGS = 64 * 1024
_TELLING = (b"auth-cache-dir", b"\\u", b"\\U", b"\\x")


def run(service: str) -> int | None:
    """Print the secret for `service` and return 0, or None: take the full route."""
    try:
        return _run(service)
    except (CommandError, ProtocolError, OSError, ValueError):
        return None  # a ServiceError is a ValueError; the full route raises and reports it


def _run(service: str) -> int | None:
    environ = os.environ
    home = environ.get("HOME", "")
    # With stdout closed, the next descriptor opened, the agent's socket, would be taken for it.
    if sys.stdout is None or not home.startswith("/") or _is_set_otherwise(environ):
        return None
    asked = _arguments(service)
    if asked is None:
        return None
    socket = environ.get("TOKENWARD_SOCK")
    if not socket:
        state = places.state_directory(sys.platform, environ, home)
        if not environ.get("TOKENWARD_DIR") and not _are_settings_silent(environ, home, state):
            return None
        base = address.runtime_directory(environ, state)
        if base is None:
            return None
        ordinary = os.path.realpath(places.data_directory(sys.platform, environ, home))
        directory = os.path.realpath(environ.get("TOKENWARD_DIR") or ordinary)
        asked["dir"] = directory
        socket = f"{base}/{places.socket_name(directory, ordinary)}"
    secret = _fetch(socket, asked)
    return None if secret is None else _print(secret)


def _is_set_otherwise(environ: Mapping[str, str]) -> bool:
    """Return whether a variable of uv may answer, or names its settings; or this is a run."""
    if environ.get("TOKENWARD_RELAY"):
        return True
    for name in environ:
        if name.startswith("UV_") and environ[name]:
            if name.startswith(("UV_PUBLISH_", "UV_INDEX_")):
                return True
            if name in {"UV_CONFIG_FILE", "UV_NO_CONFIG"}:
                return True
    return False


def _arguments(service: str) -> dict[str, Value] | None:
    """Return the arguments of the request."""
    key = FIXED.get(service)
    if key is not None:
        return {"service": key}
    from tokenward_protocol.urls import is_name, parse_service_url

    if is_name(service):
        return None
    parsed = parse_service_url(service)
    if parsed.notice or parsed.password:
        return None
    if parsed.username:
        return {"service": parsed.key, "username": parsed.username}
    return {"service": parsed.key}


def _are_settings_silent(environ: Mapping[str, str], home: str, state: str) -> bool:
    """Return whether no file of the user can name another credentials directory."""
    if os.path.lexists(f"{state}/trusted.json"):
        return False
    return all(_is_silent(path) for path in _settings_files(environ, home))


def _settings_files(environ: Mapping[str, str], home: str) -> Iterator[str]:
    yield environ.get("TOKENWARD_CONFIG") or (
        f"{places.config_directory(sys.platform, environ, home)}/config.toml"
    )
    yield places.uv_file(environ, home)
    yield from places.uv_system_files(environ)


def _is_silent(path: str) -> bool:
    try:
        file = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except (FileNotFoundError, NotADirectoryError):
        return True
    try:
        data = os.read(file, _MAX_SETTINGS)
    finally:
        os.close(file)
    return len(data) < _MAX_SETTINGS and not any(mark in data for mark in _TELLING)


def _fetch(socket: str, asked: dict[str, Value]) -> memoryview | None:
    """Ask the agent; return None for every answer but the secret."""
    stream = open_stream(socket)
    try:
        if stream.stranger is not None:
            return None
        deadline = monotonic() + ANSWER_SECONDS
        header = pack({"v": WIRE_VERSION, "id": 1, "op": "fetch", "whole": True, **asked})
        stream.send(make_frame(header), deadline)
        received = b""
        while (ends := find_frame(memoryview(received))) is None:
            more = stream.receive(deadline)
            if not more:
                return None
            received += more
    finally:
        stream.close()
    body, end = ends
    answer = unpack(memoryview(received)[PREFIX:body])
    if answer.get("id") != 1 or answer.get("ok") is not True or len(received) != end:
        return None
    return memoryview(received + b"\n")[body:]


def _print(line: memoryview) -> int | None:
    """Write the line to standard output; return None if that fails before any output."""
    rest = line
    try:
        while rest:
            rest = rest[os.write(1, rest) :]
    except BrokenPipeError:
        return 2  # stdout has no reader
    except OSError as error:
        if len(rest) == len(line):
            return None
        from tokenward.ui.terminal import Terminal

        Terminal(os.environ).fail(f"Standard output cannot be written: {error.strerror}.")
        return 2
    return 0
