"""Close this process to debuggers, dumps and other processes of the same user.

Called first in every mode, in the agent and in each of its workers, before anything heavy is
imported and before any secret is read: what holds a secret must not have been readable a moment
earlier. Imports only contextlib, ctypes, os, sys and on Unix resource, all of which are cheap.

Where Python would run code that another process gives it (PEP 768, from 3.14 on), `deafen` comes
before: that can be refused at the start alone, and whoever started this process may not have done it.

In force afterwards, where the system has it:

- core limit 0, soft and hard: a crash writes no file;
- not dumpable (Linux): nobody of this uid can read ``/proc/PID/mem``, ``environ`` or ``fd``, attach
  a debugger, or have the kernel pipe a dump to a handler, which a core limit alone does not stop;
- no new privileges (Linux): no set-uid program can be started from here, not by a child either;
- memory-deny-write-execute (Linux 6.6): no page is ever both writable and executable. Never with
  inheritance: a ``keyring`` program that runs on node, Java or .NET would die of it;
- debuggers denied (macOS, ``PT_DENY_ATTACH``);
- an access list of its own that lets nobody read its memory, and no dump or box for a crash
  (Windows; windows/process.py).

A tracer that is already there is refused, once, and there is no switch to allow one. (On macOS the
kernel does it: a traced process that denies debuggers is ended on the spot.)

What this does not protect against: root; code of the same user that *asks* the agent, kills it,
takes its address or replaces its files; whoever can change this interpreter or its libraries; and
``cmdline`` and ``status``, which stay readable, so that nothing secret may ever stand in an argument.
Within a user namespace it holds for those who are in it: its owner outside, who may be any program of
the same user, has every right over this process (`withdraw` says so).
On macOS a process of the same user may still ask the kernel for this one's task port where System
Integrity Protection does not guard the interpreter. On Windows no process can begin anew: there an
agent whose starter did not refuse such code reports it.
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
"""The value of Python's option -X; one that it does not know it ignores without a word."""


class HardenError(Exception):
    """This process may not hold a secret; the text is one sentence for the user."""


class Report:
    """What `harden` brought into force and what the system refused, as sentences for ``status``."""

    __slots__ = ("in_force", "refused")

    def __init__(self) -> None:
        self.in_force: list[str] = []
        self.refused: list[str] = []

    def __repr__(self) -> str:
        return f"Report(in_force={self.in_force!r}, refused={self.refused!r})"

    def note(self, name: str, problem: str | None) -> None:
        """File *name* under what is in force or, with its *problem*, under what was refused."""
        if problem is None:
            self.in_force.append(name)
        else:
            self.refused.append(f"{name}: {problem}")

    def withdraw(self, name: str, problem: str) -> None:
        """Note that what is in force for some has a *problem* all the same."""
        self.in_force.remove(name)
        self.note(name, problem)


def deafen() -> None:
    """Have this process refuse code of other processes: begin anew, with the option that says so.

    It stays the same process, with its arguments, environment and descriptors; all that it has done
    before is done again. Where that cannot be, `harden` reports it.
    """
    told = DEAF in sys._xoptions  # noqa: SLF001 - documented, for all its underscore
    if sys.platform == "win32" or told or _remote_debugging() is None or not sys.executable:
        return
    command = [sys.executable, "-X", DEAF, *sys.orig_argv[1:]]
    with contextlib.suppress(OSError):
        os.execv(sys.executable, command)  # noqa: S606 - it becomes itself, with one option more


def harden() -> Report:
    """Close this process; idempotent, a few tenths of a millisecond.

    Raises HardenError if a tracer is attached, or if the kernel will not let go of dumps: then a
    secret in here could be read by any program of the same user.
    """
    report = Report()
    if sys.platform == "win32":
        _windows(report)
    else:
        report.note("core limit 0", _no_core())
        libc = ctypes.CDLL(None, use_errno=True)
        if sys.platform == "linux":
            _linux(libc, report)
        elif sys.platform == "darwin":
            failed = libc.ptrace(_PT_DENY_ATTACH, 0, None, 0)
            report.note("debuggers denied", _errno_text() if failed else None)
    report.note("remote debugging off", _remote_debugging())
    return report


def _windows(report: Report) -> None:
    if sys.platform == "win32":
        from tokenward_agent.windows.process import close_process, has_debugger

        try:
            close_process()
        except OSError as error:
            report.note("closed to this user", error.strerror)
        else:
            report.note("closed to this user", None)
        if has_debugger():
            raise HardenError("A debugger is attached to this process; it will not hold secrets.")
        report.note("no tracer", None)


def _no_core() -> str | None:
    if sys.platform != "win32":
        try:
            resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        except (OSError, ValueError) as error:
            return str(error)
    return None


def _linux(libc: ctypes.CDLL, report: Report) -> None:
    def prctl(option: int, argument: int) -> int:
        long = ctypes.c_ulong
        return int(libc.prctl(option, long(argument), long(0), long(0), long(0)))

    prctl(_PR_SET_DUMPABLE, 0)
    if prctl(_PR_GET_DUMPABLE, 0) != 0:
        raise HardenError("The kernel does not let this process forbid memory dumps of itself.")
    report.note("not dumpable", None)
    # After the line above nobody of this uid can attach any more, so that one look is enough.
    refuse_tracer("/proc/self/status")
    report.note("no tracer", None)
    prctl(_PR_SET_NO_NEW_PRIVS, 1)
    set_ = prctl(_PR_GET_NO_NEW_PRIVS, 0) == 1
    report.note("no new privileges", None if set_ else _errno_text())
    failed = prctl(_PR_SET_MDWE, _MDWE_REFUSE_EXEC_GAIN | _MDWE_NO_INHERIT)
    report.note("no writable and executable memory", _errno_text() if failed else None)


def refuse_tracer(status_path: str) -> None:
    """Raise HardenError if the process of *status_path* (``/proc/PID/status``) is being traced.

    Source: proc_pid_status(5), field ``TracerPid``. Where /proc is not mounted, nothing can be
    said and nothing is raised: the tracer would have to have been there before `harden` ran.
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


def _remote_debugging() -> str | None:
    """Tell whether code can be injected by ``sys.remote_exec`` (PEP 768, Python 3.14)."""
    enabled = getattr(sys, "is_remote_debug_enabled", None)
    if enabled is None or not enabled():
        return None
    return f"Python was started without `-X {DEAF}`"


def _errno_text() -> str:
    return os.strerror(ctypes.get_errno())
