"""The jobs that show a prompt to the user: for an approval, or for a vault's passphrase.

It runs a pinentry, or a program like ssh-askpass, which is recognised by its name. An approval
always takes more than pressing Enter without reading: Enter denies. Pinentries differ in which
button has the focus, so they are told apart by the *flavor* that they report:

| flavor | prompt | approval |
| --- | --- | --- |
| `gtk2`, `qt` | the buttons Allow and Deny; Enter and Escape are Deny | OK |
| `curses`, `tty` | the buttons in reverse, since Enter is the first of them | "not confirmed" |
| any other, and ssh-askpass | a field | `yes`, typed |

Every other answer, no answer in time, and every failure is a denial. A passphrase is always typed
into a field, which hides it; an empty one is a denial. The program runs in the requester's session,
with that display, terminal and bus, not the agent's. Text from other processes is escaped before it
is shown.
"""

from __future__ import annotations

import sys

assert sys.platform != "win32"

import os
import subprocess
import time
import unicodedata
from contextlib import closing
from typing import TYPE_CHECKING

from tokenward_agent.worker.job import WATCHED, JobError
from tokenward_agent.worker.pinentry import (
    CANCELLED,
    FULLY_CANCELLED,
    MAX_TEXT,
    NOT_CONFIRMED,
    TIMED_OUT,
    Deadline,
    Pinentry,
    PinentryError,
    Stopped,
    TerminalState,
    fit_lines,
)
from tokenward_protocol.messages import VARIABLES

if TYPE_CHECKING:
    from typing import Final

    from tokenward_agent.worker.job import Header

_EARLIER: Final = 3
"""Seconds before the agent's deadline at which this job ends its program, to tidy up."""

_BLANKS: Final = "\u115f\u1160\u2800\u3164\uffa0"
"""Letters and signs that are invisible (Unicode: fillers, and Braille without a dot)."""
_KEYS: Final = "Tab, then Enter, allows it; Enter alone denies it."
"""For a terminal where a tool's progress bar may hide the buttons: both are where the cursor is."""
_LABELS: Final = {"consent-ask": "Type yes to allow:", "consent-passphrase": "Passphrase:"}
"""What the field of each job's prompt is for."""
_MOST_TYPED: Final = 64 * 1024  # bytes: of the longest passphrase
_BUTTONS: Final = {"gtk2", "qt", "qt4", "qt5", "qt6"}
_SWAPPED: Final = {"curses", "tty"}
_HINT: Final = "set TOKENWARD_PINENTRY or `pinentry` in config.toml to another program"


def work(job: str, header: Header, _secret: bytes) -> tuple[Header, bytes]:
    """Show the prompt `lines` with `program`, on `screen` (variables) or `tty` (of type `term`).

    With `watched` it ends if the requester hangs up; `shared` says that others write to the terminal.

    Returns `answer`: `yes`, `no`, `late` or `gone`, and the passphrase that was typed. Raises JobError
    if nothing could be shown.
    """
    text = fit_lines([escape_controls(line) for line in header["lines"]], MAX_TEXT)
    by_field = "askpass" in os.path.basename(header["program"])
    end = time.monotonic() + header["seconds"] - _EARLIER
    watched = WATCHED if header["watched"] else None
    try:
        with closing(TerminalState(header["tty"])) as console:
            process = _start(header, [f"{text}\n\n{_LABELS[job]}"] if by_field else [])
            deadline = Deadline(end, watched, console)
            try:
                if by_field:
                    typed = _ask_by_field(process, deadline)
                else:
                    typed = _ask_by_pinentry(process, text, header, deadline)
            except Stopped:
                process.kill()
                process.wait()
                console.restore()
                raise
    except Stopped as stopped:
        return {"answer": "no" if stopped.why == "ended" else stopped.why}, b""
    if job == "consent-passphrase":
        return {"answer": "yes" if typed else "no"}, typed
    return {"answer": "yes" if typed.strip().lower() == b"yes" else "no"}, b""


def escape_controls(text: str) -> str:
    """Return a text with every character escaped that could mislead."""
    return "".join(char if _is_plain(char) else ascii(char)[1:-1] for char in text).replace(
        "<", "\\x3c"
    )


def _is_plain(char: str) -> bool:
    sided = unicodedata.bidirectional(char) in {"R", "AL"}
    return char.isprintable() and not sided and char not in _BLANKS


def _start(header: Header, arguments: list[str]) -> subprocess.Popen[bytes]:
    own = {key: value for key, value in os.environ.items() if key not in VARIABLES.values()}
    try:
        return subprocess.Popen(
            [header["program"], *arguments],
            env={**own, **header["screen"]},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
    except OSError as error:
        raise JobError(
            "program-failed",
            f"The program {header['program']} cannot be run: {error.strerror}.",
            _HINT,
        ) from None


def _ask_by_pinentry(
    process: subprocess.Popen[bytes], text: str, header: Header, deadline: Deadline
) -> bytes:
    """Return what was typed, `yes` for the button that allows, b"" for a denial."""
    assert process.stdin is not None
    assert process.stdout is not None
    code = 0
    try:
        pinentry = Pinentry(process.stdin.fileno(), process.stdout.fileno(), deadline)
        if header["tty"]:
            pinentry.option("ttyname", header["tty"])
            pinentry.option("ttytype", header["term"])
            pinentry.option("lc-ctype", os.environ.get("LC_ALL") or os.environ.get("LANG") or "C")
        flavor = _read_flavor(pinentry)
        if flavor == "curses" and header["shared"]:
            lines = [escape_controls(line) for line in [*header["lines"], _KEYS]]
            text = fit_lines(lines, MAX_TEXT)
        pinentry.command("SETTITLE", "tokenward")
        pinentry.command("SETDESC", text)
        pinentry.command("SETTIMEOUT", str(deadline.seconds_left))
        return _answer(pinentry, flavor, header["job"])
    except PinentryError as refused:
        code = refused.code
    if code == TIMED_OUT:
        raise Stopped("late")
    if code in {CANCELLED, NOT_CONFIRMED, FULLY_CANCELLED}:
        return b""
    raise JobError(
        "program-failed", f"The program {header['program']} showed no prompt (error {code}).", _HINT
    )


def _answer(pinentry: Pinentry, flavor: str, job: str) -> bytes:
    """Show the prompt. Raises PinentryError for most denials."""
    if job == "consent-passphrase" or flavor not in _BUTTONS | _SWAPPED:
        pinentry.command("SETPROMPT", _LABELS[job])
        return pinentry.command("GETPIN")
    if flavor in _BUTTONS:
        pinentry.command("SETOK", "_Allow")
        pinentry.command("SETCANCEL", "_Deny")
        pinentry.command("CONFIRM")
        return b"yes"
    pinentry.command("SETOK", "_Deny")
    pinentry.command("SETNOTOK", "_Allow")
    try:
        pinentry.command("CONFIRM")
    except PinentryError as refused:
        if refused.code != NOT_CONFIRMED:
            raise
        return b"yes"
    return b""


def _read_flavor(pinentry: Pinentry) -> str:
    """Return a pinentry's kind of display; `gtk2:curses` is one that found no display."""
    try:
        return pinentry.command("GETINFO", "flavor").decode("ascii", "replace").rpartition(":")[2]
    except PinentryError:
        return ""  # an old one


def _ask_by_field(process: subprocess.Popen[bytes], deadline: Deadline) -> bytes:
    """Return the line that was typed, b"" for a denial."""
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.close()
    typed = b""
    while more := deadline.read(process.stdout.fileno(), _MOST_TYPED):
        typed += more
        if len(typed) > _MOST_TYPED:
            raise Stopped("ended")
    return typed.removesuffix(b"\n") if process.wait() == 0 else b""
