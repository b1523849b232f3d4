"""A home whose user has a policy, a credential that it is about, and a tool that asks for it."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from support.home import Home

URL = "https://index.example/"
SECRET = "a-secret-that-nobody-sees"

TOOL = """import keyring
found = keyring.get_credential({url!r}, None)
print("nothing" if found is None else found.username + " " + found.password)
"""


def rules(home: Home, text: str) -> None:
    """Make this the policy of the home's user."""
    folder = home.path / ".config/tokenward"
    folder.mkdir(exist_ok=True)
    (folder / "config.toml").write_text(text)


def follow_rule(told: str) -> None:
    """Put the lines of a rule where an error's hint says, into the file that it names."""
    hint = told.partition("put these lines before ")[2]
    place = re.match(r"line (\d+) of (\S+): ", hint)
    assert place is not None, told
    number, path = int(place[1]) - 1, Path(place[2])
    written = path.read_text().splitlines()
    added = re.findall("`([^`]+)`", hint.partition("\n")[0])
    path.write_text("\n".join([*written[:number], *added, *written[number:], ""]))


def lines(home: Home) -> list[dict[str, Any]]:
    """Return what the log says of fetches."""
    found = home.log_lines()
    return [line for line in found if line["event"] == "fetch"]


def tool(home: Home, name: str) -> list[str]:
    """Make a program that asks keyring, as twine does, and return how it is started."""
    home.done("setup", "keyring", "--yes")
    path = home.path / name
    path.write_text(TOOL.format(url=URL))
    return [sys.executable, str(path)]
