"""The part `pypirc`: user names in ~/.pypirc, without a secret, for hatch and flit.

Both ask a keyring for a user's password, but take the user name only from this file. hatch finds
the section by `repository`, and without it flit would take TestPyPI for PyPI. Other servers in the file
get their user name if it is known. twine reads the file too, but needs none of this.

https://packaging.python.org/specifications/pypirc/
"""

from __future__ import annotations

from tokenward.setup import ini
from tokenward.setup.step import SettingsEdit
from tokenward_protocol.urls import FIXED

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from configparser import RawConfigParser

    from tokenward.setup.accounts import Accounts
    from tokenward.setup.draft import Draft

PART = "pypirc"


def settings_edit(home: str, accounts: Accounts) -> SettingsEdit:
    """Return the step for .pypirc."""

    def edit(draft: Draft, over: bool) -> list[str]:
        return _edit(draft, accounts, over=over)

    lines = "`username = __token__` in [pypi] and [testpypi]"
    return SettingsEdit(PART, f"{home}/.pypirc", edit, lines)


def _edit(draft: Draft, accounts: Accounts, *, over: bool) -> list[str]:
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
