"""Whether the agent's process keeps its promises, tested from outside as this user.

The agent's own report counts only if nothing can be tested. Linux shows a process to others, and
Windows says what may be done to it; other systems leave only the agent's own report.
"""

from __future__ import annotations

import errno
import os
import sys

from tokenward.checks.finding import ok, problem, warning
from tokenward_os.files import CLOSED

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tokenward.checks.finding import Finding

_REFUSED = {errno.EACCES, errno.EPERM}
_OPENED = ("mem", "environ", "maps")
_RESTART = "`auth agent restart`, and report it if it happens again"


def check_closed(pid: int, uid: int, proc: str = "/proc") -> Iterator[Finding]:
    """Try to read the agent's memory and environment, and to list its descriptors."""
    check = "process"
    if sys.platform == "win32":
        from tokenward.windows.running import may_be_read

        if may_be_read(pid):
            yield problem(check, "Your other programs can read the agent's memory.", _RESTART)
        else:
            yield ok(check, "Your other programs cannot read the agent's memory.")
        return
    if not os.path.isdir(f"{proc}/self"):
        return
    if uid == 0:
        yield warning(
            check,
            "You are root, and root can read the agent's memory.",
            "use tokenward as an ordinary user",
        )
        return
    wrong = {what: _open(f"{proc}/{pid}/{what}") for what in _OPENED}
    opened = [what for what, error in wrong.items() if error is None]
    try:
        os.listdir(f"{proc}/{pid}/fd")
        opened.append("fd")
    except OSError:
        pass
    if opened:
        yield problem(
            check, f"Your other programs can read the agent ({', '.join(opened)}).", _RESTART
        )
    elif set(wrong.values()) <= _REFUSED:
        yield ok(
            check, "Your other programs cannot read the agent's memory, environment and files."
        )
    else:
        yield warning(
            check,
            f"The agent (pid {pid}) cannot be seen from here, so it cannot be tested.",
            "run `auth doctor` where the agent runs",
        )


def _open(path: str) -> int | None:
    """Return the error number of opening a file, or None if it opens."""
    try:
        os.close(os.open(path, os.O_RDONLY | CLOSED))
    except OSError as error:
        return error.errno
    return None


def check_limits(text: str) -> Iterator[Finding]:
    """Judge the agent's limits in /proc/PID/limits (proc_pid_limits(5))."""
    core = _limit(text, "Max core file size")
    if core == ("0", "0"):
        yield ok("core", "A crash of the agent writes no core file (limit 0, and fixed).")
    elif core:
        yield problem("core", f"A crash of the agent may write a core file ({core[1]}).", _RESTART)


def _limit(text: str, name: str) -> tuple[str, str] | None:
    """Return a soft and a hard limit, or None without such a line."""
    for line in text.splitlines():
        if line.startswith(name):
            soft, hard, *_ = line.removeprefix(name).split()
            return soft, hard
    return None


def check_memory(kind: str, limits_text: str) -> Finding:
    """Judge how the secrets are kept from swap and dumps, by the agent's own report."""
    if kind == "memfd_secret":
        return ok("memory", "Secrets are in memory that the kernel does not map (memfd_secret).")
    if kind == "mlock":
        return ok("memory", "Secrets are in locked memory, which is never swapped (mlock).")
    if kind == "VirtualLock":
        return ok("memory", "Secrets are in locked memory, which is never swapped (VirtualLock).")
    limit = _limit(limits_text, "Max locked memory")
    allowed = f" (lock limit {limit[1]})" if limit else ""
    return warning(
        "memory",
        f"The memory for secrets is {kind.rstrip('.')}{allowed}.",
        "raise the hard limit that `ulimit -H -l` shows, then `auth agent restart`",
    )


HELPS = {
    "not dumpable": "run the agent outside of it",  # refused only in a user namespace
    "remote debugging off": "`auth agent restart`",
}
"""What helps if a protection is refused."""


def check_protections(protections: Mapping[str, str]) -> Iterator[Finding]:
    """Report the protections that this system refuses."""
    for name, state in protections.items():
        if state.startswith("refused"):
            yield warning(
                "protections",
                f"This system refuses a protection: {name} ({state.removeprefix('refused: ')}).",
                HELPS.get(name, "a newer kernel may provide it"),
            )
