"""What a credential is wanted for, `publish` or `install`, as far as the tool that asks shows it.

By the tool's name and the command that it was given, which is the first word that is no option. A
word that might be an option's value makes it uncertain, and uncertain is "": nobody is taken for
somebody who only installs because of the way in which a command was written. Pure.
"""

from __future__ import annotations

import re

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

    from tokenward_agent.asking.asker import Asker

PUBLISH: Final = "publish"
INSTALL: Final = "install"

_SENDS: Final = {
    "twine": {"upload", "register"},
    "devpi": {"upload", "push"},
    "maturin": {"upload", "publish"},
    **{name: {"publish"} for name in ("uv", "poetry", "pdm", "hatch", "flit", "cargo")},
}
"""Programs, and their commands that send something to an index."""

_FETCHES: Final = re.compile(
    r"pip[0-9.]*|pipx|uv|uvx|poetry|pdm|hatch|pipenv|build|pyproject-build"
)
"""Programs whose other commands take something from an index, if they go to one at all."""

_OTHERS: Final = frozenset({"auth", "tokenward", "keyring"})


def is_tool(name: str) -> bool:
    """Tell whether a program goes by the name of one that is known to run nothing else in its place."""
    return name in _SENDS or name in _OTHERS or _FETCHES.fullmatch(name) is not None


def purpose_of(asker: Asker) -> str:
    """Return `publish`, `install`, or "" where it is not known."""
    tool = asker.tool
    if tool is None or not tool.process.whole:
        return ""
    name, words = tool.program.name, tool.program.arguments
    sends = _SENDS.get(name, set())
    command = next((word for word in words if not word.startswith("-")), "")
    if command in sends:
        return PUBLISH
    fetches = _FETCHES.fullmatch(name) is not None
    return INSTALL if fetches and sends.isdisjoint(words) else ""
