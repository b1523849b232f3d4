"""The one way in which a command fails: a sentence that names the thing, and what helps."""

from __future__ import annotations


class CommandError(Exception):
    """A command cannot go on. `str()` is one sentence without secrets; `hint` may be empty."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint
