"""A program of the user's that makes credentials, as a test tells it to, and counts its runs."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

_SCRIPT = """\
#!/bin/sh
echo run >> '{folder}/runs'
if [ -e '{folder}/hold' ]; then while [ -e '{folder}/hold' ]; do sleep 0.02; done; fi
if [ -e '{folder}/said' ]; then cat '{folder}/said' >&2; fi
sed "s/NUMBER/$(wc -l < '{folder}/runs' | tr -d ' ')/" '{folder}/prints'
exit "$(cat '{folder}/status')"
"""


class Maker:
    """The program `maker` in a folder of its own; each run prints what `prints` was given.

    NUMBER in that is replaced by the number of the run.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.folder = folder
        self.program = folder / "maker"
        self.program.write_text(_SCRIPT.format(folder=folder))
        self.program.chmod(0o755)
        self.prints("secret-NUMBER")

    def prints(self, text: str, status: int = 0, said: str = "") -> None:
        """Choose what the next runs print, and how they end."""
        (self.folder / "prints").write_text(f"{text}\n")
        (self.folder / "status").write_text(str(status))
        (self.folder / "said").write_text(f"{said}\n")

    def makes(self, seconds: int, secret: str = "secret-NUMBER") -> None:
        """Have the next runs print a token of so many seconds."""
        self.prints(json.dumps({"token": secret, "expires_in": seconds}))

    @property
    def runs(self) -> int:
        path = self.folder / "runs"
        return len(path.read_text().splitlines()) if path.exists() else 0

    def hold(self, *, on: bool) -> None:
        """Keep each run from ending, or let it end."""
        path = self.folder / "hold"
        path.touch() if on else path.unlink()

    def recipe(self, *arguments: str, **more: str) -> bytes:
        """Return the body of a login with this recipe."""
        return json.dumps({"command": [str(self.program), *arguments], **more}).encode()
