"""A private home for one test: every directory that `auth` and other tools would use lies in it.

Nothing of the caller's environment gets in but the language. There is no session bus, so no
system keyring answers; a test that wants one adds its variables to `environment`.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Self

from support.auth_commands import PROGRAMS, AuthCommands
from support.inspection.processes import is_running
from support.waiting import PATIENCE, until
from tokenward.errors import CommandError
from tokenward.services import is_asleep
from tokenward.settings.effective import settings_here
from tokenward.transport.connect import connect

PLACES = {
    "XDG_CACHE_HOME": ".cache",
    "XDG_CONFIG_HOME": ".config",
    "XDG_DATA_HOME": ".local/share",
    "XDG_RUNTIME_DIR": "run",
    "XDG_STATE_HOME": ".local/state",
}


class Home(AuthCommands):
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

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        try:
            self._stop_agent()
        finally:
            shutil.rmtree(self.path, ignore_errors=True)

    def _stop_agent(self) -> None:
        """Stop the agent that `auth agent stop` would find, without two more processes to do it."""
        try:
            directory = settings_here(self.environment).directories.credentials
            agent = connect(directory, start=False, asleep=is_asleep, environ=self.environment)
        except CommandError:  # none runs
            return
        with agent:
            pid = int(agent.greeting["pid"])
            agent.stop()
        _ended(pid)


def _ended(pid: int) -> None:
    """Wait for a process that was told to end; kill it, and complain, if it does not."""
    try:
        until(lambda: not is_running(pid), lambda: f"the agent {pid} did not end when told to stop")
    except AssertionError:
        os.kill(pid, signal.SIGKILL)
        raise
