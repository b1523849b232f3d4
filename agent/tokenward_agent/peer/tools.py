"""The tools known by name: which send to an index, and which fetch from one. Pure."""

from __future__ import annotations

import re

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

SENDS: Final = {
    "twine": {"upload", "register"},
    "devpi": {"upload", "push"},
    "maturin": {"upload", "publish"},
    **{name: {"publish"} for name in ("uv", "poetry", "pdm", "hatch", "flit", "cargo")},
}
"""Programs, and those of their commands that send to an index."""

FETCHES: Final = re.compile(r"pip[0-9.]*|pipx|uv|uvx|poetry|pdm|hatch|pipenv|build|pyproject-build")
"""Programs whose other commands fetch from an index, if they use one at all."""

_OTHERS: Final = frozenset({"auth", "tokenward", "keyring"})


def is_tool(name: str) -> bool:
    """Tell whether a program has the name of a tool that runs no other program in its place."""
    return name in SENDS or name in _OTHERS or FETCHES.fullmatch(name) is not None
