"""Hardening, tried from outside: what another process of the same user may do to a hardened one."""

from __future__ import annotations

import json
import subprocess
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from support.inspection.remote_debugging import needs_remote_exec
from tokenward_agent.harden import HardenError, HardenReport, refuse_tracer

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="attempts made through /proc")

# Root may do everything, so as root both sides become somebody else. A change of uid without exec
# leaves a process undumpable: the target is made dumpable again, so that only `harden` closes it.
BECOME = """
import ctypes, json, os, sys
libc = ctypes.CDLL(None, use_errno=True)
from tokenward_agent import harden
if os.getuid() == 0: os.setgroups([]); os.setgid(65534); os.setuid(65534)
libc.prctl(4, 1, 0, 0, 0)
"""

ATTEMPTS = """
target, address = int(sys.argv[1]), int(sys.argv[2])
def read(path):
    with open(path, "rb") as file: return file.read(1)
def mem():
    with open(f"/proc/{target}/mem", "rb", buffering=0) as file:
        file.seek(address); return file.read(6) == b"marked"
def attach():
    if libc.ptrace(16, target, None, None): raise OSError(ctypes.get_errno())
    os.waitpid(target, 0x40000000); libc.ptrace(17, target, None, None)
def vm_read():
    class Vec(ctypes.Structure): _fields_ = [("base", ctypes.c_void_p), ("len", ctypes.c_size_t)]
    buffer = ctypes.create_string_buffer(6)
    local = Vec(ctypes.addressof(buffer), 6); remote = Vec(address, 6)
    n = libc.process_vm_readv(target, ctypes.byref(local), 1, ctypes.byref(remote), 1, 0)
    if n != 6: raise OSError(ctypes.get_errno())
def getfd():
    fd = libc.syscall(438, os.pidfd_open(target), 0, 0)
    if fd < 0: raise OSError(ctypes.get_errno())
attempts = {
    "mem": mem, "attach": attach, "process_vm_readv": vm_read, "pidfd_getfd": getfd,
    "environ": lambda: read(f"/proc/{target}/environ"),
    "maps": lambda: read(f"/proc/{target}/maps"),
    "fd": lambda: os.listdir(f"/proc/{target}/fd"),
    "exe": lambda: os.readlink(f"/proc/{target}/exe"),
}
outcome = {}
for name, attempt in attempts.items():
    try: attempt(); outcome[name] = True
    except OSError: outcome[name] = False
print(json.dumps(outcome))
"""

TARGET = """
secret = ctypes.create_string_buffer(b"marked")
print(os.getpid(), ctypes.addressof(secret), flush=True)
sys.stdin.read()
"""


@contextmanager
def process(program: str) -> Generator[subprocess.Popen[str]]:
    """Run *program* until its stdin closes; ended here whatever happens."""
    child = subprocess.Popen(
        [sys.executable, "-I", "-c", program],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        with child:
            yield child
    finally:
        child.kill()
        child.wait()


def attempts_on(hardening: str) -> dict[str, bool]:
    """Tell which attempts succeed on a process that ran *hardening*."""
    with process(BECOME + hardening + TARGET) as target:
        assert target.stdout is not None
        argv = [sys.executable, "-I", "-c", BECOME + ATTEMPTS, *target.stdout.readline().split()]
        outcome: dict[str, bool] = json.loads(subprocess.check_output(argv, text=True))
    return outcome


def test_another_process_of_the_same_user_gets_nothing() -> None:
    control = attempts_on("")
    assert control["environ"], "the control process was closed too, so that this test says nothing"
    assert set(attempts_on("harden.harden()").values()) == {False}


def test_what_is_in_force_is_reported() -> None:
    program = (
        "from tokenward_agent.harden import harden; r = harden(); print(*r.in_force, sep='\\n')"
    )
    said = subprocess.check_output([sys.executable, "-I", "-c", program], text=True).splitlines()
    assert said[:4] == ["core limit 0", "not dumpable", "no tracer", "no new privileges"]


def test_a_crash_after_hardening_writes_no_core(tmp_path: Path) -> None:
    program = "import os; {}; os.abort()"
    raised = "import resource as r; r.setrlimit(r.RLIMIT_CORE, (-1, -1))"
    hardened = f"{raised}; from tokenward_agent.harden import harden; harden()"
    left: list[list[Path]] = []
    for setup in (raised, hardened):
        folder = tmp_path / str(len(left))
        folder.mkdir()
        argv = [sys.executable, "-I", "-c", program.format(setup)]
        subprocess.run(argv, check=False, cwd=folder)
        left.append(list(folder.iterdir()))
    if not left[0]:
        pytest.skip("this system writes cores elsewhere or not at all")
    assert left[1] == []


def test_the_core_limit_cannot_be_raised_again() -> None:
    program = BECOME + (
        "harden.harden(); import resource as r\n"
        "try: r.setrlimit(r.RLIMIT_CORE, (1, 1))\nexcept ValueError: print('refused')"
    )
    assert subprocess.check_output([sys.executable, "-I", "-c", program], text=True) == "refused\n"


def test_no_program_started_from_here_gains_privileges() -> None:
    program = (
        "from tokenward_agent.harden import harden; harden(); import os\n"
        "os.execv('/bin/grep', ['grep', 'NoNewPrivs', '/proc/self/status'])"
    )
    said = subprocess.check_output([sys.executable, "-I", "-c", program], text=True)
    assert said.split() == ["NoNewPrivs:", "1"]


MAP = """
import ctypes, os, sys
from tokenward_agent.harden import harden
def executable():
    libc = ctypes.CDLL(None); libc.mmap.restype = ctypes.c_void_p
    return libc.mmap(None, ctypes.c_size_t(4096), 7, 0x22, -1, 0) != ctypes.c_void_p(-1).value
"""


def test_writable_code_is_refused_here_and_left_to_the_programs_started_from_here() -> None:
    show = "print(executable())"
    again = f"os.execv(sys.executable, [sys.executable, '-I', '-c', {MAP + show!r}])"
    program = MAP + f"r = harden(); print(*r.refused); print(executable(), flush=True); {again}"
    refused, here, there = subprocess.check_output(
        [sys.executable, "-I", "-c", program], text=True
    ).splitlines()
    if "memory" in refused:
        pytest.skip(f"this kernel does not offer it: {refused}")
    assert (here, there) == ("False", "True")


def test_a_process_that_is_being_traced_refuses_to_hold_secrets() -> None:
    with process(
        "from tokenward_agent import harden\n"
        "input()\n"
        "try: harden.harden()\n"
        "except harden.HardenError as error: print(error)"
    ) as target:
        tracer = BECOME.replace("if os.getuid() == 0", "if False") + (
            "t = int(sys.argv[1])\n"
            "if libc.ptrace(0x4206, t, None, None): print('impossible', flush=True); sys.exit()\n"
            "print('attached', flush=True); sys.stdin.read()"
        )
        with subprocess.Popen(
            [sys.executable, "-I", "-c", tracer, str(target.pid)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        ) as attacher:
            assert attacher.stdin is not None
            assert attacher.stdout is not None
            if attacher.stdout.readline() != "attached\n":
                pytest.skip("this system forbids attaching altogether")
            assert target.stdin is not None
            assert target.stdout is not None
            target.stdin.write("\n")
            target.stdin.flush()
            said = target.stdout.readline()
            attacher.stdin.close()  # which detaches: a traced process cannot be waited for
    assert f"process {attacher.pid}" in said
    assert said.startswith("A debugger (")


def test_a_tracer_is_read_from_the_status_file(tmp_path: Path) -> None:
    path = tmp_path / "status"
    for number in (0, 4711):
        path.write_text(f"Name:\tpython\nTracerPid:\t{number}\nUid:\t0\n")
        if number == 0:
            refuse_tracer(str(path))
            continue
        with pytest.raises(HardenError, match="4711"):
            refuse_tracer(str(path))


def test_without_proc_nothing_is_said_about_tracers() -> None:
    refuse_tracer("/nonexistent/status")


def test_a_refused_protection_is_told_with_its_reason() -> None:
    report = HardenReport()
    report.record("one", None)
    report.record("two", "Operation not permitted")
    assert (report.in_force, report.refused) == (["one"], ["two: Operation not permitted"])


@pytest.mark.parametrize(
    ("program", "may"),
    [
        ("tokenward_agent.__main__", {"gc"}),
        ("tokenward_agent.worker.main", sys.stdlib_module_names | {"tokenward_agent"}),
    ],
)
def test_hardening_comes_before_whatever_takes_time_to_import(program: str, may: set[str]) -> None:
    said = subprocess.check_output(
        [sys.executable, "-I", "-c", BEFORE_HARDENING.format(program=program)], text=True
    )
    loaded = set(said.split())
    assert program in loaded
    assert {name for name in loaded - {program} if name.partition(".")[0] not in may} == set()


BEFORE_HARDENING = """
import sys, tokenward_agent.harden
before = set(sys.modules)
def harden():
    print(*set(sys.modules) - before)
    sys.exit()
tokenward_agent.harden.harden = harden
from {program} import main
main()
"""


@needs_remote_exec
@pytest.mark.parametrize(
    ("options", "told"), [((), "refused"), (("-X", "disable-remote-debug"), "in_force")]
)
def test_it_is_told_whether_python_would_run_code_from_outside(
    options: tuple[str, ...], told: str
) -> None:
    program = f"from tokenward_agent.harden import harden; print(*harden().{told}, sep='\\n')"
    said = subprocess.check_output([sys.executable, "-I", *options, "-c", program], text=True)
    assert "remote debugging off" in said


@needs_remote_exec
def test_where_the_process_cannot_begin_anew_that_is_told() -> None:
    for executable in ("/nowhere", None):
        program = (
            f"import sys; sys.executable = {executable!r}\n"
            "from tokenward_agent.harden import deafen, harden; deafen(); print(*harden().refused)"
        )
        said = subprocess.check_output([sys.executable, "-I", "-c", program], text=True)
        assert "remote debugging off" in said
