"""Where credentials for indexes lie in plain text beside us: named by place, never by value.

`~/.pypirc`, the store of `uv auth`, and `~/.netrc`. Such a file that others can read is a problem;
one that only its owner can read is a warning: every program of the user, every backup has it.
"""

from __future__ import annotations

import netrc
import os
import shlex
import stat
from functools import partial
from urllib.parse import urlsplit

from tokenward import pypirc
from tokenward.checks.finding import ok, problem, warning
from tokenward.errors import CommandError
from tokenward.files import parse_toml, read
from tokenward.layout import listed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from tokenward.checks.finding import Finding

CHECK = "plain text"


def findings(environ: Mapping[str, str], home: str, hosts: Iterable[str]) -> Iterator[Finding]:
    """Look through the three files; `hosts` are those of the user's indexes."""
    places: dict[str, Callable[[str], list[str]]] = {
        f"{home}/.pypirc": _in_pypirc,
        _uv_store(environ, home): _in_uv_store,
        environ.get("NETRC") or f"{home}/.netrc": partial(_in_netrc, set(hosts)),
    }
    found = False
    for path, look in places.items():
        try:
            names = look(path)
        except CommandError as error:
            yield warning(CHECK, str(error), error.hint or f"`ls -l {shlex.quote(path)}`")
            continue
        if names:
            found = True
            yield _finding(path, names)
    if not found:
        yield ok(CHECK, "No credential for an index lies in .pypirc, in uv's store or in .netrc.")


def _finding(path: str, names: list[str]) -> Finding:
    message = f"{path} has the secret of {listed(names)} in plain text"
    mode = stat.S_IMODE(os.stat(path).st_mode)
    if mode & 0o077:
        return problem(
            CHECK, f"{message}, and others can read it (mode {mode:o}).", f"`chmod 600 {path}`"
        )
    return warning(CHECK, f"{message}.", "`auth login`, then take it out of the file")


def _in_pypirc(path: str) -> list[str]:
    return [f"[{server.name}]" for server in pypirc.load(path) if server.password]


def _uv_store(environ: Mapping[str, str], home: str) -> str:
    """Return the path of the file in which `uv auth login` keeps what it is given."""
    data = environ.get("XDG_DATA_HOME", "")
    folder = environ.get("UV_CREDENTIALS_DIR") or (
        f"{data if os.path.isabs(data) else f'{home}/.local/share'}/uv/credentials"
    )
    return os.path.join(os.path.abspath(folder), "credentials.toml")


def _in_uv_store(path: str) -> list[str]:
    if (data := read(path)) is None:
        return []
    entries = parse_toml(data, path).get("credential", [])
    tables = [entry for entry in entries if isinstance(entry, dict)] if entries else []
    return list(dict.fromkeys(_host(str(entry.get("service", ""))) for entry in tables))


def _in_netrc(hosts: set[str], path: str) -> list[str]:
    if (data := read(path)) is None:
        return []
    del data  # it is there, an ordinary file and not too long
    try:
        entries = netrc.netrc(path).hosts
    except netrc.NetrcParseError as error:  # its message may quote the file
        raise CommandError(f"{path} cannot be understood (line {error.lineno}).") from None
    except (OSError, UnicodeDecodeError):
        raise CommandError(f"{path} cannot be read.") from None
    return [host for host, entry in entries.items() if host in hosts and entry[2]]


def _host(service: str) -> str:
    """Return the host of a service as uv writes it; user info is dropped."""
    try:
        return urlsplit(service if "://" in service else f"//{service}").hostname or "a service"
    except ValueError:
        return "a service"
