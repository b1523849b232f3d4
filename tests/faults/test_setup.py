"""`auth setup` killed at each step of its work: nothing is lost, and both ways lead on from there."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from support.auth_commands import PROGRAMS
from support.home import Home
from support.inspection.held_texts import paths_below

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.skipif(
    sys.platform != "linux" or shutil.which("strace") is None, reason="strace kills it"
)
SETTINGS = {
    ".config/pip/pip.conf": "[global]\nindex-url = https://u:marked-secret@h.example/simple/\n",
    ".config/uv/uv.toml": "native-tls = true\n",
    ".pypirc": "[pypi]\npassword = marked-secret\n",
}
PARTS = ("keyring", "uv", "pip", "hatch")
LEFT = ".local/state/tokenward"  # as an empty folder, where there was no journal (any more)


def contents(home: Home) -> dict[str, bytes | None]:
    """Return every file and folder of a home but the empty folder that may be left."""
    found = {
        str(path.relative_to(home.path)): path.read_bytes() if path.is_file() else None
        for path in paths_below(home.path)
    }
    del found[str(home.path.joinpath("run").relative_to(home.path))]
    found.pop(LEFT, None)
    return found


def settled(home: Home) -> dict[str, bytes | None]:
    for name, text in SETTINGS.items():
        (home.path / name).parent.mkdir(exist_ok=True, parents=True)
        (home.path / name).write_text(text)
    return contents(home)


def killed(home: Home, log: Path, call: str, number: int, *words: str) -> bool:
    """Run `auth setup` and kill it before its n-th call of this name; tell whether it got there."""
    inject = f"inject={call}:signal=KILL:when={number}"
    strace = ("strace", "-f", "-o", str(log), "-e", f"trace={call}", "-e", inject)
    ended = subprocess.run(
        [*strace, PROGRAMS / "auth", "setup", "-q", *words],
        env=home.environment,
        start_new_session=True,
        check=False,
    )
    assert ended.returncode in {0, -signal.SIGKILL, 128 + signal.SIGKILL}
    return ended.returncode != 0


def leads_to_a_file(home: Home) -> bool:
    """Tell that keyring's settings name no backend that is missing."""
    settings = home.path / ".config/python_keyring/keyringrc.cfg"
    module = home.path / ".local/state/tokenward/keyring/tokenward_keyring.py"
    return not settings.exists() or (module.exists() and module.stat().st_size > 0)


@pytest.mark.parametrize("call", ["mkdir", "rename"])
@pytest.mark.parametrize("again", [True, False], ids=["done again", "undone"])
def test_a_setup_that_was_killed_is_completed_or_undone(
    call: str, again: bool, tmp_path: Path
) -> None:
    for number in range(1, 100):
        with Home() as home:
            before = settled(home)
            reached = killed(home, tmp_path / "log", call, number, *PARTS)
            assert leads_to_a_file(home)
            if again:
                home.done("setup", *PARTS)
            home.done("setup", "--undo")
            assert contents(home) == before, (call, number)
            if not reached:
                assert number > 3
                return


@pytest.mark.parametrize("call", ["rename", "unlink", "rmdir"])
def test_an_undoing_that_was_killed_is_completed(call: str, tmp_path: Path) -> None:
    for number in range(1, 100):
        with Home() as home:
            before = settled(home)
            home.done("setup", *PARTS)
            reached = killed(home, tmp_path / "log", call, number, "--undo")
            assert leads_to_a_file(home)
            home.done("setup", "--undo")
            assert contents(home) == before, (call, number)
            if not reached:
                assert number > 3
                return
