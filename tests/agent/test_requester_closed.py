"""Processes of a chain that cannot be looked into: what is held against whoever they started.

An ordinary user looks, since root sees everything; the processes are real, and so is what closes them.
"""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from support.systems.other_users import SOMEBODY, become, give, other_users
from support.waiting import PATIENCE
from tokenward_agent.peer.proc import ARGUMENT_BYTES
from tokenward_agent.peer.process import Process
from tokenward_agent.peer.requester import Requester

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = other_users

LOOK = """
import json, os, socket, subprocess, sys
from tokenward_agent.peer.peer import Peer
with socket.socket(socket.AF_UNIX) as listener:
    where = sys.argv[1] + "/s"
    if os.path.exists(where):
        os.unlink(where)
    listener.bind(where)
    listener.listen()
    process = subprocess.Popen(sys.argv[2:], stdin=subprocess.PIPE, cwd=sys.argv[1])
    sock, _ = listener.accept()
    requester = Peer(sock).requester
    print(json.dumps([requester.is_known, [link.program.name for link in requester.chain]]))
    sock.close()
"""
TOOL = "import socket; s = socket.socket(socket.AF_UNIX); s.connect('s'); s.recv(1)\n"
START = "import subprocess, sys\nsubprocess.run([sys.executable, 'twine'])\n"
CLOSE = "import ctypes\nctypes.CDLL(None).prctl(4, 0, 0, 0, 0)\n"  # PR_SET_DUMPABLE
THREAD = """import ctypes, platform, subprocess, sys, threading
def start():
    subprocess.run([sys.executable, 'twine'])
threading.Thread(target=start).start()
ctypes.CDLL(None).syscall({'x86_64': 60, 'aarch64': 93}[platform.machine()], 0)  # exit(2)
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder of the user's, with programs."""
    texts = {"twine": TOOL, "open": START, "closed": CLOSE + START, "threads": THREAD}
    texts["outer"] = "import subprocess, sys\nsubprocess.run([sys.executable, 'closed'])\n"
    for name, text in texts.items():
        (tmp_path / name).write_text(text)
    give(tmp_path)
    for each in (tmp_path, *tmp_path.parents[:3]):
        each.chmod(each.stat().st_mode | 0o055)
    return tmp_path


def seen(folder: Path, *command: str, before: tuple[str, ...] = ()) -> tuple[bool, list[str]]:
    """Have the user look at a command that asks: whether it is known, and who is in the chain."""
    look = [sys.executable, "-I", "-c", LOOK, str(folder), *command]
    found = subprocess.run(
        [*before, *become(), *look], check=True, stdout=subprocess.PIPE, timeout=PATIENCE
    )
    known, names = json.loads(found.stdout)
    return known, names


def test_what_root_started_is_known_though_root_cannot_be_looked_into(folder: Path) -> None:
    known, names = seen(folder, sys.executable, "open")
    assert known
    assert names[:2] == ["twine", "open"]


@pytest.mark.parametrize("name", ["closed", "outer", "threads"])
def test_what_a_closed_program_started_is_not(folder: Path, name: str) -> None:
    known, names = seen(folder, sys.executable, name)
    assert not known
    assert names[0] == "twine"


@pytest.mark.parametrize(("name", "known"), [("open", True), ("closed", False)])
def test_a_terminal_of_its_own_hides_nobody(folder: Path, name: str, known: bool) -> None:
    """Whatever gives what it starts a terminal, whoever stands above that is looked at."""
    terminal = "import pty, sys\npty.spawn([sys.executable, 'asks'])\n"
    folder.joinpath("twine").rename(folder / "asks")
    folder.joinpath("twine").write_text(terminal)
    assert seen(folder, sys.executable, name)[0] is known
    assert seen(folder, sys.executable, "open")[1][:3] == ["asks", "twine", "open"]


def test_above_a_terminal_the_manager_of_a_session_may_be_closed() -> None:
    """systemd's has a capability; it is a child of the first process, and others are not."""
    tool = Process(9, 8, 1, 34816, "uv", "/b/uv", "/", ("uv",), whole=True)
    window = Process(8, 7, 1, 0, "kitty", "/b/kitty", "/", ("kitty",), whole=True)
    manager = Process(7, 1, 1, 0, "systemd", argv=("systemd", "--user"), whole=True, closed=True)
    assert Requester.from_processes((tool, window, manager)).is_known
    assert not Requester.from_processes((tool, window, manager._replace(parent=6))).is_known
    assert not Requester.from_processes((tool._replace(terminal=0), window, manager)).is_known


def test_nor_what_a_program_started_whose_command_line_has_no_end(folder: Path) -> None:
    words = ["x" * 1000] * (ARGUMENT_BYTES // 1000 + 1)
    assert seen(folder, sys.executable, "open", *words[:9])[0]
    assert not seen(folder, sys.executable, "open", *words)[0]
    assert not seen(folder, sys.executable, "-X", words[0] * 131, "open", "x")[0]


def test_nor_whoever_stands_below_what_proc_does_not_show(folder: Path) -> None:
    script = 'mount -t proc -o hidepid=2 proc /proc && exec "$@"'
    hidden = ("unshare", "--mount", "sh", "-c", script, "sh")
    known, names = seen(folder, sys.executable, "open", before=hidden)
    assert (known, names[:2]) == (False, ["twine", "open"])
    assert seen(folder, sys.executable, "closed", before=hidden) == (False, ["twine"])


FORKED = f"""import os, sys
below = os.fork()
if not below:
    os.setgroups([]); os.setgid({SOMEBODY}); os.setuid({SOMEBODY})
    import subprocess
    sys.exit(subprocess.run(sys.argv[1:]).returncode)
os._exit(os.waitpid(below, 0)[1])
"""


def test_a_process_of_roots_that_became_the_user_without_a_program_is_roots(folder: Path) -> None:
    """As sshd does for a session."""
    look = [sys.executable, "-I", "-c", LOOK, str(folder), sys.executable]
    for name, known in (("open", True), ("closed", False)):
        opened = become()[: -become()[::-1].index("setpriv") - 1]
        found = subprocess.run(
            [*opened, sys.executable, "-c", FORKED, *look, name],
            check=True,
            stdout=subprocess.PIPE,
            timeout=PATIENCE,
        )
        told: list[Any] = json.loads(found.stdout)
        assert told[0] is known, told
