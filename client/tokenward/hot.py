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

from tokenward.keyring_program import agent_client as agent

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

ANSWER_SECONDS = 10.0

FIXED = {"pypi": "https://upload.pypi.org/legacy/", "testpypi": "https://test.pypi.org/legacy/"}
"""The two most frequent services, as urls.py has them, so that it need not be imported."""

_MAX_SETTINGS = 64 * 1024


def run(service: str) -> int | None:
    """Print the secret for `service` and return 0, or None: take the full route."""
    try:
        line = _find(service)
    except (OSError, ValueError, OverflowError, LookupError, TypeError, RecursionError):
        return None  # a ServiceError is a ValueError; the full route raises and reports it
    return None if line is None else _print(memoryview(line))


def _find(service: str) -> bytes | None:
    """Return the line with the secret. Raises the exceptions of `fetch`, and ServiceError."""
    environ = os.environ
    home = environ.get("HOME", "")
    # With stdout closed, the next descriptor opened, the agent's socket, would be taken for it.
    if sys.stdout is None or not home.startswith("/") or _is_set_otherwise(environ):
        return None
    asked = _arguments(service)
    if asked is None:
        return None
    chosen = environ.get("TOKENWARD_SOCK") or environ.get("TOKENWARD_DIR")
    if not chosen and not all(map(_is_silent, agent.settings_files())):
        return None
    where = agent.address()
    if where is None:
        return None
    socket, directory = where
    if directory is not None and not agent.is_private(os.path.dirname(socket)):
        return None
    answer, secret = agent.fetch(socket, {**asked, "dir": directory, "whole": True}, ANSWER_SECONDS)
    return secret + b"\n" if answer["id"] == 1 and answer["ok"] is True else None


def _is_set_otherwise(environ: Mapping[str, str]) -> bool:
    """Return whether a variable of uv may answer, or names its settings; or this is a run."""
    return bool(environ.get(agent.RUN)) or any(
        name.startswith(("UV_PUBLISH_", "UV_INDEX_", "UV_CONFIG_FILE", "UV_NO_CONFIG"))
        and environ[name]
        for name in environ
    )


def _arguments(service: str) -> dict[str, str | bool | None] | None:
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
    return {"service": parsed.key, "username": parsed.username or None}


def _is_silent(path: str) -> bool:
    """Return whether a file cannot name another credentials directory. Raises OSError."""
    try:
        file = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except (FileNotFoundError, NotADirectoryError):
        return True
    try:
        data = os.read(file, _MAX_SETTINGS)
    finally:
        os.close(file)
    return len(data) < _MAX_SETTINGS and not any(mark in data for mark in agent.TELLING)


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
