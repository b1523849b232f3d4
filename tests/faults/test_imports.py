"""`auth import --remove` ended or hindered at its last step: the plain text stays, and so does ours."""

from __future__ import annotations

import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest

from support.auth_commands import PROGRAMS
from support.inspection.strace import traced

if TYPE_CHECKING:
    from pathlib import Path

    from support.home import Home

URL, MARK = "https://ours.example/", "marked"
TEXT = (
    f"[distutils]\nindex-servers = ours\n[ours]\nrepository = {URL}\nusername = alice\n"
    f"password = {MARK}\n"
)


@pytest.fixture
def pypirc(home: Home) -> Path:
    path = home.path / ".pypirc"
    path.write_text(TEXT)
    path.chmod(0o600)
    home.done("login", "https://x.example/", "--token", "x")  # so that the agent runs
    return path


def injected(home: Home, fault: str) -> subprocess.CompletedProcess[str]:
    """Run the import with one fault in its own system calls; the agent is not touched."""
    strace = ["strace", "-o", str(home.path / "log"), "-e", f"inject={fault}"]
    return home.run(*strace, PROGRAMS / "auth", "import", "pypirc", "--remove")


@traced
@pytest.mark.parametrize(
    ("fault", "sentence"),
    [
        ("fsync:error=ENOSPC:when=1", "No space left on device"),
        ("rename:error=EROFS:when=1", "Read-only file system"),
        ("fchmod:error=EPERM:when=1", "Operation not permitted"),
    ],
)
def test_a_file_that_cannot_be_replaced_keeps_its_secret_and_says_so(
    fault: str, sentence: str, home: Home, pypirc: Path
) -> None:
    result = injected(home, fault)
    assert result.returncode == 2
    assert f"{pypirc} cannot be written, so it still has the secret: {sentence}." in result.stderr
    assert pypirc.read_text() == TEXT
    assert [path.name for path in home.path.glob(".pypirc*")] == [".pypirc"]
    assert [path.name for path in home.path.glob("..pypirc*")] == []
    assert home.done("token", URL) == f"{MARK}\n"


@traced
def test_killed_between_storing_and_removing_it_can_be_done_again(home: Home, pypirc: Path) -> None:
    result = injected(home, "rename:signal=SIGKILL:when=1")
    assert result.returncode != 0
    assert pypirc.read_text() == TEXT
    assert home.done("token", URL) == f"{MARK}\n"
    for left in home.path.glob("..pypirc.*.tmp"):
        assert MARK not in left.read_text(), "the secret that was taken over is in no other file"
        assert left.stat().st_mode & 0o777 == 0o600
    home.done("import", "pypirc", "--remove")
    assert pypirc.read_text() == TEXT.replace(f"password = {MARK}\n", "")
    assert home.done("token", URL) == f"{MARK}\n"


@traced
def test_killed_before_it_stores_nothing_has_happened(home: Home, pypirc: Path) -> None:
    result = injected(home, "connect:signal=SIGKILL:when=1")
    assert result.returncode != 0
    assert pypirc.read_text() == TEXT


@pytest.mark.root("makes a file unchangeable", able=lambda: shutil.which("chattr"), needs="chattr")
def test_a_file_that_may_not_be_changed_keeps_its_secret(home: Home, pypirc: Path) -> None:
    if subprocess.run(["chattr", "+i", pypirc], capture_output=True, check=False).returncode:
        pytest.skip("this file system has no such attribute")
    try:
        result = home.auth("import", "pypirc", "--remove")
        assert result.returncode == 2
        assert f"{pypirc} cannot be written" in result.stderr
    finally:
        subprocess.run(["chattr", "-i", pypirc], check=True)
    assert pypirc.read_text() == TEXT
