"""Numbers of the kernel come from the platform: what is written out is the same wherever we run.

A number of a socket option or of a call differs between architectures, and asked by another one's a
kernel answers something else: an owner of 0, say. So whatever is passed to such a call has a name
of Python's own, or stands below with the reason why it may be written out. Windows' numbers are its
interface, on every architecture, and are not looked at.
"""

from __future__ import annotations

import ast
import os
import socket
import sys
from pathlib import Path
from typing import Any

import pytest

import tokenward
import tokenward_agent
import tokenward_os
import tokenward_protocol
from tokenward.keyring_program import agent_client
from tokenward_agent import locked_memory, peer_credentials
from tokenward_agent.peer import proc
from tokenward_agent.worker import service_worker

ROOTS = [
    Path(package.__path__[0])
    for package in (tokenward, tokenward_agent, tokenward_os, tokenward_protocol)
]
ASKS = {
    "getsockopt": (0, 1), "setsockopt": (0, 1), "socket_option": (1, 2), "_read_option": (1, 2), "prctl": (0,),
    "syscall": range(9), "madvise": (0,), "_advise": (1,), "confstr": (0,), "fcntl": (1,),
    "ioctl": (1,), "ptrace": (0,), "mlock2": (2,), "shutdown": (0,), "socket": range(3),
    "waitid": (0, 2), "personality": (0,), "pidfd_open": (1,),
}  # fmt: skip
"""What asks a kernel by number, and which of its arguments are one."""

LINUX = "of linux/prctl.h: the same on every architecture"
MAC = "of macOS, which has one for every Mac"
WRITTEN_OUT = {
    "_PR_GET_DUMPABLE": LINUX,
    "_PR_SET_DUMPABLE": LINUX,
    "_PR_SET_NO_NEW_PRIVS": LINUX,
    "_PR_GET_NO_NEW_PRIVS": LINUX,
    "_PR_SET_MDWE": LINUX,
    "_PT_DENY_ATTACH": MAC,
    "_LOCAL_PEERCRED": MAC,
    "_LOCAL_PEERPID": MAC,
    "_MADV_ZERO_WIRED_PAGES": MAC,
    "DARWIN_USER_TEMP_DIR": MAC,
    "_CS_DARWIN_USER_TEMP_DIR": MAC,
    "_SYS_MEMFD_SECRET": "on the machines of _HAVE_MEMFD_SECRET alone",
    "_SO_PEERPIDFD": "by architecture, where Python has none",
    "_MLOCK_ONFAULT": "of asm-generic/mman-common.h: the same on every architecture",
    "_MADV_WIPEONFORK": "likewise since Linux 6.1; PA-RISC before that refuses it",
}


def literals(argument: ast.expr, assigned: dict[str, list[ast.expr]]) -> set[str]:
    """Return the names, and the numbers themselves, that an argument may have from the source."""
    found = set()
    for node in ast.walk(argument):
        if isinstance(node, ast.Constant) and type(node.value) is int and node.value:
            found.add(str(node.value))
        name = node.attr if isinstance(node, ast.Attribute) else getattr(node, "id", "")
        values = [each for value in assigned.get(name, []) for each in ast.walk(value)]
        if any(isinstance(each, ast.Constant) and type(each.value) is int for each in values):
            found.add(name)
    return found


def targets(node: ast.AST) -> list[ast.expr]:
    if isinstance(node, ast.Assign):
        return [each for target in node.targets for each in ast.walk(target)
                if isinstance(each, ast.expr)]  # fmt: skip
    return [node.target] if isinstance(node, ast.AnnAssign | ast.NamedExpr) else []


def asked(source: str, assigned: dict[str, list[ast.expr]]) -> set[str]:
    """Return the numbers by which a source asks a kernel, by their names where they have one."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call):
            name = getattr(node.func, "attr", getattr(node.func, "id", ""))
            for at in ASKS.get(name, ()):
                found |= literals(node.args[at], assigned) if at < len(node.args) else set()
    return found


def assignments(sources: list[str]) -> dict[str, list[ast.expr]]:
    found: dict[str, list[ast.expr]] = {}
    for source in sources:
        for node in ast.walk(ast.parse(source)):
            for target in targets(node):
                value = getattr(node, "value", None)
                if isinstance(target, ast.Name) and value is not None:
                    found.setdefault(target.id, []).append(value)
    return found


def sources() -> list[str]:
    paths = [path for root in ROOTS for path in sorted(root.rglob("*.py"))]
    return [path.read_text("utf-8") for path in paths if "windows" not in path.parts]


def test_no_number_of_a_kernel_is_written_out_but_these() -> None:
    found: set[str] = set()
    whole = sources()
    place = "DARWIN_USER_TEMP_DIR"  # another module's
    shared = {place: assignments(whole)[place]}
    for source in whole:
        if any(f"{name}(" in source for name in ASKS):
            found |= asked(source, assignments([source]) | shared)
    assert found <= WRITTEN_OUT.keys()
    assert found >= WRITTEN_OUT.keys(), "a name that is not used any more"


@pytest.mark.parametrize(
    "source",
    [
        "sock.getsockopt(socket.SOL_SOCKET, 17, 12)",
        "OPTION = 17\nsock.getsockopt(socket.SOL_SOCKET, OPTION, 12)",
        "level, option = (0, 1) if mac else (SOL_SOCKET, 17)\nsock.getsockopt(level, option, 12)",
        "OPTION: Final = getattr(socket, 'X', 17)\nsock.getsockopt(socket.SOL_SOCKET, OPTION, 12)",
        "libc.syscall(434, pid)",
        "fcntl.ioctl(0, 0x5412, b'x')",
        "connection.shutdown(1)",
    ],
)
def test_the_look_would_find_the_next_one(source: str) -> None:
    assert asked(source, assignments([source]))


class Answering:
    """A socket whose kernel answers so many bytes, whatever it is asked."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.asked: list[tuple[int, int]] = []

    def getsockopt(self, level: int, option: int, _room: int) -> bytes:
        self.asked.append((level, option))
        return bytes(self.size)


@pytest.mark.skipif(sys.platform != "linux", reason="asks a Linux kernel")
@pytest.mark.parametrize("size", [0, 4, 8, 11, 13])
def test_an_answer_of_another_length_is_nobodys(size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    from tokenward.transport import socket_stream

    kernel: Any = Answering(size)
    for ask in (
        peer_credentials.uid_of,
        socket_stream._server,
        service_worker.listening_pid,
        lambda sock: proc.chain_behind(sock, 0),
    ):
        with pytest.raises(OSError, match="the system does not"):
            ask(kernel)
    assert set(kernel.asked) == {(socket.SOL_SOCKET, socket.SO_PEERCRED)}


@pytest.mark.skipif(sys.platform != "linux", reason="asks a Linux kernel")
def test_the_one_file_asks_nobody_whose_owner_the_kernel_does_not_say(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    import _socket

    place = tmp_path / "s"

    class Short(_socket.socket):
        def getsockopt(self, level: int, option: int, room: int = 0, /) -> Any:
            assert (level, option) == (socket.SOL_SOCKET, socket.SO_PEERCRED)
            return super().getsockopt(level, option, room)[:4]

    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(place))
        listener.listen()
        monkeypatch.setattr(_socket, "socket", Short)
        for directory in (None, "/d"):
            with pytest.raises(PermissionError):
                agent_client.fetch(str(place), {"dir": directory, "service": "s"}, 5)
        monkeypatch.undo()
        for _ in range(2):
            connection, _ = listener.accept()
            with connection:
                assert connection.recv(1) == b""


@pytest.mark.skipif(sys.platform != "linux", reason="asks a Linux kernel")
def test_secret_memory_is_asked_for_only_where_its_number_is_known(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Libc:
        calls = 0

        def syscall(self, *_numbers: int) -> int:
            self.calls += 1
            return -1

    libc: Any = Libc()
    real = os.uname()
    for machine in ("alpha", "mips64", "ia64", "parisc64", "something new"):
        fields = (*real[:4], machine)
        monkeypatch.setattr(os, "uname", lambda fields=fields: os.uname_result(fields))
        assert locked_memory._secret_map(libc, 4096) is None
    assert libc.calls == 0
    monkeypatch.setattr(os, "uname", lambda: os.uname_result((*real[:4], "x86_64")))
    assert locked_memory._secret_map(libc, 4096) is None
    assert libc.calls == 1
