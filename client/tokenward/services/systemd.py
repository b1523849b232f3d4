"""systemd's user manager: the units in units/, written for this user.

The units are exactly the files that a distribution installs, with the path of this program and the
variables that choose directories. They are recognised by their first line: a file without it was
not written by us, and stays. The user's drop-ins (`systemctl --user edit`) stay, too.

The manager is controlled by `systemctl`; nothing here speaks D-Bus. It answers on a socket of its
own in the runtime directory, so no bus has to run.
"""

from __future__ import annotations

import os
import shutil

from tokenward.errors import CommandError
from tokenward.files import reading, user_files
from tokenward.services.manager import Control, InstalledService, Job, not_ours_error
from tokenward.settings import directories

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

SOCKET, SERVICE = "tokenward.socket", "tokenward.service"
UNITS = (SOCKET, SERVICE, "tokenward-worker.socket", "tokenward-worker@.service")

MARK = "# Written by `auth agent install`; `auth agent uninstall` takes it away.\n"

_PROGRAM = "ExecStart=/usr/bin/tokenward-agent\n"
_ADDRESS = "ListenStream=%t/tokenward/agent.sock\n"
_SECONDS = 60
"""Seconds for one `systemctl`; a stop may take as long as the unit allows."""


def find_manager(runtime: str, environ: Mapping[str, str]) -> Systemd | None:
    """Return the user's manager at `runtime`, or None if it cannot be controlled."""
    program = shutil.which("systemctl", path=environ.get("PATH"))
    return None if program is None else Systemd(program, runtime, environ)


class Systemd:
    """The user manager whose runtime directory is `runtime`; `program` is `systemctl`."""

    name = "systemd"

    def __init__(self, program: str, runtime: str, environ: Mapping[str, str]) -> None:
        self._systemctl = Control(
            [program, "--user", "--no-pager"],
            "systemctl --user",
            _SECONDS,
            look="`systemctl --user status`",
            stuck="`systemctl --user list-jobs`",
            environ={**environ, "XDG_RUNTIME_DIR": runtime, "LC_ALL": "C"},
        )
        self._folder = f"{directories.config_base(environ, directories.home(environ))}/systemd/user"

    def install(self, job: Job) -> list[str]:
        """Install, as `Manager.install` says."""
        texts = {f"{self._folder}/{unit}": unit_text(unit, job) for unit in UNITS}
        found = {path: self._ours(path) for path in texts}
        changed = [path for path, text in texts.items() if found[path] != text]
        service = self.service()
        if not changed and service is not None and service.listening:
            return []
        try:
            for path in changed:
                user_files.make_folders(path)
                user_files.write(path, texts[path], 0o644)
            self._systemctl.tell("daemon-reload")
            self._systemctl.tell("stop", *UNITS[:3])
            self._systemctl.tell("enable", "--quiet", "--now", SOCKET)
        except CommandError:
            self.uninstall()
            raise
        return changed

    def uninstall(self) -> list[str]:
        """Uninstall, as `Manager.uninstall` says."""
        there = [path for unit in UNITS if self._ours(path := f"{self._folder}/{unit}")]
        if not there:
            self._refuse_strangers()
            return []
        self._systemctl.tell("disable", "--quiet", "--now", SOCKET)
        self._systemctl.tell(
            "stop", SERVICE, "tokenward-worker.socket", "tokenward-worker@*.service"
        )
        for path in there:
            user_files.remove(path)
        self._systemctl.tell("daemon-reload")
        self._systemctl.ask("reset-failed", *UNITS[:3])  # fails if no unit has failed
        if user_files.remove_folder(self._folder):
            user_files.remove_folder(os.path.dirname(self._folder))
        return there

    def service(self) -> InstalledService | None:
        """Return the service, as `Manager.service` says."""
        wanted = "--property=LoadState,ActiveState,FragmentPath,Listen"
        answer = self._systemctl.ask("show", wanted, *UNITS[:3])
        if answer.returncode != 0:
            return None
        units = [_properties(block) for block in answer.stdout.split("\n\n")]
        socket, service = units[0], units[1]
        if socket.get("LoadState") != "loaded":
            return None
        return InstalledService(
            files=[path for unit in units if (path := unit.get("FragmentPath"))],
            socket=socket.get("Listen", "").removesuffix(" (Stream)"),
            listening=socket.get("ActiveState") == "active",
            running=service.get("ActiveState") in {"active", "activating", "reloading"},
        )

    def _ours(self, path: str) -> str:
        """Return the text of a unit that we wrote, or "".

        Raises CommandError if the file was not written by us.
        """
        text = (reading.read(path) or b"").decode(errors="replace")
        if text and not text.startswith(MARK):
            raise not_ours_error(path)
        return text

    def _refuse_strangers(self) -> None:
        """Raise CommandError if a unit that we did not install is active."""
        service = self.service()
        if service is not None and service.listening:
            raise CommandError(
                f"{service.files[0]} is not what `auth agent install` wrote.",
                f"`systemctl --user disable --now {SOCKET}`",
            )


def unit_text(unit: str, job: Job) -> str:
    """Return the text of a unit for a job."""
    units = os.path.join(os.path.dirname(__file__), "units")
    text = (reading.read(f"{units}/{unit}") or b"").decode()
    command = " ".join(quote(word) for word in job.command)
    text = text.replace(_PROGRAM, f"ExecStart={command}\n")
    text = text.replace(_ADDRESS, f"ListenStream={job.socket.replace('%', '%%')}\n")
    if unit == SERVICE:
        text = text.rstrip("\n") + "\n"
        for name, value in job.variables.items():
            text += f"Environment={quote(f'{name}={value}')}\n"
    return MARK + text


def quote(word: str) -> str:
    r"""Return a word so that systemd.syntax(7) and systemd.service(5) parse it back.

    In double quotes, with ``\`` and ``"`` escaped, and ``%`` doubled against specifiers. Raises
    CommandError for text that a unit cannot hold.
    """
    if not word.isprintable():
        raise CommandError(f"A unit of systemd cannot hold the path {word!r}.")
    escaped = word.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%")
    return f'"{escaped}"'


def _properties(block: str) -> dict[str, str]:
    return dict(line.split("=", 1) for line in block.splitlines() if "=" in line)
