"""Recipes: which command makes the credential of an index, and how its output is read.

A recipe has no secret. It is written as a table with these keys, in `config.toml`, in the agent's
`recipes.toml`, and as JSON on the wire:

    command = ["/usr/bin/gcloud", "auth", "print-access-token"]  # a list, never a line for a shell
    as = "auto"                 # how the output is read: command_output.py
    lifetime = "1h"             # how long what it made is kept at most
    timeout = "60s"             # how long the command may take
    attended = "if-needed"      # never, if-needed, always: whether it needs the user
    run-in = "agent"            # agent, asker: which process runs it, by whose environment
    environment = ["AWS_PROFILE", "CLOUDSDK_*"]  # variables of the user's shell that the agent's run gets

The last is a key of `config.toml` alone: their values come with a login. The program is named by its absolute path: no search path decides which one runs. Unknown keys and
values out of range are refused. Pure.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from tokenward_protocol.durations import parse_seconds
from tokenward_protocol.messages import COMMAND

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any, Final

FORMATS: Final = ("auto", "text", "json", "git")

NEVER, IF_NEEDED, ALWAYS = ATTENDED = ("never", "if-needed", "always")
"""Whether a command needs the user; ALWAYS is run by `auth refresh` alone, at the user's terminal."""

AGENT, ASKER = RUN_IN = ("agent", "asker")
"""Who runs a command: the agent, or the process that asks, which gets the result for itself alone."""

KEYS: Final = (COMMAND, "as", "lifetime", "timeout", "attended", "run-in", "environment")

MOST_WORDS: Final = 64
MOST_BYTES: Final = 8192
"""The most words of a command, and bytes of all of them together."""

MOST_TIMEOUT: Final = 60
"""Seconds: tools wait a little longer than that for a credential that is being made."""

MOST_KEPT: Final = 12 * 3600
"""Seconds for which what a command made is kept at most."""

USUAL_KEPT: Final = 300
"""The same if neither the output nor the recipe says an end, and the command needs no user."""


MOST_ENVIRONMENT: Final = 32 * 1024
"""Bytes of all variables that a command gets besides the agent's."""

_NAME: Final = re.compile("[A-Za-z_][A-Za-z0-9_]{0,63}", re.ASCII)
_LOADING: Final = re.compile(
    "LD_|DYLD_|PYTHON|PERL5|RUBY|TOKENWARD_|CLOUDSDK_PYTHON"
    "|(?:NODE_OPTIONS|BASH_ENV|ENV|PATH|IFS|CLOUDSDK_ROOT_DIR|AZURE_EXTENSION_DIR)$"
)
"""Variables that have a program load code, or choose which one is run; and our own."""


class RecipeError(ValueError):
    """A wrong value of `key`; the text says what is wrong, worded to follow the key's name."""

    def __init__(self, key: str, wrong: str) -> None:
        super().__init__(wrong)
        self.key = key


class Recipe(NamedTuple):
    """One recipe; `kept` and `timeout` are in seconds, `kept` is None if the recipe says nothing.

    `environment` are names of variables; one that ends with `*` stands for all that begin so.
    """

    command: tuple[str, ...]
    format: str = "auto"
    kept: int | None = None
    timeout: int = MOST_TIMEOUT
    attended: str = IF_NEEDED
    run_in: str = AGENT
    environment: tuple[str, ...] = ()

    @property
    def usual_seconds(self) -> int:
        """How long a credential without a visible end is kept."""
        if self.kept is not None:
            return min(self.kept, MOST_KEPT)
        return MOST_KEPT if self.attended == ALWAYS else USUAL_KEPT

    def as_table(self) -> dict[str, Any]:
        """Return the table that `read_recipe` reads: texts, and a list of texts."""
        found: dict[str, Any] = {
            COMMAND: [*self.command],
            "as": self.format,
            "timeout": f"{self.timeout}s",
            "attended": self.attended,
        }
        if self.kept is not None:
            found["lifetime"] = f"{self.kept}s"
        if self.run_in != AGENT:
            found["run-in"] = self.run_in
        if self.environment:
            found["environment"] = [*self.environment]
        return found

    def passes(self, name: str) -> bool:
        """Tell whether the command gets the variable of this name, if it is set."""
        if not _NAME.fullmatch(name) or _LOADING.match(name):
            return False
        return any(
            name.startswith(each[:-1]) if each.endswith("*") else name == each
            for each in self.environment
        )


def read_recipe(table: Mapping[str, Any]) -> Recipe:
    """Return the recipe in a table, whose other keys are not looked at. Raises RecipeError."""
    timeout = _seconds(table, "timeout")
    if timeout is not None and timeout > MOST_TIMEOUT:
        raise RecipeError("timeout", f"is longer than {MOST_TIMEOUT} seconds")
    run_in = _one_of(table, "run-in", RUN_IN, AGENT)
    if run_in == ASKER and table.get("attended") == ALWAYS:
        raise RecipeError("run-in", "is asker, beside an `attended` by which only the user runs it")
    if run_in == ASKER and "environment" in table:
        raise RecipeError("environment", 'is useless beside `run-in = "asker"`: it has its own')
    return Recipe(
        _words(table.get(COMMAND)),
        _one_of(table, "as", FORMATS, FORMATS[0]),
        _seconds(table, "lifetime"),
        timeout or MOST_TIMEOUT,
        _one_of(table, "attended", ATTENDED, IF_NEEDED),
        run_in,
        _names(table.get("environment", [])),
    )


def require_passable(name: str) -> None:
    """Raise RecipeError for a variable that a command may not get."""
    if not _NAME.fullmatch(name):
        raise RecipeError("environment", "has a name that no variable has")
    if _LOADING.match(name):
        raise RecipeError("environment", f"has {name}, which can choose the code that is run")


def require_known(table: Mapping[str, Any]) -> None:
    """Raise RecipeError for a key that no recipe has."""
    for key in table:
        if key not in KEYS:
            raise RecipeError(key if key.isidentifier() else "", "is not a key of a recipe")


def _words(words: object) -> tuple[str, ...]:
    if not isinstance(words, list) or not words or not all(isinstance(w, str) for w in words):
        raise RecipeError(COMMAND, "is not a list of a program and its arguments")
    if not words[0].startswith("/"):
        raise RecipeError(COMMAND, "does not begin with the absolute path of a program")
    try:
        size = sum(len(word.encode()) + 1 for word in words)
    except UnicodeEncodeError:
        raise RecipeError(COMMAND, "is not text that can be written as UTF-8") from None
    if any("\0" in word for word in words):
        raise RecipeError(COMMAND, "has a NUL, which no argument can have")
    if len(words) > MOST_WORDS or size > MOST_BYTES:
        raise RecipeError(COMMAND, f"is longer than {MOST_WORDS} words or {MOST_BYTES} bytes")
    return tuple(words)


def _names(names: object) -> tuple[str, ...]:
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise RecipeError("environment", "is not a list of names of variables")
    if len(names) > MOST_WORDS:
        raise RecipeError("environment", f"has more than {MOST_WORDS} names")
    for name in names:
        require_passable(name.removesuffix("*"))
    return tuple(names)


def _one_of(table: Mapping[str, Any], key: str, words: tuple[str, ...], usual: str) -> str:
    value = table.get(key, usual)
    if not isinstance(value, str) or value not in words:
        raise RecipeError(key, f"is not one of {', '.join(words)}")
    return value


def _seconds(table: Mapping[str, Any], key: str) -> int | None:
    value = table.get(key)
    try:
        return None if value is None else parse_seconds(value)
    except (ValueError, TypeError):
        raise RecipeError(key, "is not a length of time such as 15m") from None
