"""A login session with a real `systemd --user`, for a user who is not there otherwise.

The manager wants a machine that systemd has booted, a cgroup of its own and a runtime directory. It
gets them in mount, pid and cgroup namespaces; nothing of the machine outside is changed but one
cgroup, which is removed at the end. Whoever logs out ends with all processes in there. Needs root,
the Debian package systemd and cgroup v2.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Self

import pytest

from support.auth_commands import PROGRAMS, AuthCommands
from support.inspection.processes import children
from support.systems.other_users import OPENED, SOMEBODY, closed_above_interpreter
from support.waiting import PATIENCE, until

if TYPE_CHECKING:
    from collections.abc import Callable

MANAGER = Path("/usr/lib/systemd/systemd")
SYSTEMCTL = "/usr/bin/systemctl"
RUNTIME = f"/run/user/{SOMEBODY}"

_SESSION = """
set -e
home=$1 uid=$2; shift 2
mount --make-rprivate /
umount -R /sys/fs/cgroup 2>/dev/null || umount -l /sys/fs/cgroup
mount -t cgroup2 cgroup2 /sys/fs/cgroup
(cd /sys/fs/cgroup; chown $uid . cgroup.procs cgroup.subtree_control cgroup.threads)
mount -t tmpfs -o mode=755 none /run
mkdir -p /run/systemd/system /run/user/$uid
mount -t tmpfs -o mode=0700,uid=$uid,gid=$uid,size=16m none /run/user/$uid
cp /etc/passwd /run/passwd
echo "somebody:x:$uid:$uid::$home:/bin/sh" >>/run/passwd
mount --bind /run/passwd /etc/passwd
cd "$home"
"$@" &
wait $! # the manager would take itself for the system's if it were process 1
"""


def _cgroups() -> Path | None:
    """Return where the machine has cgroup v2, None where it has not."""
    for folder in (Path("/sys/fs/cgroup"), Path("/sys/fs/cgroup/unified")):
        if (folder / "cgroup.controllers").exists():
            return folder
    return None


@cache
def _can_log_in() -> bool:
    """Tell whether namespaces and cgroups can be had, which a container may not allow."""
    if not MANAGER.exists():
        return False
    if (cgroups := _cgroups()) is None or not _can_make(cgroups):
        return False
    mount = "mount --make-rprivate / && mount -t cgroup2 cgroup2 /mnt"
    tried = ["unshare", "-mpC", "--fork", "--mount-proc", "sh", "-c", mount]
    return subprocess.run(tried, check=False, capture_output=True).returncode == 0


def _can_make(cgroups: Path) -> bool:
    tried = cgroups / f"tokenward-{os.getpid()}"
    try:
        tried.mkdir()
    except OSError:
        return False
    tried.rmdir()
    return True


needs_user_manager = pytest.mark.root(
    "logs a user in", able=_can_log_in, needs="Debian's systemd, namespaces and cgroup v2"
)


class UserManager(AuthCommands):
    """One session. `inside` goes before a command that is to be run in it; `path` is the home."""

    def __enter__(self) -> Self:
        self.path = Path(tempfile.mkdtemp(prefix="user-", dir="/tmp")).resolve()
        os.chown(self.path, SOMEBODY, SOMEBODY)
        self.environment = {
            "HOME": str(self.path),
            "LANG": "C.UTF-8",
            "PATH": f"{PROGRAMS}:/usr/bin:/bin",
            "USER": "somebody",
            "LOGNAME": "somebody",
            "XDG_RUNTIME_DIR": RUNTIME,
        }
        self.journal = self.path / "manager.log"
        cgroups = _cgroups()
        assert cgroups is not None
        self._cgroup = cgroups / f"tokenward-{self.path.name}"
        try:
            self._log_in()
        except BaseException:
            self._end()
            raise
        return self

    def _log_in(self) -> None:
        become = ["setpriv", f"--reuid={SOMEBODY}", f"--regid={SOMEBODY}", "--clear-groups"]
        become += ["--inh-caps=-all"]
        opened = (
            ["sh", "-c", OPENED, "sh", *closed] if (closed := closed_above_interpreter()) else []
        )
        manager = [str(MANAGER), "--user", "--log-target=console", "--log-level=info"]
        self._cgroup.mkdir()
        with self.journal.open("wb") as journal:
            self._session = subprocess.Popen(
                [
                    *(
                        "sh",
                        "-c",
                        'echo $$ >"$1/cgroup.procs"; shift; exec "$@"',
                        "sh",
                        self._cgroup,
                    ),
                    *("unshare", "-mpC", "--fork", "--mount-proc", "--kill-child"),
                    *("sh", "-c", _SESSION, "sh", str(self.path), str(SOMEBODY)),
                    *opened,
                    *become,
                    *manager,
                ],
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=journal,
                stderr=journal,
            )
        self.until(lambda: bool(children(self._session.pid)))
        (first,) = children(self._session.pid)
        spaces = ["nsenter", f"--target={first}", "--mount", "--pid", "--cgroup"]
        self.inside_as_root = [*spaces, "--wd=/"]
        self.inside = [*self.inside_as_root, *become]
        given = ["sh", "-c", 'chown $0 "$(tty)"; exec "$@"', str(SOMEBODY)]
        self.on_a_terminal = [*self.inside_as_root, *given, *become]
        self.until(self._serves)

    def _serves(self) -> bool:
        assert self._session.poll() is None, self.more_said()
        state = self.run(SYSTEMCTL, "--user", "is-system-running").stdout.strip()
        return state in {"running", "degraded"}

    def until(self, so: Callable[[], bool]) -> None:
        """Wait for a state that comes about."""
        until(so, self.more_said)

    def run(
        self, *command: str | Path, stdin: str = "", **variables: str
    ) -> subprocess.CompletedProcess[str]:
        """Run a command as the user, without a terminal; whatever it exits with."""
        return subprocess.run(
            [*self.inside, *command],
            env=self.environment | variables,
            input=stdin,
            text=True,
            capture_output=True,
            check=False,
            timeout=2 * PATIENCE,
        )

    def more_said(self) -> str:
        return self.journal.read_text(errors="replace")

    def systemctl(self, *arguments: str) -> str:
        """Run `systemctl --user`, which has to succeed; return its stdout."""
        result = self.run(SYSTEMCTL, "--user", "--no-pager", *arguments)
        assert result.returncode == 0, result.stderr + self.more_said()
        return result.stdout

    def forget(self) -> None:
        """Remove everything from the user's home."""
        self.run("find", str(self.path), "-mindepth", "1", "-user", str(SOMEBODY), "-delete")

    def shows(self, unit: str, name: str) -> str:
        """Return a property of a unit."""
        return self.systemctl("show", "--value", f"--property={name}", unit).strip()

    def proc(self, pid: str, file: str) -> str:
        """Return what /proc says of a process of the session, by its number there."""
        command = [*self.inside_as_root, "cat", f"/proc/{pid}/{file}"]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout

    def log_out(self) -> None:
        """End the manager as the end of a session does, with all that it has started."""
        self.run(SYSTEMCTL, "--user", "exit")
        self._session.wait(PATIENCE)

    def __exit__(self, *_: object) -> None:
        self._end()

    def _end(self) -> None:
        if hasattr(self, "_session"):
            self._session.kill()
            self._session.wait()
        try:
            until(self._is_removed)
        finally:
            shutil.rmtree(self.path)

    def _is_removed(self) -> bool:
        """Remove the session's cgroup, unless its last process is just ending."""
        with suppress(OSError):
            _remove(self._cgroup)
        return not self._cgroup.exists()


def _remove(cgroup: Path) -> None:
    for folder, _, _ in os.walk(cgroup, topdown=False):
        os.rmdir(folder)  # noqa: PTH106 - os.walk gives text
