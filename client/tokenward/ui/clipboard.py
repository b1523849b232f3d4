"""The desktop's clipboard, by the programs that it has: putting a secret there, and clearing it again.

| desktop | puts | reads |
| Wayland | wl-copy | wl-paste |
| X11 | xclip, else xsel | the same |
| macOS | pbcopy | pbpaste |

The secret goes to such a program by its stdin, never on a command line. A process of its own clears the
clipboard after a while, only if the secret is still there: it has a keyed hash and not the secret.
wl-copy since 2.3 also marks the secret for clipboard managers, which then keep it out of their history;
the other programs cannot mark it, so a manager there may remember it.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from hashlib import blake2b
from hmac import compare_digest
from time import sleep

from tokenward.errors import CommandError
from tokenward_protocol.light import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

SECONDS = 45
"""How long a secret stays in the clipboard."""

_KEY_SIZE = 32
_PATIENCE = 10
"""Seconds that one of the programs may take."""


class Clipboard(Record):
    """The command lines that put (by stdin), read (to stdout) and clear."""

    put: Sequence[str]
    read: Sequence[str]
    clear: Sequence[str]


_XCLIP = ("xclip", "-selection", "clipboard")
_KNOWN = (
    ("WAYLAND_DISPLAY", Clipboard(("wl-copy",), ("wl-paste", "-n"), ("wl-copy", "--clear"))),
    ("DISPLAY", Clipboard((*_XCLIP, "-in"), (*_XCLIP, "-out"), (*_XCLIP, "-in"))),
    (
        "DISPLAY",
        Clipboard(
            ("xsel", "--clipboard", "--input"),
            ("xsel", "--clipboard", "--output"),
            ("xsel", "--clipboard", "--clear"),
        ),
    ),
    ("", Clipboard(("pbcopy",), ("pbpaste",), ("pbcopy",))),
)


def find(environ: Mapping[str, str]) -> Clipboard:
    """Return the clipboard of this desktop. Raises CommandError if there is none."""
    for variable, found in _KNOWN:
        is_here = environ.get(variable) if variable else sys.platform == "darwin"
        if is_here and shutil.which(found.put[0], path=environ.get("PATH", "")):
            return found
    if sys.platform == "win32":
        raise CommandError(
            "The clipboard of Windows is not used yet, so nothing was copied.",
            "`auth token` prints it instead",
        )
    desktop = any(environ.get(name) for name in ("WAYLAND_DISPLAY", "DISPLAY"))
    raise CommandError(
        "No program of the clipboard is installed, so nothing was copied."
        if desktop
        else "There is no desktop here, and so no clipboard; nothing was copied.",
        "install wl-clipboard or xclip" if desktop else "`auth token` prints it instead",
    )


def copy(found: Clipboard, environ: Mapping[str, str], secret: bytes) -> None:
    """Put a secret into the clipboard, and have it cleared later. Raises CommandError."""
    put = [*found.put]
    if put[0] == "wl-copy" and b"--sensitive" in _run(["wl-copy", "--help"], environ):
        put.append("--sensitive")
    _run(put, environ, secret)
    key = os.urandom(_KEY_SIZE)
    reading, writing = os.pipe()
    try:
        os.write(writing, key + _hash(secret, key))  # a pipe holds far more
        subprocess.Popen(
            [sys.executable, "-I", "-m", "tokenward.ui.clipboard", str(SECONDS)],
            stdin=reading,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env=dict(environ),
            cwd="/",
            start_new_session=True,
        )
    finally:
        os.close(writing)
        os.close(reading)


def clear_after(seconds: float, marks: bytes, environ: Mapping[str, str]) -> bool:
    """Wait, and clear the clipboard if it holds what the hash is of; return whether it did.

    `marks` are the key and the hash. Raises CommandError.
    """
    sleep(seconds)
    found = find(environ)
    key, wanted = marks[:_KEY_SIZE], marks[_KEY_SIZE:]
    if not compare_digest(_hash(_run(found.read, environ), key), wanted):
        return False
    _run(found.clear, environ)
    return True


def _hash(text: bytes, key: bytes) -> bytes:
    return blake2b(text, key=key).digest()


def _run(command: Sequence[str], environ: Mapping[str, str], data: bytes = b"") -> bytes:
    """Run a program of the clipboard, and return its output. Raises CommandError."""
    reads = command[-1] in {"--help", "-n", "-out", "--output", "pbpaste"}
    try:
        done = subprocess.run(
            command,
            input=data,
            # One that puts stays in the background, and would keep a pipe open.
            stdout=subprocess.PIPE if reads else subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env=dict(environ),
            timeout=_PATIENCE,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        raise CommandError(
            f"{command[0]} cannot use the clipboard, so nothing was copied.",
            f"`{command[0]}` alone may say why",
        ) from None
    return done.stdout or b""


if __name__ == "__main__":
    try:
        clear_after(float(sys.argv[1]), sys.stdin.buffer.read(), os.environ)
    except CommandError:
        sys.exit(2)  # the desktop is gone, and its clipboard with it
