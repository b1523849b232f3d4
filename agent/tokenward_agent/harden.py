"""Close this process to debuggers, dumps and other processes of the same user.

The agent and each of its workers call it first, before they import anything heavy and before they
read a secret: memory that will hold a secret must not have been readable a moment earlier. Imports
only contextlib, ctypes, os, sys and on Unix resource, all of which are cheap.

Python may run code that another process injects (PEP 768, from 3.14 on). Only an option at the
start of the interpreter prevents that, and the parent process may not have set it, so `deafen` runs
first.

Afterwards in force, where the system supports it:

- core limit 0, soft and hard: a crash writes no file;
- not dumpable (Linux): no process of this uid can read ``/proc/PID/mem``, ``environ`` or ``fd``,
  attach a debugger, or have the kernel pipe a dump to a handler, which a core limit alone does not
  stop;
- no new privileges (Linux): neither this process nor a child of it can start a set-uid program;
- memory-deny-write-execute (Linux 6.6): no page is ever both writable and executable. Children do
  not inherit this: it would kill a ``keyring`` program that runs on node, Java or .NET;
- debuggers denied (macOS, ``PT_DENY_ATTACH``);
- an access list that denies reading this process' memory, and no dump or dialog after a crash
  (Windows; windows/process.py).

A process that is already being traced refuses to go on; no switch allows it. (On macOS the kernel
ends a traced process that denies debuggers.)

It does not protect against root; against code of the same user that *asks* the agent, kills it,
takes its address or replaces its files; or against an attacker who can change this interpreter or
its libraries. ``cmdline`` and ``status`` stay readable, so a secret must never stand in an
argument. In a user namespace it protects against processes in the same namespace only: the
namespace's owner outside, which may be any program of the same user, has every right over this
process (`withdraw` records that). On macOS a process of the same user may still get this one's task
port from the kernel if System Integrity Protection does not guard the interpreter. On Windows a
process cannot replace itself: there an agent whose parent did not set the option against injected
code reports it.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import sys

if sys.platform != "win32":
    import resource

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

_PR_GET_DUMPABLE: Final = 3  # linux/prctl.h, the same on every architecture
_PR_SET_DUMPABLE: Final = 4
_PR_SET_NO_NEW_PRIVS: Final = 38
_PR_GET_NO_NEW_PRIVS: Final = 39
_PR_SET_MDWE: Final = 65
_MDWE_REFUSE_EXEC_GAIN: Final = 1
_MDWE_NO_INHERIT: Final = 2
_PT_DENY_ATTACH: Final = 31  # sys/ptrace.h of macOS, the same on every Mac

DEAF: Final = "disable-remote-debug"
"""The value of Python's option -X; older versions ignore it silently."""


class HardenError(Exception):
    """This process must not hold a secret; the text is one sentence for the user."""


class HardenReport:
    """The protections in force and those that the system refused, as sentences for ``status``."""

    __slots__ = ("in_force", "refused")

    def __init__(self) -> None:
        self.in_force: list[str] = []
        self.refused: list[str] = []

    def __repr__(self) -> str:
        return f"HardenReport(in_force={self.in_force!r}, refused={self.refused!r})"

    def record(self, name: str, problem: str | None) -> None:
        """Record *name* as in force or, with its *problem*, as refused."""
        if problem is None:
            self.in_force.append(name)
        else:
            self.refused.append(f"{name}: {problem}")

    def withdraw(self, name: str, problem: str) -> None:
        """Record that a protection in force does not hold against all processes."""
        self.in_force.remove(name)
        self.record(name, problem)


def deafen() -> None:
    """Restart this process in place, with the option against injected code.

    It keeps its process id, arguments, environment and descriptors; everything that it did before,
    it does again. If it cannot restart, `harden` reports that.
    """
    told = DEAF in sys._xoptions  # noqa: SLF001 - documented in spite of its underscore
    if sys.platform == "win32" or told or _forbid_remote_debugging() is None or not sys.executable:
        return
    command = [sys.executable, "-X", DEAF, *sys.orig_argv[1:]]
    with contextlib.suppress(OSError):
        os.execv(sys.executable, command)  # noqa: S606 - it runs itself, with one more option


def harden() -> HardenReport:
    """Close this process. May be called again; takes a few tenths of a millisecond.

    Raises HardenError if a tracer is attached or the kernel keeps memory dumps on: then any program
    of the same user could read a secret here.
    """
    report = HardenReport()
    if sys.platform == "win32":
        _harden_windows(report)
    else:
        report.record("core limit 0", _forbid_core())
        libc = ctypes.CDLL(None, use_errno=True)
        if sys.platform == "linux":
            _harden_linux(libc, report)
        elif sys.platform == "darwin":
            failed = libc.ptrace(_PT_DENY_ATTACH, 0, None, 0)
            report.record("debuggers denied", _errno_text() if failed else None)
    report.record("remote debugging off", _forbid_remote_debugging())
    return report


def _harden_windows(report: HardenReport) -> None:
    if sys.platform == "win32":
        from tokenward_agent.windows.process import close_process, has_debugger

        try:
            close_process()
        except OSError as error:
            report.record("closed to this user", error.strerror)
        else:
            report.record("closed to this user", None)
        if has_debugger():
            raise HardenError("A debugger is attached to this process; it will not hold secrets.")
        report.record("no tracer", None)


def _forbid_core() -> str | None:
    if sys.platform != "win32":
        try:
            resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        except (OSError, ValueError) as error:
            return str(error)
    return None


def _harden_linux(libc: ctypes.CDLL, report: HardenReport) -> None:
    def prctl(option: int, argument: int) -> int:
        long = ctypes.c_ulong
        return int(libc.prctl(option, long(argument), long(0), long(0), long(0)))

    prctl(_PR_SET_DUMPABLE, 0)
    if prctl(_PR_GET_DUMPABLE, 0) != 0:
        raise HardenError("The kernel does not let this process disable memory dumps.")
    report.record("not dumpable", None)
    # From here on no process of this uid can attach, so one check is enough.
    refuse_tracer("/proc/self/status")
    report.record("no tracer", None)
    prctl(_PR_SET_NO_NEW_PRIVS, 1)
    set_ = prctl(_PR_GET_NO_NEW_PRIVS, 0) == 1
    report.record("no new privileges", None if set_ else _errno_text())
    failed = prctl(_PR_SET_MDWE, _MDWE_REFUSE_EXEC_GAIN | _MDWE_NO_INHERIT)
    report.record("no writable and executable memory", _errno_text() if failed else None)


def refuse_tracer(status_path: str) -> None:
    """Raise HardenError if the process of *status_path* (``/proc/PID/status``) is being traced.

    Source: proc_pid_status(5), field ``TracerPid``. Raises nothing where /proc is not mounted: a
    tracer would have to have attached before `harden` ran.
    """
    try:
        status = os.open(status_path, os.O_RDONLY)
    except OSError:
        return
    try:
        text = os.read(status, 65536)
    finally:
        os.close(status)
    for line in text.splitlines():
        name, _, value = line.partition(b":")
        if name == b"TracerPid" and int(value) != 0:
            raise HardenError(
                f"A debugger (process {int(value)}) is attached to this process;"
                " it will not hold secrets while being traced."
            )


def _forbid_remote_debugging() -> str | None:
    """Tell whether code can be injected by ``sys.remote_exec`` (PEP 768, Python 3.14)."""
    enabled = getattr(sys, "is_remote_debug_enabled", None)
    if enabled is None or not enabled():
        return None
    return f"Python was started without `-X {DEAF}`"


def _errno_text() -> str:
    return os.strerror(ctypes.get_errno())
