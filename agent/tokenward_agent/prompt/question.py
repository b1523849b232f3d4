"""The text of a prompt: the requester, the purpose, and what an approval covers.

The first lines say what matters. Text that a process chose is bounded, and quoted if it has blanks,
so that the user does not read a name as a sentence of the agent. The worker (prompt_jobs.py,
pinentry.py) escapes it before it is shown, and lets no line push another one out. No argument of a
process is shown, since it may be a secret. Pure.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tokenward_protocol.urls import display

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tokenward_agent.peer.requester import Requester

SHORT: Final = 120  # characters of a text from outside in one line
_NAMED: Final = 5  # the most projects that are named
_STARTERS: Final = 4

_LISTED: Final = 5
"""The most files of an upload that are listed: a pinentry takes a thousand bytes."""

_DIGITS: Final = 16
"""Digits of a SHA-256 that are shown where several files are listed."""


def question_lines(
    requester: Requester,
    service: str,
    username: str,
    purpose: str,
    projects: Sequence[str],
    outcome: str,
) -> list[str]:
    """Return the lines of a prompt: which requester wants which credential, and for what.

    `outcome` says what it would be given, as in "a token that ends in an hour".
    """
    what = _purpose_text(purpose, projects, shorten(display(service)))
    lines = [f"{requester_name(requester)} wants {what}."]
    if outcome:
        lines.append(f"It gets {outcome}.")
    return [*lines, f"User name: {shorten(username)}", *_requester_lines(requester)]


def upload_lines(
    requester: Requester,
    service: str,
    username: str,
    release: str,
    files: Sequence[tuple[str, int, str]],
) -> list[str]:
    """Return the lines of a prompt about an upload by the command of a run.

    `release` is project and version. `files` are names, sizes in bytes and SHA-256 (hex) of what a
    yes covers: first the one that is to be sent now, then others of that release.
    """
    where = shorten(display(service))
    lines = [f"{requester_name(requester)} wants to publish {release} to {where}:"]
    if len(files) == 1:
        name, size, digest = files[0]
        lines += [f"{name}, {size:,} bytes", f"SHA-256: {digest}"]
    else:
        for name, size, digest in files[:_LISTED]:
            lines.append(f"{name}, {size:,} bytes, SHA-256 {digest[:_DIGITS]}…")
        if rest := files[_LISTED:]:
            total = sum(size for _, size, _ in rest)
            lines.append(f"and {len(rest)} more of its files, {total:,} bytes")
    return [*lines, f"User name: {shorten(username)}", *_requester_lines(requester)]


def covers_text(count: int) -> str:
    """Say what a yes to the upload of so many files covers."""
    if count == 1:
        return "A yes covers this file alone, in this run."
    return f"A yes covers these {count} files alone, in this run."


def _requester_lines(requester: Requester) -> list[str]:
    """Return the lines about the requester."""
    tool = requester.tool
    if tool is None:
        return []
    lines = []
    runs = [tool.process.exe, tool.program.script or tool.program.module]
    lines.append("Program: " + " ".join(shorten(part) for part in runs if part))
    if starters := requester.starters(tool):
        lines.append("Started by: " + ", ".join(map(shorten, starters[:_STARTERS])))
    if tool.process.cwd:
        lines.append("Folder: " + shorten(tool.process.cwd))
    return lines


def requester_name(requester: Requester) -> str:
    """Name the requester."""
    tool = requester.tool
    return "An unknown program" if tool is None else shorten(tool.program.name)


def remember_text(seconds: int) -> str:
    """Say how long an approval holds."""
    how = f"for {duration_text(seconds)}" if seconds else "in this run"
    return f"A yes holds for this program {how}."


def duration_text(seconds: int) -> str:
    """Return a time in words, in the largest unit that divides it."""
    for unit, size in (("day", 86400), ("hour", 3600), ("minute", 60), ("second", 1)):
        if seconds % size == 0:
            count = seconds // size
            return f"{count} {unit}s" if count != 1 else f"one {unit}"
    raise AssertionError("a second divides everything")


def shorten(text: str) -> str:
    """Cut the middle out of a long text, and quote one with blanks to show where it ends."""
    half = SHORT // 2 - 1
    text = text if len(text) <= SHORT else f"{text[:half]}…{text[-half:]}"
    if " " not in text and '"' not in text:
        return text
    inside = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{inside}"'


def _purpose_text(purpose: str, projects: Sequence[str], service: str) -> str:
    names = ", ".join(map(shorten, projects[:_NAMED]))
    if len(projects) > _NAMED:
        names += f" and {len(projects) - _NAMED} more"
    if purpose == "publish":
        return f"to publish {names or 'something'} to {service}"
    if purpose == "install":
        return f"to install from {service}"
    return f"the credential for {service}" + (f" ({names})" if names else "")
