"""What a person is shown before a credential is handed out: who asks, for what, and what a yes means.

The first lines say what matters. What a process says of itself is bounded, and in quotes where it has
blanks, so that a name is not read as a sentence of ours; it is escaped, and no line pushes another one
out, where it is shown (the worker's consent_jobs.py and assuan.py). No argument of any process is shown, since it may be a secret. Pure.
"""

from __future__ import annotations

from tokenward_protocol.urls import display

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Final

    from tokenward_agent.asking.asker import Asker

SHORT: Final = 120
"""Characters of what somebody else chose, in one line."""

_NAMED: Final = 5
"""Projects that are named."""

_STARTERS: Final = 4


def question(
    asker: Asker, service: str, username: str, purpose: str, projects: Sequence[str], gets: str
) -> list[str]:
    """Return the lines that say who wants which credential what for.

    `gets` says what it would be given, as in "a token that ends in an hour".
    """
    what = _purpose(purpose, projects, short(display(service)))
    lines = [f"{name_of(asker)} wants {what}."]
    if gets:
        lines.append(f"It gets {gets}.")
    lines.append(f"User name: {short(username)}")
    tool = asker.tool
    if tool is None:
        return lines
    runs = [tool.process.exe, tool.program.script or tool.program.module]
    lines.append("Program: " + " ".join(short(part) for part in runs if part))
    if starters := asker.starters(tool):
        lines.append("Started by: " + ", ".join(map(short, starters[:_STARTERS])))
    if tool.process.cwd:
        lines.append("Folder: " + short(tool.process.cwd))
    return lines


def name_of(asker: Asker) -> str:
    """Name who asks."""
    tool = asker.tool
    return "A program that cannot be looked at" if tool is None else short(tool.program.name)


def lasting(seconds: int) -> str:
    """Say how long a yes holds."""
    how = f"for {spelled(seconds)}" if seconds else "in this run"
    return f"A yes holds for this program {how}."


def spelled(seconds: int) -> str:
    """Say a length of time to a person, in the largest unit that divides it."""
    for unit, size in (("day", 86400), ("hour", 3600), ("minute", 60), ("second", 1)):
        if seconds % size == 0:
            count = seconds // size
            return f"{count} {unit}s" if count != 1 else f"one {unit}"
    raise AssertionError("a second divides everything")


def short(text: str) -> str:
    """Leave the middle of a long text out, and show where one with blanks begins and ends."""
    half = SHORT // 2 - 1
    text = text if len(text) <= SHORT else f"{text[:half]}…{text[-half:]}"
    if " " not in text and '"' not in text:
        return text
    inside = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{inside}"'


def _purpose(purpose: str, projects: Sequence[str], service: str) -> str:
    names = ", ".join(map(short, projects[:_NAMED]))
    if len(projects) > _NAMED:
        names += f" and {len(projects) - _NAMED} more"
    if purpose == "publish":
        return f"to publish {names or 'something'} to {service}"
    if purpose == "install":
        return f"to install from {service}"
    return f"the credential for {service}" + (f" ({names})" if names else "")
