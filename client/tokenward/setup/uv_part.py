"""The part `uv`: the user's uv.toml.

uv asks a `keyring` program only if it is told to, and for an upload only if it knows the user name,
which it never takes from a keyring. So the user name goes into its publish URLs: of PyPI, of an
explicit index `testpypi`, and of the user's own indexes whose account is known. Such an index gets
`authenticate = "always"` too: without it uv asks no keyring for installs. PyPI, TestPyPI and an
index without a known account never get it: uv would refuse to read a public index without a
credential.

With a user name and a keyring `uv publish` does not try trusted publishing first; if the file
demands that, no publish URL is written.

https://docs.astral.sh/uv/reference/settings/
"""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import quote

from tokenward.settings.setup_mark import UV_PROVIDER
from tokenward.setup import toml
from tokenward.setup.step import SettingsEdit, UneditableFileError
from tokenward_protocol.urls import FIXED, PYPI, TESTPYPI, ServiceError, parse_service_url

TYPE_CHECKING = False
if TYPE_CHECKING:
    from tokenward.setup.accounts import Accounts
    from tokenward.setup.draft import Draft

PART = "uv"

_TESTPYPI = [
    'name = "testpypi"',
    'url = "https://test.pypi.org/simple/"',
    f'publish-url = "{TESTPYPI.replace("://", "://__token__@")}"',
    "explicit = true",
]


def settings_edit(path: str, accounts: Accounts) -> SettingsEdit:
    """Return the step for uv.toml."""

    def edit(draft: Draft, over: bool) -> list[str]:
        return _edit(draft, accounts, over=over)

    shown = f'`{UV_PROVIDER[0]} = "{UV_PROVIDER[1]}"` and the user names of uv\'s publish URLs'
    return SettingsEdit(PART, path, edit, shown)


def _edit(draft: Draft, accounts: Accounts, *, over: bool) -> list[str]:
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
    if username and "authenticate" not in table and not _is_public(url):
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


def _is_public(url: object) -> bool:
    try:
        return isinstance(url, str) and parse_service_url(url).key in FIXED.values()
    except ServiceError:
        return False
