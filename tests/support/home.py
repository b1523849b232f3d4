"""A private home for one test: every directory that `auth` and other tools would use lies in it.

Nothing of the caller's environment gets in but the language. There is no session bus, so no
system keyring answers; a test that wants one adds its variables to `environment`.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from support.inspection.process_figures import is_running
from support.waiting import PATIENCE, until

if TYPE_CHECKING:
    from types import TracebackType

PROGRAMS = Path(sys.executable).parent
PLACES = {
    "XDG_CACHE_HOME": ".cache",
    "XDG_CONFIG_HOME": ".config",
    "XDG_DATA_HOME": ".local/share",
    "XDG_RUNTIME_DIR": "run",
    "XDG_STATE_HOME": ".local/state",
}


class Home:
    """A home under /tmp, where a socket's path stays short enough; the agent in it ends with it."""

    def __init__(self) -> None:
        self.path = Path(tempfile.mkdtemp(prefix="home-", dir="/tmp")).resolve()
        self.environment = {
            "HOME": str(self.path),
            "LANG": "C.UTF-8",
            "PIP_CONFIG_FILE": os.devnull,  # the machine may have more indexes than the test's
            "PIP_DISABLE_PIP_VERSION_CHECK": "1",
            "PATH": f"{PROGRAMS}:/usr/bin:/bin",
            "TMPDIR": "/tmp",
        }
        for variable, place in PLACES.items():
            folder = self.path / place
            folder.mkdir(mode=0o700, parents=True)
            self.environment[variable] = str(folder)
        if sys.platform == "darwin":  # the Keychain is the user's own, whatever HOME says
            settings = self.path / "config.toml"
            settings.write_text('keyring-provider = "disabled"\n')
            self.environment["TOKENWARD_CONFIG"] = str(settings)

    def run(
        self,
        *command: str | Path,
        stdin: str = "",
        cwd: str = "",
        **variables: str,
    ) -> subprocess.CompletedProcess[str]:
        """Run `command` here without a terminal, with `variables` added; whatever it exits with."""
        return subprocess.run(
            command,
            cwd=cwd or self.path,
            env=self.environment | variables,
            input=stdin,
            text=True,
            capture_output=True,
            check=False,
            timeout=2 * PATIENCE,
            start_new_session=True,
        )

    def auth(
        self, *arguments: str, stdin: str = "", **variables: str
    ) -> subprocess.CompletedProcess[str]:
        """Run the real `auth` with `arguments`; whatever it exits with."""
        return self.run(PROGRAMS / "auth", *arguments, stdin=stdin, **variables)

    def done(self, *arguments: str, stdin: str = "", **variables: str) -> str:
        """Run `auth`, which has to succeed, and return its stdout."""
        result = self.auth(*arguments, stdin=stdin, **variables)
        assert result.returncode == 0, result.stderr
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

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            if pid := self.agent_pid():
                self.auth("agent", "stop")
                _ended(pid)
        finally:
            shutil.rmtree(self.path, ignore_errors=True)


def _ended(pid: int) -> None:
    """Wait for a process that was told to end; kill it, and complain, if it does not."""
    try:
        until(lambda: not is_running(pid), lambda: f"the agent {pid} did not end when told to stop")
    except AssertionError:
        os.kill(pid, signal.SIGKILL)
        raise
