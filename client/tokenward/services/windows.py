"""Windows: starting the agent when the user logs on, by a value in the user's own Run key.

A service or a scheduled task would run outside of the user's session or need an administrator; this
needs neither. Windows does not restart the agent: after its end it is started on demand. When the
user logs off, Windows ends the agent, and its memory with it.
"""

from __future__ import annotations

import sys

assert sys.platform == "win32"

import os
import subprocess
import winreg

from tokenward.errors import CommandError
from tokenward.services.manager import InstalledService, Job

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Final

KEY: Final = r"Software\Microsoft\Windows\CurrentVersion\Run"
VALUE: Final = "tokenward"
LONGEST: Final = 260
"""The maximum length of such a command (learn.microsoft.com, "Run and RunOnce")."""

_MARK: Final = "-m tokenward_agent"
_PATH: Final = rf"HKEY_CURRENT_USER\{KEY}\{VALUE}"


def find_manager(_environ: Mapping[str, str]) -> LogOn | None:
    """Return the manager, which every Windows has."""
    return LogOn()


class LogOn:
    """The user's Run key."""

    name = "Windows"

    def install(self, job: Job) -> list[str]:
        """Install, as `Manager.install` says."""
        command = _command(job)
        before = self._ours()
        if before == command:
            return []
        with winreg.CreateKey(winreg.HKEY_CURRENT_USER, KEY) as key:
            winreg.SetValueEx(key, VALUE, 0, winreg.REG_SZ, command)
        return [_PATH]

    def uninstall(self) -> list[str]:
        """Uninstall, as `Manager.uninstall` says."""
        if not self._ours():
            return []
        with winreg.OpenKey(winreg.HKEY_CURRENT_USER, KEY, 0, winreg.KEY_SET_VALUE) as key:
            winreg.DeleteValue(key, VALUE)
        return [_PATH]

    def service(self) -> InstalledService | None:
        """Return the service, as `Manager.service` says."""
        if not self._ours():
            return None
        return InstalledService([_PATH], socket="", listening=False, running=False)

    def _ours(self) -> str:
        """Return the command in the key, or "". Raises CommandError if we did not write it."""
        try:
            with winreg.OpenKey(winreg.HKEY_CURRENT_USER, KEY) as key:
                command, _ = winreg.QueryValueEx(key, VALUE)
        except FileNotFoundError:
            return ""
        if _MARK not in str(command):
            raise CommandError(
                f"{_PATH} exists, and `auth agent install` did not write it.",
                "remove it and install again",
            )
        return str(command)


def _command(job: Job) -> str:
    """Return the command that starts the agent without a window. Raises CommandError."""
    python, *options = job.command
    windowless = os.path.join(os.path.dirname(python), "pythonw.exe")
    directory = job.variables.get("TOKENWARD_DIR")
    for name in job.variables:
        if name.startswith("TOKENWARD_") and name != "TOKENWARD_DIR":
            raise CommandError(
                f"Windows gives {name} to programs at log-on only if it is set for your user.",
                f"`setx {name} ...` sets it for your user; then unset it here",
            )
    where = ["--directory", directory] if directory else []
    command = subprocess.list2cmdline([windowless, *options, *where])
    if len(command) > LONGEST:
        raise CommandError(
            f"The command that starts the agent is longer than the {LONGEST} characters that"
            " Windows allows at log-on.",
            "install tokenward in a folder with a shorter path",
        )
    return command
