"""What Windows starts when the user logs on: the agent, by a value of the user's own Run key.

No service and no task of the scheduler: both run outside of the user's session or need somebody who
may make them, and this needs neither. Windows does not look after the agent further; one that has
ended is started on demand as ever. When the user logs off Windows ends it, and its memory with it.
"""

from __future__ import annotations

import sys

assert sys.platform == "win32"

import os
import subprocess
import winreg

from tokenward.errors import CommandError
from tokenward.services.manager import Job, Service

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Final

KEY: Final = r"Software\Microsoft\Windows\CurrentVersion\Run"
VALUE: Final = "tokenward"
LONGEST: Final = 260
"""Characters of a command that Windows takes there (learn.microsoft.com, "Run and RunOnce")."""

_MARK: Final = "-m tokenward_agent"
_PATH: Final = rf"HKEY_CURRENT_USER\{KEY}\{VALUE}"


def found(_environ: Mapping[str, str]) -> LogOn | None:
    """Return what starts programs at log-on, which is always there."""
    return LogOn()


class LogOn:
    """The user's Run key."""

    name = "Windows"

    def install(self, job: Job) -> list[str]:
        """As `Manager.install` has it."""
        command = _command(job)
        before = self._ours()
        if before == command:
            return []
        with winreg.CreateKey(winreg.HKEY_CURRENT_USER, KEY) as key:
            winreg.SetValueEx(key, VALUE, 0, winreg.REG_SZ, command)
        return [_PATH]

    def uninstall(self) -> list[str]:
        """As `Manager.uninstall` has it."""
        if not self._ours():
            return []
        with winreg.OpenKey(winreg.HKEY_CURRENT_USER, KEY, 0, winreg.KEY_SET_VALUE) as key:
            winreg.DeleteValue(key, VALUE)
        return [_PATH]

    def service(self) -> Service | None:
        """As `Manager.service` has it."""
        if not self._ours():
            return None
        return Service([_PATH], socket="", listening=False, running=False)

    def _ours(self) -> str:
        """Return the command that is there, "" for none. Raises CommandError for a stranger's."""
        try:
            with winreg.OpenKey(winreg.HKEY_CURRENT_USER, KEY) as key:
                command, _ = winreg.QueryValueEx(key, VALUE)
        except FileNotFoundError:
            return ""
        if _MARK not in str(command):
            raise CommandError(
                f"{_PATH} is there already, and `auth agent install` did not write it.",
                "remove it and do it again",
            )
        return str(command)


def _command(job: Job) -> str:
    """Return what starts the agent without a window. Raises CommandError where that cannot be."""
    python, *options = job.command
    windowless = os.path.join(os.path.dirname(python), "pythonw.exe")
    directory = job.variables.get("TOKENWARD_DIR")
    for name in job.variables:
        if name.startswith("TOKENWARD_") and name != "TOKENWARD_DIR":
            raise CommandError(
                f"Windows gives {name} to nothing that it starts at log-on, unless it is your user's.",
                f"`setx {name} ...` makes it so; then unset it here",
            )
    where = ["--directory", directory] if directory else []
    command = subprocess.list2cmdline([windowless, *options, *where])
    if len(command) > LONGEST:
        raise CommandError(
            f"The command that starts the agent has more than the {LONGEST} characters that Windows"
            " takes at log-on.",
            "install tokenward in a folder with a shorter path",
        )
    return command
