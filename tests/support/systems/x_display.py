"""A display that nobody sees, with somebody at its keyboard: Xvfb, xdotool, and a cookie to get in.

Needs the Debian packages xvfb, xauth and xdotool.
"""

from __future__ import annotations

import os
import secrets
import shutil
import subprocess
from contextlib import contextmanager
from typing import TYPE_CHECKING

from support.waiting import PATIENCE

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

MISSING = [name for name in ("Xvfb", "xauth", "xdotool") if shutil.which(name) is None]


class Display:
    """One display; `variables` lead a program to it."""

    def __init__(self, name: str, authority: Path) -> None:
        self.variables = {"DISPLAY": name, "XAUTHORITY": str(authority)}

    def run(self, *command: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command,
            env={"PATH": "/usr/bin:/bin", **self.variables},
            capture_output=True,
            text=True,
            check=False,
            timeout=PATIENCE,
        )

    def windows(self) -> list[str]:
        """Return the numbers of the windows that can be seen."""
        return self.run("xdotool", "search", "--onlyvisible", "--name", ".").stdout.split()

    def press(self, window: str, *keys: str) -> None:
        """Press keys, as xdotool names them, in a window; what is a text of its own is typed.

        No window manager gives a new window the keyboard, and what is pressed before it has it is lost.
        """
        focused = self.run("xdotool", "windowfocus", "--sync", window)
        assert not focused.returncode, focused.stderr
        for key in keys:
            how = ["type", key.removeprefix("text:")] if key.startswith("text:") else ["key", key]
            self.run("xdotool", *how)


@contextmanager
def display(folder: Path) -> Iterator[Display]:
    """Lend a new display that only knows the cookie in a file of the folder."""
    authority, cookie = folder / "Xauthority", secrets.token_hex(16)
    _add(authority, ":0", cookie)  # the server takes the cookie and not the name
    number, theirs = os.pipe()
    server = subprocess.Popen(
        [
            *("Xvfb", "-displayfd", str(theirs), "-auth", str(authority)),
            *("-nolisten", "tcp", "-screen", "0", "900x500x24"),
            "-noreset",  # else it starts anew when its last client goes, and turns away the next
        ],
        pass_fds=[theirs],
        stderr=subprocess.DEVNULL,
    )
    os.close(theirs)
    try:
        with os.fdopen(number, encoding="ascii") as answer:
            name = f":{answer.readline().strip()}"
        _add(authority, name, cookie)
        yield Display(name, authority)
    finally:
        server.terminate()
        server.wait(PATIENCE)


def _add(authority: Path, name: str, cookie: str) -> None:
    command = ["xauth", "-q", "-f", str(authority), "add", name, ".", cookie]
    subprocess.run(command, check=True, capture_output=True, timeout=PATIENCE)
