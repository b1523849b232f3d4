"""A home in which tools are at work: a project with a wheel to publish, and only what a user has.

Programs are found in `~/.local/bin` and the system's folders alone; a tool is started by its path,
as the link would start it that an installer of tools makes. `ALICE`'s secret and the wrong one are
marked, so that they are found wherever they land.
"""

from __future__ import annotations

import base64
import secrets
from typing import TYPE_CHECKING

from support.inspection.held_texts import files_with
from support.tools.environments import programs
from support.tools.wheels import write_wheel

if TYPE_CHECKING:
    from pathlib import Path
    from subprocess import CompletedProcess

    from support.home import Home

ALICE = "alice"
SECRET = f"marked-{secrets.token_hex(12)}"
WRONG = f"marked-{secrets.token_hex(12)}"


class ToolHome:
    """One home with one project. `inside`, if given, goes before each tool's command with its folder."""

    def __init__(self, home: Home, inside: tuple[str, ...] = ()) -> None:
        self.home = home
        self.inside = inside
        self.project = home.path / "project"
        (self.project / "dist").mkdir(parents=True)
        self.wheel = write_wheel(self.project / "dist")
        del home.environment["PIP_CONFIG_FILE"]  # the user's own is to be read
        home.environment |= {
            "PATH": f"{home.path}/.local/bin:/usr/bin:/bin",
            "XDG_CONFIG_DIRS": str(home.path / "no-system-settings"),
            "UV_PYTHON_DOWNLOADS": "never",
            "PDM_CHECK_UPDATE": "0",
        }

    def run(
        self, environment: str, program: str, *arguments: str | Path, **variables: str
    ) -> CompletedProcess[str]:
        """Run the tool in the project's folder, without a terminal; whatever it exits with."""
        inside = [*self.inside, str(self.project)] if self.inside else []
        command = [*inside, str(programs(environment) / program), *map(str, arguments)]
        return self.home.run(*command, cwd=str(self.project), **variables)

    def write(self, path: str, text: str) -> None:
        """Write a file of the user's, by its path in the home."""
        file = self.home.path / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)

    def set_up(self, *tools: str) -> None:
        """Have these tools find tokenward, as a user does once."""
        self.home.done("setup", "keyring", *tools)

    def log_in(self, service: str, secret: str = SECRET) -> None:
        """Log alice in."""
        self.home.log_in(service, secret, username=ALICE)

    def leaks(self) -> list[Path]:
        """Return the files below the home that hold one of the secrets, plain or as Basic has it."""
        secrets = [text for secret in (SECRET, WRONG) for text in (secret, _basic(secret))]
        return files_with(self.home.path, *secrets)


def said(result: CompletedProcess[str]) -> str:
    """Return all that a tool said."""
    return result.stdout + result.stderr


def _basic(secret: str) -> bytes:
    return base64.b64encode(f"{ALICE}:{secret}".encode())
