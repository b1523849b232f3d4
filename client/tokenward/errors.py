"""The one way in which a command fails: a sentence that names the thing, and what helps."""

from __future__ import annotations


class CommandError(Exception):
    """A command cannot go on. `str()` is one sentence without secrets; `hint` may be empty."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


class AgentUnreachable(CommandError):  # noqa: N818 - a state of the world, and the name says it
    """There is no talking to the agent."""


class AgentAbsent(AgentUnreachable):
    """Nobody listens at the address: the one case that starting an agent mends."""


def sayable(word: str) -> bool:
    """Tell whether a message may quote a word that was typed: it can hardly be a secret.

    At most 24 characters, in parts of letters with at most two digits behind them.
    """
    parts = word.strip("-").replace("_", "-").replace(".", "-").split("-")
    names = [part.rstrip("0123456789") for part in parts]
    return len(word) <= 24 and all(
        name.isalpha() and len(part) - len(name) <= 2
        for name, part in zip(names, parts, strict=True)
    )
