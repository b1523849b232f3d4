"""What tests ask of `auth`, in whichever way its user is there: in a home, in a session of systemd's.

Each of these runs the real program once. A class that has them says how: by its method `run`.
"""

from __future__ import annotations

import json
import sys
from abc import ABC, abstractmethod
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from subprocess import CompletedProcess

PROGRAMS = Path(sys.executable).parent


class AuthCommands(ABC):
    """One user of `auth`, without a terminal."""

    @abstractmethod
    def run(self, *command: str | Path, stdin: str = "", **variables: str) -> CompletedProcess[str]:
        """Run `command` as this user, with `variables` added; whatever it exits with."""

    def more_said(self) -> str:
        """Return what may say more of a command that failed."""
        return ""

    def auth(self, *arguments: str, stdin: str = "", **variables: str) -> CompletedProcess[str]:
        """Run the real `auth` with `arguments`; whatever it exits with."""
        return self.run(PROGRAMS / "auth", *arguments, stdin=stdin, **variables)

    def done(self, *arguments: str, stdin: str = "", **variables: str) -> str:
        """Run `auth`, which has to succeed, and return its stdout."""
        result = self.auth(*arguments, stdin=stdin, **variables)
        assert result.returncode == 0, result.stderr + self.more_said()
        return result.stdout

    def said(self, *arguments: str, stdin: str = "", **variables: str) -> str:
        """Run `auth`, which has to succeed, and return what it tells a person on stderr."""
        return self._told(0, *arguments, stdin=stdin, **variables)

    def refused(self, *arguments: str, stdin: str = "", **variables: str) -> str:
        """Run `auth`, which has to refuse, and return what it tells a person on stderr."""
        return self._told(2, *arguments, stdin=stdin, **variables)

    def _told(self, status: int, *arguments: str, stdin: str, **variables: str) -> str:
        result = self.auth(*arguments, stdin=stdin, **variables)
        assert result.returncode == status, result
        assert "Traceback" not in result.stderr
        return result.stderr

    def answer(self, *arguments: str, stdin: str = "", **variables: str) -> dict[str, Any]:
        """Run `auth` with `--format json`, which has to succeed, and return its one object."""
        found = json.loads(self.done(*arguments, "--format", "json", stdin=stdin, **variables))
        assert isinstance(found, dict)
        return found

    def log_in(
        self, service: str, secret: str, *options: str, username: str = "alice", **variables: str
    ) -> None:
        """Store a password, which goes in by stdin, as scripts do it."""
        command = ("login", service, "-u", username, "--password", "-", *options)
        self.done(*command, stdin=f"{secret}\n", **variables)

    def vault(self, provider: str = "disabled") -> dict[str, Any]:
        """Return what `auth status` says of a provider's vault."""
        (found,) = [it for it in self.answer("status")["vaults"] if it["provider"] == provider]
        assert isinstance(found, dict)
        return found

    def log_lines(self, *arguments: str) -> list[dict[str, Any]]:
        """Return the lines of the log, oldest first, or those that `arguments` ask for."""
        found: list[dict[str, Any]] = self.answer("log", *arguments)["lines"]
        return found

    def agent_pid(self) -> int | None:
        """Return the pid of the agent that answers in this home, None if none does."""
        status = self.auth("agent", "status", "--format", "json")
        pid = json.loads(status.stdout or "{}").get("pid")
        return pid if isinstance(pid, int) else None
