"""What another process of the same user gets out of a process: tried, from outside, as that user."""

from __future__ import annotations

import json
import subprocess
import sys

from support.systems.other_users import become

ATTEMPTS = """
import ctypes, json, os, sys
target = int(sys.argv[1])
libc = ctypes.CDLL(None, use_errno=True)
def read(name):
    with open(f"/proc/{target}/{name}", "rb", buffering=0) as file: return file.read(0)
def attach():
    if libc.ptrace(16, target, None, None): raise OSError(ctypes.get_errno())
    os.waitpid(target, 0x40000000); libc.ptrace(17, target, None, None)
def seize():
    if libc.ptrace(0x4206, target, None, None): raise OSError(ctypes.get_errno())
def vm_read():
    class Vec(ctypes.Structure): _fields_ = [("base", ctypes.c_void_p), ("len", ctypes.c_size_t)]
    buffer = ctypes.create_string_buffer(8)
    local, remote = Vec(ctypes.addressof(buffer), 8), Vec(0, 8)
    n = libc.process_vm_readv(target, ctypes.byref(local), 1, ctypes.byref(remote), 1, 0)
    if n < 0 and ctypes.get_errno() != 14: raise OSError(ctypes.get_errno())  # EFAULT: let in
def getfd():
    if libc.syscall(438, os.pidfd_open(target), 0, 0) < 0: raise OSError(ctypes.get_errno())
attempts = {name: lambda name=name: read(name) for name in
    ("mem", "environ", "maps", "smaps", "pagemap", "auxv", "syscall", "stack", "io")}
attempts |= {
    "fd": lambda: os.listdir(f"/proc/{target}/fd"),
    "map_files": lambda: os.listdir(f"/proc/{target}/map_files"),
    "cwd": lambda: os.readlink(f"/proc/{target}/cwd"),
    "exe": lambda: os.readlink(f"/proc/{target}/exe"),
    "process_vm_readv": vm_read, "pidfd_getfd": getfd, "seize": seize, "attach": attach,
}
got = []
for name, attempt in attempts.items():
    try: attempt(); got.append(name)
    except OSError: pass
print(json.dumps(got))
"""
NEEDED = {"mem", "environ", "maps", "fd", "exe", "process_vm_readv", "pidfd_getfd"}
"""What has to succeed on a process that is not hardened, or the attempts say nothing."""


def attempts_on(pid: int) -> set[str]:
    """Return what the agent's own user gets out of a process."""
    command = [*become(), sys.executable, "-I", "-c", ATTEMPTS, str(pid)]
    found: list[str] = json.loads(subprocess.check_output(command, text=True))
    return set(found)
