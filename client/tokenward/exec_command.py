"""Where a publish tool's own command line would send what `auth exec` gave it.

Some tools let an option choose another place for an upload and go on using user name and secret
from the environment. Such a command is refused before it starts. The others need no watching:
`twine -r` and `maturin -r` give way to the URL in the environment, `uv publish --index` and `flit
--repository` do not go together with it, and poetry has its variables by name.

What is seen is the command that `auth exec` was given, also as `python -m twine` or behind `uvx`,
with its options in full; not what a script, a Makefile or a nox session starts.
"""

from __future__ import annotations

from tokenward_protocol.urls import FIXED, PYPI, TESTPYPI, ServiceError, is_name, parse

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_OPTIONS = {
    "twine": ("--repository-url",),
    "uv": ("--publish-url",),
    "pdm": ("-r", "--repository"),
    "hatch": ("-r", "--repo"),
    "maturin": ("--repository-url",),
}
"""The options that choose the place and leave the secret."""

_COMMANDS = {"publish", "upload"}
_NAMES = {**FIXED, "main": PYPI, "test": TESTPYPI}
"""What pdm and hatch call the two; nobody else's name can be known here."""


def leads_elsewhere(program: Sequence[str], key: str) -> str | None:
    """Return the tool and the option that would have an upload leave `key`, or None.

    `key` is the service in its canonical spelling that the secret is for.
    """
    for at, word in enumerate(program):
        tool = word.rpartition("/")[2]
        rest = program[at + 1 :]
        if tool in _OPTIONS and not _COMMANDS.isdisjoint(rest):
            for option, value in _given(rest, _OPTIONS[tool]):
                if _key(value) != key:
                    return f"{tool} {option}"
    return None


def _given(words: Sequence[str], options: Sequence[str]) -> Iterator[tuple[str, str]]:
    for word, behind in zip(words, [*words[1:], ""], strict=True):
        for option in options:
            if word == option:
                yield option, behind
            elif word.startswith(f"{option}=" if option.startswith("--") else option):
                yield option, word[len(option) :].removeprefix("=")


def _key(place: str) -> str | None:
    if is_name(place):
        return _NAMES.get(place)
    try:
        return parse(place).key
    except ServiceError:
        return None
