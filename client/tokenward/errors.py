"""How a command fails: with a sentence that names the thing, and a hint."""

from __future__ import annotations


class CommandError(Exception):
    """A command cannot go on. `str()` is one sentence without secrets; `hint` may be empty."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


class AgentUnreachable(CommandError):  # noqa: N818 - a state of the world, and the name says it
    """The agent cannot be reached, or does not answer."""


class AgentAbsent(AgentUnreachable):
    """No agent listens at the address: the only case in which starting one helps."""


def exclude(option: str, others: dict[str, object], hint: str = "leave one of them out") -> None:
    """Raise CommandError if one of the other options is given, too; `others` are name and value."""
    for other, given in others.items():
        if given:
            raise CommandError(f"`{option}` and `{other}` exclude each other.", hint)


class HelpShown(Exception):  # noqa: N818 - not an error: the user asked for it
    """Help or the version is to be printed; `str()` is the text."""


def sayable(word: str) -> bool:
    """Return whether a message may quote a word of the command line, which can hardly be a secret.

    It has at most 24 characters, in groups of letters with at most two digits after each.
    """
    parts = word.strip("-").replace("_", "-").replace(".", "-").split("-")
    names = [part.rstrip("0123456789") for part in parts]
    return len(word) <= 24 and all(
        name.isalpha() and len(part) - len(name) <= 2
        for name, part in zip(names, parts, strict=True)
    )
