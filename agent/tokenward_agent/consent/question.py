"""The text of a prompt: the requester, the purpose, and what an approval covers.

The first lines say what matters. Text that a process chose is bounded, and quoted if it has blanks,
so that the user does not read a name as a sentence of the agent. The worker (consent_jobs.py,
assuan.py) escapes it before it is shown, and lets no line push another one out. No argument of a
process is shown, since it may be a secret. Pure.
"""

from __future__ import annotations

from tokenward_protocol.urls import display

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Final

    from tokenward_agent.asking.asker import Asker

SHORT: Final = 120
"""Characters of a text from outside in one line."""

_NAMED: Final = 5
"""The most projects that are named."""

_STARTERS: Final = 4


def question(
    asker: Asker, service: str, username: str, purpose: str, projects: Sequence[str], gets: str
) -> list[str]:
    """Return the lines of a prompt: which requester wants which credential, and for what.

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
    """Name the requester."""
    tool = asker.tool
    return "An unknown program" if tool is None else short(tool.program.name)


def lasting(seconds: int) -> str:
    """Say how long an approval holds."""
    how = f"for {spelled(seconds)}" if seconds else "in this run"
    return f"A yes holds for this program {how}."


def spelled(seconds: int) -> str:
    """Return a time in words, in the largest unit that divides it."""
    for unit, size in (("day", 86400), ("hour", 3600), ("minute", 60), ("second", 1)):
        if seconds % size == 0:
            count = seconds // size
            return f"{count} {unit}s" if count != 1 else f"one {unit}"
    raise AssertionError("a second divides everything")


def short(text: str) -> str:
    """Cut the middle out of a long text, and quote one with blanks to show where it ends."""
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
