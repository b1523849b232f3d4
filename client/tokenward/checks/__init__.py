"""The checks of `auth doctor`, and the form of what each of them finds."""

from __future__ import annotations

from typing import NamedTuple

OK, WARNING, PROBLEM = "ok", "warning", "problem"


class Finding(NamedTuple):
    """`state` is `ok`, `warning` (can be improved) or `problem` (a promise does not hold).

    `message` is one sentence and `hint` a phrase (see ui/terminal.py); neither has a secret.
    """

    check: str
    state: str
    message: str
    hint: str = ""


def ok(check: str, message: str) -> Finding:
    """Report that something is in order."""
    return Finding(check, OK, message)


def warning(check: str, message: str, hint: str) -> Finding:
    """Report something that can be improved or cannot be proved."""
    return Finding(check, WARNING, message, hint)


def problem(check: str, message: str, hint: str) -> Finding:
    """Report that a promise does not hold here."""
    return Finding(check, PROBLEM, message, hint)
