"""Options in a project's settings by which a tool may send a secret of the environment elsewhere.

- pdm puts `[tool.pdm.options] publish` before the words of its command line, and an `-r` there wins
  over `PDM_PUBLISH_REPO`, while user name and password stay those of the environment. A URL with
  the account in it would go nowhere else, but pdm prints that URL when an upload fails.
- uv sends everything through the `http-proxy` or `https-proxy` of a project's settings, whatever
  the environment has, and with `allow-insecure-host` it accepts any certificate there.

- `uv run --env-file FILE` sets the variables in FILE for itself and for its program: a proxy, or a
  variable of another tool that `auth exec` did not set. Then nothing is started.

A tool gets nothing if its project has such options, or settings that cannot be read.

https://pdm-project.org/latest/reference/configuration/
https://docs.astral.sh/uv/reference/settings/
"""

from __future__ import annotations

import os
import re

from tokenward.errors import CommandError
from tokenward.exec.environment import may_lead_elsewhere
from tokenward.files.reading import parse_toml, read, upward

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

_PROXIES = ("http-proxy", "https-proxy")
_WORDS = re.compile(rb"https?-proxy")
_MARKS = re.compile(rb"https?-proxy|\\[uUx]")
"""Traces of a proxy in a text that is not parsed as TOML: the words, or an escape in them."""

_SETS = re.compile(rb"([A-Za-z_][A-Za-z0-9_]*)[ \t'\"]*[=:]")

_SCRIPT = re.compile(rb"^#[ \t]*///[ \t]*script", re.MULTILINE)
_ARCHIVE = (".whl", ".zip", ".gz", ".asc", ".attestation")


def of_pdm(places: Iterable[str]) -> str | None:
    """Return the file that may have options for `pdm publish` in or above one of `places`, or None.

    Places are absolute; those that are not folders are ignored.
    """
    return next((path for path in _projects(places) if _has_options(path)), None)


def of_uv(places: Iterable[str]) -> str | None:
    """Return the file that may make uv use a proxy, or None.

    It lies in or above one of `places`, or is one itself: a script, or named settings.
    """
    places = list(places)
    for path in _projects(places, "uv.toml", "pyproject.toml"):
        if _has_proxy(path, "tool", "uv") or (path.endswith("uv.toml") and _has_proxy(path)):
            return path
    return next((path for path in places if os.path.isfile(path) and _speaks_of_proxy(path)), None)


def of_env_files(names: Iterable[str], places: Iterable[str]) -> str | None:
    """Return the first file of variables that may lead elsewhere or cannot be read, or None.

    A name is looked for in each of `places` that is a folder.
    """
    folders = [place for place in places if os.path.isdir(place)]
    for name in names:
        paths = dict.fromkeys(os.path.join(folder, name) for folder in folders)
        files = [path for path in paths if os.path.isfile(path)]
        if not files:
            return name
        for path in files:
            if _sets_what_leads_elsewhere(path):
                return path
    return None


def _sets_what_leads_elsewhere(path: str) -> bool:
    try:
        data = read(path) or b""
    except CommandError:
        return True
    lines = (line for line in data.split(b"\n") if not line.lstrip().startswith(b"#"))
    return any(may_lead_elsewhere(name.decode()) for line in lines for name in _SETS.findall(line))


def _projects(places: Iterable[str], *names: str) -> Iterable[str]:
    """Yield the files of these names in and above each place that is a folder."""
    for place in places:
        if os.path.isdir(place):
            for folder in upward(os.path.realpath(place)):
                yield from (os.path.join(folder, name) for name in names or ("pyproject.toml",))


def _has_options(path: str) -> bool:
    try:
        return _value(path, "tool", "pdm", "options", "publish") is not None
    except CommandError:
        return True


def _has_proxy(path: str, *table: str) -> bool:
    try:
        found = _value(path, *table)
    except CommandError:
        return True
    return isinstance(found, dict) and any(name in found for name in _PROXIES)


def _value(path: str, *keys: str) -> object:
    """Return the value in a TOML file below these keys, or None."""
    data = read(path)
    found: object = {} if data is None else parse_toml(data, path)
    for key in keys:
        found = found.get(key) if isinstance(found, dict) else None
    return found


def _speaks_of_proxy(path: str) -> bool:
    """Judge a file that CMD names: of a script only the comments, which may hold uv's settings."""
    if path.lower().endswith(_ARCHIVE):
        return False
    try:
        data = read(path) or b""
    except CommandError:
        return path.endswith(".toml")
    if _SCRIPT.search(data):
        comments = [line for line in data.splitlines() if line.startswith(b"#")]
        return _MARKS.search(b"\n".join(comments)) is not None
    try:
        parse_toml(data, path)
    except CommandError:
        marks = _MARKS if path.endswith(".toml") else _WORDS
        return marks.search(data) is not None
    return _has_proxy(path) or _has_proxy(path, "tool", "uv")
