"""Judging CMD of `auth exec`: `refusal` decides whether its words would send a secret elsewhere.

A publish tool takes user name and secret from the environment, but an option, or a variable that is
set on the way, can choose another place for them. No list of such options is complete: tools accept
abbreviations and several letters in one word, and are started under many spellings. So every word
that could send the secret elsewhere is refused:

- a URL after the word that starts a tool's upload, unless it is the index's own, or one where uv
  only looks (`--check-url`);
- anywhere, a possible abbreviation of `--repository-url` or `--publish-url`, unless the index's URL
  follows;
- after the name of pdm or hatch in an upload by it, whose `-r` takes a name, a possible
  abbreviation of `--repository` or an `r` among short options, unless the index follows;
- a variable with the URL of an upload, if it is changed or unset;
- `--emit-index-url`, by which uv writes the credential into its output.

`pdm run twine` and `hatch run twine` are twine, with its own words. A command line within a word
(`sh -c`, `env -S`) is read too. A script, a Makefile or a tool's own settings are not.
"""

from __future__ import annotations

import re

from tokenward.exec.environment import is_upload_url
from tokenward_protocol.urls import FIXED, PYPI, TESTPYPI, is_name, key_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

_TOOLS = {"twine", "uv", "pdm", "hatch", "maturin", "flit", "poetry"}
_BY_NAME = {"pdm", "hatch"}
_UPLOADS = {"publish", "upload"}
_PLACES = {"--repository-": "--repository-url", "--publish-": "--publish-url"}
"""The options that choose the place but not the secret, by prefixes that no other option has."""

_PYTHON = re.compile(r"(python|pypy)[\d.]*(\.exe)?")

_NAMES = {**FIXED, "main": PYPI, "test": TESTPYPI}
"""The names of the two indexes in pdm and hatch; other names cannot be known here."""

_FILE = re.compile(r".*\.(whl|zip|gz|asc|attestation)")
_UV_RESOLVES = {"lock", "sync", "add", "remove", "tree", "export", "run"}
_UV_OTHER_SETTINGS = re.compile(
    r"--(directory|project|config-file|no-config|script|gui-script|default-index|index-url)(=.*)?"
    r"|-[A-Za-z]*[si].*|-|.*\.pyw?"
)
"""Options by which uv reads other settings than this folder's, or has another default index."""


def refusal(program: Sequence[str], key: str) -> str | None:
    """Return the words of CMD that would send a secret for `key` elsewhere, or None.

    `key` is the canonical service of the secret for uploads. The result holds no option value.
    """
    lines = [_without_launchers(words) for words in _command_lines(program)]
    every = [word for words in lines for word in words]
    tools, is_upload = _tools(every), not _UPLOADS.isdisjoint(every)
    for at, words in enumerate(lines):
        # Words beside a command line may be passed to it: `sh -c 'pdm publish "$@"' -- -r NAME`.
        own = (tools, is_upload) if at == 0 else (_tools(words), not _UPLOADS.isdisjoint(words))
        if found := _refusal(words, key, own[0] if own[1] else set()):
            return found
    return None


def _refusal(words: Sequence[str], key: str, uploading: set[str]) -> str | None:
    """Judge one command line; `uploading` are its tools, if it is an upload."""
    is_behind = by_name = False
    for before, word, behind in zip(["", *words], words, [*words[1:], ""], strict=False):
        option, equals, value = word.partition("=")
        if option == "--emit-index-url":
            return option
        if variable := _overridden_variable(word, behind, key):
            return variable
        if any(option.startswith(own) and it.startswith(option) for own, it in _PLACES.items()):
            if _key(value if equals else behind) != key:
                return option
        elif by_name and (place := _place_by_name(word)) is not None:
            if _key(place or behind) != key:
                return option if word.startswith("--") else option[: option.find("r") + 1]
        elif is_behind and "--check-url" not in {before, option} and _leads_elsewhere(word, key):
            return "the URL"
        is_behind |= bool(uploading) and word in _UPLOADS
        by_name |= any(mentions([word], tool) for tool in uploading & _BY_NAME)
    return None


def runs(program: Sequence[str], tool: str) -> bool:
    """Return whether CMD itself is `tool`, by whatever path."""
    return bool(program) and _tool(program[0]) == tool


def mentions(program: Sequence[str], tool: str) -> bool:
    """Return whether `tool` is among the words of CMD."""
    return any(tool in _tools(words) for words in _command_lines(program))


def uploads(program: Sequence[str]) -> bool:
    """Return whether one of the words of CMD starts an upload."""
    return any(not _UPLOADS.isdisjoint(words) for words in _command_lines(program))


def resolves(program: Sequence[str]) -> bool:
    """Return whether CMD may look for packages: it is not uv, or uv does more than an upload."""
    return not (runs(program, "uv") and uploads(program) and _UV_RESOLVES.isdisjoint(program))


def env_files(program: Sequence[str], environ: Mapping[str, str]) -> list[str]:
    """Return the files of variables in CMD (`uv run --env-file`), as they are named there."""
    every = words(program)
    named = [environ.get("UV_ENV_FILE", "")]
    for word, behind in zip(every, [*every[1:], ""], strict=True):
        option, equals, value = word.partition("=")
        if option in {"--env-file", "UV_ENV_FILE"}:
            named.append(value if equals else behind)
    return [name for text in named for name in text.split()]


def words(program: Sequence[str]) -> list[str]:
    """Return the words of CMD, and those of the command lines within one of them."""
    return [word for line in _command_lines(program) for word in line]


def reads_what_is_here(program: Sequence[str]) -> bool:
    """Return whether CMD is uv, working on the project in this folder with its settings."""
    arguments = program[1:]
    return (
        runs(program, "uv")
        and not _UV_RESOLVES.isdisjoint(arguments)
        and not any(_UV_OTHER_SETTINGS.fullmatch(word) for word in arguments)
    )


def _command_lines(program: Sequence[str]) -> Iterator[list[str]]:
    """Yield CMD, then each command line within one of its words."""
    yield list(program)
    for word in program:
        if re.search(r"\s", word):
            for line in re.split(r"[;&|\n()]+", word):
                yield re.split(r"[\s'\"`]+", line.strip())


def _without_launchers(words: Sequence[str]) -> list[str]:
    """Remove the `pdm run` and `hatch run` before a tool or Python.

    Anything else that they run may be a script of the project, with unknown contents.
    """
    found = list(words)
    for at in reversed(range(len(words) - 2)):
        launcher, does, what = words[at : at + 3]
        command = what.rpartition(":")[2] if _tool(launcher) == "hatch" else what  # `ENV:twine`
        known = _tool(command) or _PYTHON.fullmatch(command)
        if _tool(launcher) in _BY_NAME and does == "run" and known:
            found[at : at + 3] = [command]
    return found


def _tools(words: Sequence[str]) -> set[str]:
    return {name for word in words if (name := _tool(word))}


def _tool(word: str) -> str | None:
    """Return the publish tool that a word names: `twine@6`, `-mtwine`, `/x/twine.exe`, `twine>=6`."""
    if _FILE.fullmatch(word):
        return None
    name = re.split(r"[/\\]", word)[-1].lower().removeprefix("-m")
    name = re.split(r"[^a-z]", name)[0]
    return name if name in _TOOLS else None


def _overridden_variable(word: str, behind: str, key: str) -> str | None:
    """Return the variable of an upload's URL that a word changes or unsets."""
    name, equals, value = word.partition("=")
    if is_upload_url(name) and _key(value) == key:
        return None
    if equals and name == "--unset":
        name = value
    elif word in {"-u", "--unset", "unset"}:
        name = behind
    elif not equals:
        name = word.removeprefix("-u")
        name = name if name != word else ""
    return name if is_upload_url(name) else None


def _place_by_name(word: str) -> str | None:
    """Return the place of an upload that a word chooses, "" if the next word does, else None."""
    option, _, value = word.partition("=")
    if option.startswith("--r") and "--repository".startswith(option):
        return value
    if word.startswith("-") and not word.startswith("--") and "r" in word:
        return word.partition("r")[2].removeprefix("=")
    return None


def _leads_elsewhere(word: str, key: str) -> bool:
    """Return whether a word holds a URL of another place."""
    url = re.search(r"[A-Za-z0-9+.-]*://.*", word)
    return url is not None and _key(url[0]) != key


def _key(place: str) -> str | None:
    if is_name(place):
        return _NAMES.get(place)
    return key_of(place)
