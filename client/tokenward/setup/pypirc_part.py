"""The part `pypirc`: user names in ~/.pypirc, and no secret, for hatch and flit.

Both ask a keyring for the password of a user, and for the user nobody but this file. `repository`
is what hatch finds the section by, and what keeps flit from taking PyPI for TestPyPI. A server of
the user's own gets its user name where one is known. twine, which reads the file too, knows all of
this already.

https://packaging.python.org/specifications/pypirc/
"""

from __future__ import annotations

from tokenward.setup import ini
from tokenward.setup.step import Settings
from tokenward_protocol.urls import FIXED

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from configparser import RawConfigParser

    from tokenward.setup.accounts import Accounts
    from tokenward.setup.draft import Draft

PART = "pypirc"


def settings(home: str, accounts: Accounts) -> Settings:
    """Return what the part wants to be in .pypirc."""

    def edit(draft: Draft, over: bool) -> list[str]:
        return _edit(draft, accounts, over=over)

    lines = "`username = __token__` in [pypi] and [testpypi]"
    return Settings(PART, f"{home}/.pypirc", edit, lines)


def _edit(draft: Draft, accounts: Accounts, *, over: bool) -> list[str]:
    said = ini.parsed(draft.text)
    listed = said.get("distutils", "index-servers", fallback=None)
    if listed is None:
        ini.put(draft, "distutils", {"index-servers": " ".join(FIXED)})
    for name, url in FIXED.items():
        values = {"username": "__token__"}
        if not said.has_option(name, "repository"):
            values = {"repository": url, **values}
        ini.put(draft, name, values, over=over)
    for name, username in _servers(said, accounts):
        ini.put(draft, name, {"username": username})
    unlisted = [name for name in FIXED if listed is not None and name not in listed.split()]
    if not unlisted:
        return []
    return [f"flit does not see {' and '.join(unlisted)}, which `index-servers` does not list."]


def _servers(said: RawConfigParser, accounts: Accounts) -> Iterator[tuple[str, str]]:
    """Yield the servers that lack a user name, with the one that is known."""
    for name in said.sections():
        url = said.get(name, "repository", fallback="")
        if name in FIXED or not url or said.has_option(name, "username"):
            continue
        username = accounts.of(url)
        if username and username.isprintable() and "%" not in username:  # hatch interpolates
            yield name, username
