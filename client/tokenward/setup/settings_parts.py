"""The parts `pip`, `pypirc` and `uv`: lines in the user's own settings files of these tools.

pip.conf: without a setting pip asks a keyring library beside it, else the `keyring` program, and
with `--no-input`, which build passes, neither. With `subprocess` it always asks the program, in every
environment, and faster than it can import the library. The price: a keyring plug-in that is
installed in only one environment answers only to the `keyring` of that environment.

~/.pypirc gets user names, without a secret, for hatch and flit: both ask a keyring for a user's
password, but take the user name only from this file. hatch finds the section by `repository`, and
without it flit would take TestPyPI for PyPI. Other servers in the file get their user name if it is
known. twine reads the file too, but needs none of this.

uv.toml: uv asks a `keyring` program only if it is told to, and for an upload only if it knows the
user name, which it never takes from a keyring. So the user name goes into its publish URLs: of PyPI,
of an explicit index `testpypi`, and of the user's own indexes whose account is known. Such an index
gets `authenticate = "always"` too: without it uv asks no keyring for installs. PyPI, TestPyPI and an
index without a known account never get it: uv would refuse to read a public index without a
credential. With a user name and a keyring `uv publish` does not try trusted publishing first; if the
file demands that, no publish URL is written.

https://pip.pypa.io/en/stable/topics/configuration/
https://packaging.python.org/specifications/pypirc/
https://docs.astral.sh/uv/reference/settings/
"""

from __future__ import annotations

import os
import re
from typing import Any
from urllib.parse import quote

from tokenward.files import ini, toml
from tokenward.files.draft import ForeignSettingError, UneditableFileError
from tokenward.settings.uv_toml import UV_PROVIDER
from tokenward.setup.work import SettingsEdit
from tokenward_protocol.urls import (
    FIXED,
    PYPI,
    TESTPYPI,
    ServiceError,
    key_of,
    parse_service_url,
    strip_index_suffix,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from configparser import RawConfigParser

    from tokenward.files.draft import Draft


class Accounts:
    """The known user names of indexes: pairs of a URL, in any spelling, and a user name.

    They come from config.toml, ~/.pypirc, and the list of a running agent. Never a guess: if an
    index has two, it has none.
    """

    def __init__(self, pairs: Iterable[tuple[str, str]] = ()) -> None:
        self._names: dict[str, set[str]] = {}
        for url, username in pairs:
            if key := _key(url):
                self._names.setdefault(key, set()).add(username)

    def of(self, url: str) -> str | None:
        """Return the user name for a URL: of the longest path above it, `__token__` first."""
        key = _key(url)
        if key is None:
            return None
        if key in FIXED.values():
            return "__token__"
        above = [known for known in self._names if key.startswith(known)]
        names = self._names[max(above, key=len)] if above else set()
        if "__token__" in names:
            return "__token__"
        return next(iter(names)) if len(names) == 1 else None


def _key(url: str) -> str | None:
    key = key_of(url)
    return key and strip_index_suffix(key)


_PIP_KEY, _PIP_VALUE = "keyring-provider", "subprocess"


def pip_conf(platform: str, config: str, home: str) -> str:
    """Return the user's pip.conf.

    It is `$XDG_CONFIG_HOME/pip/pip.conf`, on macOS `~/Library/Application Support/pip/pip.conf` if
    that folder exists; or the older `~/.pip/pip.conf` if it is the only one.
    """
    folder = f"{config}/pip"
    library = f"{home}/Library/Application Support/pip"
    if platform == "darwin" and os.path.isdir(library):
        folder = library
    older = f"{home}/.pip/pip.conf"
    found = f"{folder}/pip.conf"
    return older if os.path.exists(older) and not os.path.exists(found) else found


def pip_edit(path: str) -> SettingsEdit:
    """Return the step for pip.conf."""
    return SettingsEdit("pip", path, _edit_pip, f"`{_PIP_KEY} = {_PIP_VALUE}` in [global]")


def _edit_pip(draft: Draft, over: bool) -> list[str]:
    said = ini.parse(draft.text)
    if said.has_option("global", _PIP_KEY.replace("-", "_")):  # pip accepts both spellings
        raise ForeignSettingError(_PIP_KEY)
    ini.put_values(draft, "global", {_PIP_KEY: _PIP_VALUE}, over=over)
    return []


def pypirc_edit(home: str, accounts: Accounts) -> SettingsEdit:
    """Return the step for .pypirc."""

    def edit(draft: Draft, over: bool) -> list[str]:
        return _edit_pypirc(draft, accounts, over=over)

    lines = "`username = __token__` in [pypi] and [testpypi]"
    return SettingsEdit("pypirc", f"{home}/.pypirc", edit, lines)


def _edit_pypirc(draft: Draft, accounts: Accounts, *, over: bool) -> list[str]:
    said = ini.parse(draft.text)
    listed = said.get("distutils", "index-servers", fallback=None)
    if listed is None:
        ini.put_values(draft, "distutils", {"index-servers": " ".join(FIXED)})
    for name, url in FIXED.items():
        values = {"username": "__token__"}
        if not said.has_option(name, "repository"):
            values = {"repository": url, **values}
        ini.put_values(draft, name, values, over=over)
    for name, username in _servers(said, accounts):
        ini.put_values(draft, name, {"username": username})
    unlisted = [name for name in FIXED if listed is not None and name not in listed.split()]
    if not unlisted:
        return []
    return [f"flit does not see {' and '.join(unlisted)}: `index-servers` does not list it."]


def _servers(said: RawConfigParser, accounts: Accounts) -> Iterator[tuple[str, str]]:
    """Yield the servers without a user name, each with the known one."""
    for name in said.sections():
        url = said.get(name, "repository", fallback="")
        if name in FIXED or not url or said.has_option(name, "username"):
            continue
        username = accounts.of(url)
        if username and username.isprintable() and "%" not in username:  # hatch interpolates
            yield name, username


_TESTPYPI = [
    'name = "testpypi"',
    'url = "https://test.pypi.org/simple/"',
    f'publish-url = "{TESTPYPI.replace("://", "://__token__@")}"',
    "explicit = true",
]


def uv_edit(path: str, accounts: Accounts) -> SettingsEdit:
    """Return the step for uv.toml."""

    def edit(draft: Draft, over: bool) -> list[str]:
        return _edit_uv(draft, accounts, over=over)

    shown = f'`{UV_PROVIDER[0]} = "{UV_PROVIDER[1]}"` and the user names of uv\'s publish URLs'
    return SettingsEdit("uv", path, edit, shown)


def _edit_uv(draft: Draft, accounts: Accounts, *, over: bool) -> list[str]:
    said = toml.parse(draft.text)
    tables = said.get("index", [])
    if not isinstance(tables, list):
        raise UneditableFileError  # one URL, or a form that uv rejects: it excludes tables
    if said.get("trusted-publishing") != "always":
        url = _with_username(said.get("publish-url", PYPI), accounts)
        if url is not None:
            toml.put_value(draft, "publish-url", url, over=True)
    toml.put_value(draft, *UV_PROVIDER, over=over)
    notes: list[str] = []
    for number, table in enumerate(tables):
        if isinstance(table, dict):
            notes += _edit_index(draft, number, table, accounts)
    if not any(isinstance(table, dict) and table.get("name") == "testpypi" for table in tables):
        toml.append_table(draft, "index", _TESTPYPI)
    return notes


def _edit_index(draft: Draft, number: int, table: dict[str, Any], accounts: Accounts) -> list[str]:
    publish = _with_username(table.get("publish-url"), accounts)
    if publish is not None:
        toml.put_in_table(draft, "index", number, "publish-url", publish, over=True)
    url = table.get("url")
    username = _username(url) or (accounts.of(url) if isinstance(url, str) else None)
    if username and "authenticate" not in table and key_of(str(url)) not in FIXED.values():
        toml.put_in_table(draft, "index", number, "authenticate", "always")
    if publish or username or _username(table.get("publish-url")) or "authenticate" in table:
        return []
    name = table.get("name", "without a name")
    return [f"No user name is known for the index {name} in uv.toml, so uv asks no keyring for it."]


def _with_username(url: object, accounts: Accounts) -> str | None:
    """Return a URL with its user name, or None if it has one or none is known."""
    if not isinstance(url, str) or not re.fullmatch(r"https?://[^@\s\"\\\\]+", url):
        return None
    username = accounts.of(url)
    return url.replace("://", f"://{quote(username, safe='')}@", 1) if username else None


def _username(url: object) -> str | None:
    try:
        return parse_service_url(url).username if isinstance(url, str) else None
    except ServiceError:
        return None
