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
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Self

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
PATIENCE = 20  # seconds that an agent gets to end by itself


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
            timeout=120,
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
                _end(pid)
        finally:
            shutil.rmtree(self.path, ignore_errors=True)


def _end(pid: int) -> None:
    """Wait for a process that was told to end; kill it, and complain, if it does not."""
    give_up = time.monotonic() + PATIENCE
    with suppress(ProcessLookupError):
        while time.monotonic() < give_up:
            os.kill(pid, 0)
            if _is_zombie(pid):
                return  # it waits for a parent that may be slow to look
            time.sleep(0.02)
        os.kill(pid, signal.SIGKILL)
        raise AssertionError(f"the agent with pid {pid} did not end when told to stop")


def _is_zombie(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return False  # no such file system, or no such process by now
