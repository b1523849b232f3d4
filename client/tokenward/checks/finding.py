"""What one check found: how bad it is, one sentence, and the command that mends it."""

from __future__ import annotations

from dataclasses import dataclass

OK, WARNING, PROBLEM = "ok", "warning", "problem"


@dataclass(frozen=True, slots=True)
class Finding:
    """`state` is `ok`, `warning` (works, and could be better) or `problem` (a promise is off).

    `message` is one sentence and `hint` a phrase, both as ui/terminal.py says; no secret is in either.
    """

    check: str
    state: str
    message: str
    hint: str = ""


def ok(check: str, message: str) -> Finding:
    """Report that something is as it should be."""
    return Finding(check, OK, message)


def warning(check: str, message: str, hint: str) -> Finding:
    """Report what works, and could be better or cannot be proved."""
    return Finding(check, WARNING, message, hint)


def problem(check: str, message: str, hint: str) -> Finding:
    """Report that something promised does not hold here."""
    return Finding(check, PROBLEM, message, hint)
