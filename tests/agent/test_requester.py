"""Who asks: real processes, real sockets, real /proc."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.agents.asking import CONNECT, STAY, asking, listening
from support.inspection.processes import own_descriptors
from support.waiting import PATIENCE
from tokenward_agent.peer import proc
from tokenward_agent.peer.peer import Peer
from tokenward_agent.peer.proc import ARGUMENT_BYTES, parse_stat, unit_of
from tokenward_agent.peer.process import Process, terminal_name
from tokenward_agent.peer.program import program_of
from tokenward_agent.peer.psutil_process import chain_of
from tokenward_agent.peer.requester import UNKNOWN, Requester

if TYPE_CHECKING:
    import socket
    from collections.abc import Iterator

LINUX = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
WAITING = "print('ready', flush=True); input()"


@pytest.fixture
def listener(tmp_path: Path) -> Iterator[socket.socket]:
    with listening(tmp_path / "s") as sock:
        yield sock


@LINUX
def test_a_script_is_named_and_not_its_interpreter(listener: socket.socket, tmp_path: Path) -> None:
    script = tmp_path / "twine"
    script.write_text(STAY.replace("sys.argv[1]", "sys.argv[-1]"))
    with asking(
        listener, sys.executable, "-I", "-W", "ignore", "twine", "upload", cwd=tmp_path
    ) as peer:
        told = peer.requester.describe()
        assert told["program"] == "twine"
        assert told["script"] == str(script)
        assert told["cwd"] == str(tmp_path)
        assert told["exe"] == os.path.realpath(sys.executable)
        tool = peer.requester.tool
        assert tool is not None
        assert tool.program.arguments[0] == "upload"
        assert tool.process.whole
        assert peer.requester.chain[1].process.pid == os.getpid()


@LINUX
def test_no_argument_of_a_process_is_ever_told(listener: socket.socket) -> None:
    with asking(listener, sys.executable, "-c", STAY.replace("1]", "-1]"), "-p", "hunter2") as peer:
        assert "hunter2" in str(peer.requester.chain)
        assert "hunter2" not in str(peer.requester.describe())


@LINUX
def test_a_go_between_asks_for_the_tool_that_started_it(
    listener: socket.socket, tmp_path: Path
) -> None:
    (tmp_path / "keyring").write_text(STAY)
    tool = tmp_path / "uvish"
    tool.write_text(
        "import subprocess, sys;"
        f" subprocess.run([sys.executable, {str(tmp_path / 'keyring')!r}, sys.argv[1]])"
    )
    with asking(listener, sys.executable, str(tool)) as peer:
        told = peer.requester.describe()
        assert (told["program"], told["through"]) == ("uvish", ["keyring"])
        assert told["connected"] == {
            "pid": peer.requester.chain[0].process.pid,
            "exe": os.path.realpath(sys.executable),
            "script": str(tmp_path / "keyring"),
            "cwd": str(Path.cwd()),
        }
        assert peer.describe(str)
        assert peer.wanted == "keyring for uvish"


@LINUX
def test_the_shell_script_of_setup_is_looked_through(
    listener: socket.socket, tmp_path: Path
) -> None:
    program = tmp_path / "keyring"
    program.write_text(f"#!/bin/sh\n'{sys.executable}' -ISc '{STAY}' \"$@\"\nexit\n")
    program.chmod(0o755)
    tool = tmp_path / "pipish.py"
    tool.write_text(f"import subprocess, sys; subprocess.run([{str(program)!r}, sys.argv[1]])")
    with asking(listener, sys.executable, str(tool)) as peer:
        told = peer.requester.describe()
        assert told["program"] == "pipish"
        assert told["through"] == [told["through"][0], "keyring"]  # type: ignore[index]  # a list
        connected = told["connected"]
        assert connected["pid"] == peer.requester.chain[0].process.pid  # type: ignore[index]  # a map
        assert connected["script"] == str(program)  # type: ignore[index]  # likewise


@LINUX
def test_a_peer_that_ended_is_unknown(listener: socket.socket) -> None:
    process = subprocess.Popen([sys.executable, "-c", CONNECT, listener.getsockname()])
    sock, _ = listener.accept()
    with sock:
        process.wait(PATIENCE)
        assert Peer(sock).requester == UNKNOWN
        assert Peer(sock).requester.describe() == {"program": "unknown"}


@LINUX
def test_a_peer_that_ended_and_was_not_reaped_is_unknown(listener: socket.socket) -> None:
    process = subprocess.Popen([sys.executable, "-c", CONNECT, listener.getsockname()])
    sock, _ = listener.accept()
    with sock:
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        assert Peer(sock).requester == UNKNOWN
    process.wait(PATIENCE)


@LINUX
@pytest.mark.parametrize("handle", [True, False], ids=["by a handle", "by number and time"])
def test_a_process_that_got_the_number_of_the_peer_is_not_taken_for_it(
    listener: socket.socket, monkeypatch: pytest.MonkeyPatch, handle: bool
) -> None:
    """The next number that the kernel gives is set to that of a peer that has ended."""
    if not handle:
        monkeypatch.setattr(proc, "_SO_PEERPIDFD", 9999)
    process = subprocess.Popen([sys.executable, "-c", CONNECT, listener.getsockname()])
    sock, _ = listener.accept()
    with sock:
        peer = Peer(sock)
        process.wait(PATIENCE)
        if not handle:
            time.sleep(0.05)  # /proc tells beginnings in hundredths of a second
        impostor = _with_number(process.pid)
        try:
            assert impostor.pid == process.pid
            assert Path(f"/proc/{impostor.pid}/exe").readlink()  # it is there, under that number
            assert peer.requester == UNKNOWN
        finally:
            impostor.kill()
            impostor.wait(PATIENCE)


def _with_number(pid: int) -> subprocess.Popen[bytes]:
    """Start a process that gets a number which is free again; skip where nobody may say so."""
    for _ in range(200):
        try:
            Path("/proc/sys/kernel/ns_last_pid").write_text(str(pid - 1), "ascii")
        except OSError as error:
            pytest.skip(f"the next process number cannot be set: {error.strerror}")
        process = subprocess.Popen(["/bin/sleep", "60"])
        if process.pid == pid:
            return process
        process.kill()
        process.wait(PATIENCE)
    pytest.skip("other processes take the number again and again")


@LINUX
def test_without_a_handle_a_peer_that_was_there_before_is_known(
    listener: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(proc, "_SO_PEERPIDFD", 9999)
    with asking(listener, sys.executable, "-c", STAY) as peer:
        assert peer.requester.chain[0].process.argv[1] == "-c"


@LINUX
def test_a_parent_that_ended_is_not_replaced_by_whoever_has_its_number(
    listener: socket.socket,
) -> None:
    inner = f"import os; os.read(0, 1); {CONNECT} os.read(0, 1)"
    outer = (
        "import subprocess, sys;"
        f"subprocess.Popen([sys.executable, '-c', {inner!r}, sys.argv[1]], stdin=0)"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", outer, listener.getsockname()], stdin=subprocess.PIPE
    )
    process.wait(PATIENCE)
    assert process.stdin is not None
    os.write(process.stdin.fileno(), b"1")
    sock, _ = listener.accept()
    with sock:
        chain = Peer(sock).requester.chain
        assert chain
        assert process.pid not in [link.process.pid for link in chain]
    process.stdin.close()


@LINUX
def test_it_is_looked_at_once(listener: socket.socket) -> None:
    with asking(listener, sys.executable, "-c", STAY) as peer:
        first = peer.requester
        os.kill(first.chain[0].process.pid, signal.SIGKILL)
        assert peer.requester is first


@LINUX
def test_no_descriptor_is_kept(listener: socket.socket) -> None:
    with asking(listener, sys.executable, "-c", STAY) as peer:
        before = own_descriptors()
        assert peer.requester.chain
        assert own_descriptors() == before


@LINUX
def test_a_command_line_that_is_too_long_is_not_judged(listener: socket.socket) -> None:
    words = ["x" * 1000] * (ARGUMENT_BYTES // 1000 + 1)
    code = STAY.replace("sys.argv[1]", "sys.argv[-1]")
    with asking(listener, sys.executable, "-c", code, *words) as peer:
        assert not peer.requester.chain[0].process.whole


@pytest.mark.parametrize("name", ["sh", "a) S 1 (b", ") 1 2 3", "", "\n(", "a b"])
def test_a_process_cannot_choose_its_parent_by_its_name(name: str) -> None:
    rest = " ".join(str(number) for number in range(4, 53))
    found = parse_stat(f"17 ({name}) R {rest}\n".encode())
    assert (found.pid, found.name) == (17, name)
    assert (found.parent, found.terminal, found.started) == (4, 7, 22)


@given(st.binary(max_size=200))
def test_any_bytes_of_proc_are_read_or_refused(data: bytes) -> None:
    unit_of(data)
    with suppress(ValueError, IndexError):
        parse_stat(data)


@pytest.mark.parametrize(
    ("cgroup", "unit"),
    [
        (b"0::/user.slice/user-1000.slice/user@1000.service/app.slice/ci.service\n", "ci.service"),
        (b"0::/user.slice/user-1000.slice/session-3.scope\n", "session-3.scope"),
        (b"12:pids:/x.service\n0::/\n", ""),
        (b"", ""),
    ],
)
def test_the_innermost_unit_is_named(cgroup: bytes, unit: str) -> None:
    assert unit_of(cgroup) == unit


@pytest.mark.parametrize(
    ("device", "name"),
    [
        (os.makedev(136, 3), "pts/3"),
        (os.makedev(137, 1), "pts/257"),
        (os.makedev(4, 1), "tty1"),
        (os.makedev(4, 64), ""),
        (0, ""),
    ],
)
def test_a_terminal_is_named_as_in_dev(device: int, name: str) -> None:
    assert terminal_name(device) == name


def process(*argv: str, exe: str = "", name: str = "x") -> Process:
    return Process(9, 1, 0, 0, name, exe, "/home/ana/src", argv, whole=True)


PYTHON = "/usr/bin/python3.11"


@pytest.mark.parametrize(
    ("argv", "exe", "name", "script", "module", "arguments"),
    [
        (["uv", "publish"], "/usr/bin/uv", "uv", "", "", ["publish"]),
        (["uv"], "/opt/uv (deleted)", "uv", "", "", []),
        (["python", "-m", "twine", "upload"], PYTHON, "twine", "", "twine", ["upload"]),
        (["python", "-Im", "twine"], PYTHON, "twine", "", "twine", []),
        (["python", "-mtwine", "x"], PYTHON, "twine", "", "twine", ["x"]),
        (
            ["python", "-X", "dev", "-W", "error", "-m", "a.__main__"],
            PYTHON,
            "a",
            "",
            "a.__main__",
            [],
        ),
        (
            ["python", "-Xdev", "a.py", "-m", "b"],
            PYTHON,
            "a",
            "/home/ana/src/a.py",
            "",
            ["-m", "b"],
        ),
        (
            ["python", "--check-hash-based-pycs", "always", "x.py"],
            PYTHON,
            "x",
            "/home/ana/src/x.py",
            "",
            [],
        ),
        (
            ["python", "-c", "code", "-m", "twine"],
            PYTHON,
            "python",
            "",
            "",
            ["code", "-m", "twine"],
        ),
        (["python", "-ISc", "code", "x"], PYTHON, "python", "", "", ["code", "x"]),
        (["python", "-"], PYTHON, "python", "", "", []),
        (["python"], PYTHON, "python", "", "", []),
        (
            ["python", "/x/twine/__main__.py", "u"],
            PYTHON,
            "twine",
            "/x/twine/__main__.py",
            "",
            ["u"],
        ),
        (["python", "../b/tool"], PYTHON, "tool", "/home/ana/b/tool", "", []),
        (
            ["/bin/sh", "./run.sh", "a"],
            "/usr/bin/dash",
            "run.sh",
            "/home/ana/src/run.sh",
            "",
            ["a"],
        ),
        (["bash", "-c", "twine upload x"], "/bin/bash", "bash", "", "", ["twine upload x"]),
        (["node", "-e", "x"], "/usr/bin/node", "node", "", "", ["x"]),
        (["python", "-ccode", "/usr/bin/twine"], PYTHON, "python", "", "", ["/usr/bin/twine"]),
        (["python", "-Icimport x", "twine"], PYTHON, "python", "", "", ["twine"]),
        (["python", "-Wonce", "/b/tool"], PYTHON, "tool", "/b/tool", "", []),
        (["node", "--eval=x", "a.js"], "/usr/bin/node", "node", "", "", ["a.js"]),
        (["node", "-p", "x"], "/usr/bin/node", "node", "", "", ["x"]),
        (["perl", "-E", "x"], "/usr/bin/perl", "perl", "", "", ["x"]),
        (["perl", "-MFile::Spec", "/b/tool"], "/usr/bin/perl", "tool", "/b/tool", "", []),
        (["bash", "-eo", "pipefail", "/b/t.sh", "x"], "/bin/bash", "t.sh", "/b/t.sh", "", ["x"]),
        (["bash", "--rcfile", "F", "/b/t.sh"], "/bin/bash", "t.sh", "/b/t.sh", "", []),
        (["bash", "--init-file", "/F"], "/bin/bash", "bash", "", "", []),
        (["bash", "-eOo", "extglob", "pipefail", "/b/t"], "/bin/bash", "t", "/b/t", "", []),
        (["zsh", "-oerrexit", "/b/t"], "/bin/zsh", "t", "/b/t", "", []),
        (["sh", "/b/t"], "/bin/busybox", "t", "/b/t", "", []),
        (["busybox", "sh", "-e", "/b/t"], "/bin/busybox", "t", "/b/t", "", []),
        (["-bash"], "/bin/bash", "bash", "", "", []),
        (["node", "--require", "/a", "-r", "/b", "/t.js"], "/bin/node", "t.js", "/t.js", "", []),
        (["perl", "-I", "/lib", "-wT", "/b/t"], "/bin/perl", "t", "/b/t", "", []),
        (["python3", "/b/t"], "/opt/helper", "helper", "", "", ["/b/t"]),
        (["python3", "/b/t"], "/P.framework/MacOS/Python", "t", "/b/t", "", []),
        (["bash", "-ceu", "x", "/b/tool"], "/bin/bash", "bash", "", "", ["x", "/b/tool"]),
        ([], "", "x", "", "", []),
    ],
)
def test_what_runs_is_named(
    argv: list[str], exe: str, name: str, script: str, module: str, arguments: list[str]
) -> None:
    found = program_of(process(*argv, exe=exe))
    assert found[:4] == (name, script, module, tuple(arguments))


@given(
    st.lists(st.text(max_size=12), max_size=8), st.sampled_from([PYTHON, "/bin/sh", "/bin/x", ""])
)
def test_any_command_line_has_a_name_of_bounded_length(argv: list[str], exe: str) -> None:
    requester = Requester.from_processes((process(*argv, exe=exe),))
    assert len(requester.chain[0].program.name) <= 64
    assert requester.describe()["pid"] == 9


def test_where_there_is_no_proc_the_same_is_seen() -> None:
    """By psutil, which runs here as well."""
    with subprocess.Popen(
        [sys.executable, "-c", WAITING, "word"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as child:
        assert child.stdout is not None
        assert child.stdout.readline()  # its command line may be empty for a moment after its start
        chain = chain_of(child.pid, time.time())
        assert [each.pid for each in chain[:2]] == [child.pid, os.getpid()]
        assert chain[0].argv[1:] == ("-c", WAITING, "word")
        assert chain[0].exe == os.path.realpath(sys.executable)
        assert chain[0].cwd == str(Path.cwd())
        assert chain_of(child.pid, time.time() - 3600) == ()  # it came after the connection
        child.kill()
        child.wait(PATIENCE)
        assert chain_of(child.pid, time.time()) == ()
