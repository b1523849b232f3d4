"""launchd of macOS: a launch agent of the user, made from the template in launch_agents/.

launchd listens at the agent's address and starts it at the first connection. It makes the socket
but not its folder, so the address has to be where a restart of the machine deletes nothing; the folder
that is deleted then, where clients look first, is removed.

A property list without our remark was not written by us, and stays. launchd is controlled by
`launchctl`. The job belongs to the user's graphical session if there is one, else to the user, as
over ssh.
"""

from __future__ import annotations

import sys

assert sys.platform != "win32"

import os
import plistlib
import re
from time import monotonic, sleep

from tokenward.errors import CommandError
from tokenward.files import reading, user_files
from tokenward.services.manager import Control, InstalledService, Job, not_ours_error
from tokenward.settings import directories
from tokenward.transport import unix
from tokenward_os.files import uid

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

LABEL = "dev.tokenward.agent"
REMARK = b"<!-- Written by `auth agent install`; `auth agent uninstall` takes it away. -->\n"

_SESSIONS = {"gui": "Aqua", "user": "Background"}
"""launchd's kinds of domains, and the names of their sessions in a property list."""

_START = b'<plist version="1.0">\n'
_SECONDS = 30
"""Seconds for one `launchctl`, and until a job has ended; a stop may take twenty."""


def find_manager(environ: Mapping[str, str], program: str = "/bin/launchctl") -> Launchd | None:
    """Return the user's launchd, or None if none answers."""
    if not os.access(program, os.X_OK):
        return None
    for kind in _SESSIONS:
        manager = Launchd(program, kind, environ)
        if manager.answers():
            return manager
    return None


class Launchd:
    """launchd with one user's jobs; `program` is `launchctl`, `kind` is gui or user."""

    name = "launchd"

    def __init__(self, program: str, kind: str, environ: Mapping[str, str]) -> None:
        self._kind = kind
        self._domain = f"{kind}/{uid()}"
        look = f"`launchctl print {self._domain}`"
        self._launchctl = Control([program], "launchctl", _SECONDS, look=look)
        self._target = f"{self._domain}/{LABEL}"
        self._path = f"{directories.home(environ)}/Library/LaunchAgents/{LABEL}.plist"

    def answers(self) -> bool:
        """Return whether this domain exists."""
        return self._launchctl.ask("print", self._domain).returncode == 0

    def install(self, job: Job) -> list[str]:
        """Install, as `Manager.install` says."""
        text = property_list(job, _SESSIONS[self._kind])
        changed = self._ours() != text
        service = self.service()
        if not changed and service is not None and service.listening:
            return []
        _remove_swept(job.socket)
        try:
            user_files.make_folders(self._path)
            user_files.write(self._path, text.decode(), 0o644)
            self._unload()
            self._launchctl.tell("enable", self._target)  # the user may have disabled it
            self._launchctl.tell("bootstrap", self._domain, self._path)
        except CommandError:
            self.uninstall()
            raise
        return [self._path] if changed else []

    def uninstall(self) -> list[str]:
        """Uninstall, as `Manager.uninstall` says."""
        if not self._ours():
            return []
        self._unload()
        user_files.remove(self._path)
        user_files.remove_folder(os.path.dirname(self._path))
        return [self._path]

    def service(self) -> InstalledService | None:
        """Return the service, as `Manager.service` says."""
        text = reading.read(self._path)
        if text is None:
            return None
        try:
            socket = plistlib.loads(text)["Sockets"]["Listener"]["SockPathName"]
        except (ValueError, LookupError, TypeError, plistlib.InvalidFileException):
            return None
        answer = self._launchctl.ask("print", self._target)
        return InstalledService(
            files=[self._path],
            socket=socket,
            listening=answer.returncode == 0 and os.path.exists(socket),
            running=re.search(r"^\s*pid = \d+$", answer.stdout, re.MULTILINE) is not None,
        )

    def _ours(self) -> bytes:
        """Return the property list, b"" without one.

        Raises CommandError if we did not write it.
        """
        text = reading.read(self._path) or b""
        if text and REMARK not in text:
            raise not_ours_error(self._path)
        return text

    def _unload(self) -> None:
        """Have launchd end and forget the job; until then it refuses a new one."""
        if self._launchctl.ask("print", self._target).returncode != 0:
            return
        self._launchctl.ask(
            "bootout", self._target
        )  # reports "in progress" if it does not wait itself
        deadline = monotonic() + _SECONDS
        while self._launchctl.ask("print", self._target).returncode == 0:
            if monotonic() > deadline:
                raise CommandError(
                    f"The job {LABEL} was not ended by launchd.",
                    f"`launchctl print {self._target}`",
                )
            sleep(0.1)


def _remove_swept(socket: str) -> None:
    """Remove the folder that a restart deletes, with the lock files of ended agents.

    Raises CommandError if an agent serves there.
    """
    folder = unix.swept_directory()
    if folder is None or os.path.dirname(socket) == folder or not unix.is_private(folder):
        return
    for name in os.listdir(folder):
        if name.endswith(".lock") and not os.path.exists(f"{folder}/{name.removesuffix('.lock')}"):
            user_files.remove(f"{folder}/{name}")
    if not user_files.remove_folder(folder):
        raise CommandError(
            f"Agents of other directories serve in {folder}, where clients look first.",
            f"stop those whose sockets `ls {folder}` shows, and install again",
        )


def property_list(job: Job, session: str) -> bytes:
    """Return the property list for a job, in a session of that type (Aqua or Background).

    Raises CommandError for text that a property list cannot hold.
    """
    folder = os.path.join(os.path.dirname(__file__), "launch_agents")
    agent = plistlib.loads(reading.read(f"{folder}/{LABEL}.plist") or b"")
    agent["ProgramArguments"] = job.command
    agent["Sockets"]["Listener"]["SockPathName"] = job.socket
    agent["EnvironmentVariables"] |= job.variables
    agent["LimitLoadToSessionType"] = session
    try:
        text = plistlib.dumps(agent, sort_keys=False)
        text.decode()
    except ValueError:
        raise CommandError("A path has characters that a property list cannot hold.") from None
    return text.replace(_START, _START + REMARK, 1)
