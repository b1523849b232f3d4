"""On which terminal an asker can be asked: real terminals, those of another devpts among them."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from support.agents.asking import asking, listening

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

if sys.platform != "linux":
    pytest.skip("the kernel says who has which terminal", allow_module_level=True)

from tokenward_agent.peer.terminals import terminal_of

ON = """import fcntl, os, socket, struct, sys, termios
folder, number, kept, path = sys.argv[1], int(sys.argv[2]), sys.argv[3], sys.argv[4]
masters, found = [], -1
while found != number:
    masters.append(os.open(f"{folder}/ptmx", os.O_RDWR | os.O_NOCTTY))
    fcntl.ioctl(masters[-1], 0x40045431, struct.pack("i", 0))  # TIOCSPTLCK
    found = struct.unpack("i", fcntl.ioctl(masters[-1], 0x80045430, bytes(4)))[0]  # TIOCGPTN
os.setsid()
terminal = os.open(f"{folder}/{number}", os.O_RDWR)  # its own from now on
if kept == "open":
    os.dup2(terminal, 1)
os.close(terminal)
sock = socket.socket(socket.AF_UNIX)
sock.connect(path)
sys.stdin.read()
"""
"""Has the terminal of this number in a devpts, and it open, or not any more."""

OWN = 'mount -t devpts -o newinstance,ptmxmode=666 none "$0" && exec "$@"'


@pytest.fixture
def pair() -> Iterator[tuple[int, int]]:
    """Lend both ends of a terminal that is the user's."""
    ours, theirs = os.openpty()
    yield ours, theirs
    os.close(ours)
    os.close(theirs)


def on(tmp_path: Path, theirs: int, *before: str, folder: str, kept: str) -> tuple[str, int]:
    """Return where whoever has a terminal of that number would be asked, and its number."""
    number = os.minor(os.stat(theirs).st_rdev)
    command = [*before, sys.executable, "-c", ON, folder, str(number), kept]
    with listening(tmp_path / "s") as listener, asking(listener, *command) as peer:
        device = peer.requester.chain[0].process.terminal
        return terminal_of(peer.requester), os.minor(device) if device else -1


def test_whoever_has_it_open_is_asked_on_its_terminal(tmp_path: Path) -> None:
    ours, theirs = os.openpty()
    name = os.ttyname(theirs)
    code = (
        "import os, socket, sys; os.setsid(); os.close(os.open(os.ttyname(1), os.O_RDWR));"
        " s = socket.socket(socket.AF_UNIX); s.connect(sys.argv[1]); sys.stdin.read()"
    )
    with (
        listening(tmp_path / "s") as listener,
        asking(listener, sys.executable, "-c", code, stdout=theirs) as peer,
    ):
        assert terminal_of(peer.requester) == name
    os.close(ours)
    os.close(theirs)


@pytest.mark.root("mounts")
@pytest.mark.parametrize("kept", ["open", "closed"])
def test_nobody_is_asked_on_a_terminal_that_has_but_the_number_of_the_askers(
    tmp_path: Path, pair: tuple[int, int], kept: str
) -> None:
    folder = tmp_path / "pts"
    folder.mkdir()
    before = ("unshare", "--mount", "sh", "-c", OWN, str(folder))
    if subprocess.run([*before, "true"], check=False, capture_output=True).returncode:
        pytest.skip("no devpts of its own can be mounted here")
    found, number = on(tmp_path, pair[1], *before, folder=str(folder), kept=kept)
    assert number == os.minor(os.stat(pair[1]).st_rdev)  # noqa: PTH116 - of a descriptor
    assert found == ""
