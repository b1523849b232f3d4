"""`auth uninstall` leaves a home as it was before the first command."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from support.inspection.held_texts import paths_below
from support.inspection.processes import is_running
from support.systems.desktop_keyrings import gnome_keyring
from support.terminal import Typist
from support.tools.keyring_program import keyring_program
from support.waiting import until
from tokenward.setup.program import removal_command, upgrade_command

if TYPE_CHECKING:
    from support.home import Home

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="`auth setup` is not for Windows")

URL = "https://h.example/"


def everything(home: Home) -> dict[str, str]:
    """Return every file and folder in a home, with the text of the files."""
    return {
        str(path.relative_to(home.path)): path.read_text("utf-8", "replace")
        if path.is_file()
        else ""
        for path in paths_below(home.path)
    }


@pytest.fixture
def used(home: Home) -> tuple[Home, dict[str, str]]:
    """A home in which everything was used, and what was in it before."""
    (home.path / ".pypirc").write_text("[pypi]\nusername = me\n")
    (home.path / "run/tokenward").mkdir(mode=0o700)
    before = everything(home)
    home.log_in(URL, "s3cret")
    home.log_in(URL, "replaced")
    home.auth("setup", "keyring", "uv", "pip", "shell", "--yes")
    home.done("token", URL)
    return home, before


def test_nothing_remains_of_it(used: tuple[Home, dict[str, str]]) -> None:
    home, before = used
    pid = home.agent_pid()
    assert pid is not None
    told = home.said("uninstall", "--yes")
    assert everything(home) == before
    assert not is_running(pid)
    assert "until they are revoked" in told
    assert "pip uninstall tokenward" in told


def test_it_asks_first_and_a_no_changes_nothing(used: tuple[Home, dict[str, str]]) -> None:
    home, _ = used
    shown = Typist(home, "uninstall").answers("Remove all of this? [y/N]", "").leaves(2)
    assert "It removes 1 credential in " in shown
    assert "`auth export FILE`" in shown
    assert home.done("token", URL) == "replaced\n"


def test_without_a_terminal_it_needs_a_yes(used: tuple[Home, dict[str, str]]) -> None:
    home, _ = used
    assert "`auth uninstall --yes`" in home.refused("uninstall")
    assert home.done("token", URL) == "replaced\n"


def test_credentials_can_stay(used: tuple[Home, dict[str, str]]) -> None:
    home, _ = used
    home.done("uninstall", "--keep-credentials", "--yes")
    assert not (home.path / ".local/bin/keyring").exists()
    assert home.done("token", URL) == "replaced\n"


def test_what_is_not_ours_stays_and_is_named(used: tuple[Home, dict[str, str]]) -> None:
    home, _ = used
    config = home.path / ".config/tokenward/config.toml"
    config.parent.mkdir()
    config.write_text("")
    own = Path(home.done("dir").strip()) / "notes.txt"
    own.write_text("mine")
    kept = home.answer("uninstall", "--yes")["kept"]
    assert str(config) in kept
    assert str(own.parent) in kept
    assert own.read_text() == "mine"
    assert [path.name for path in own.parent.iterdir()] == ["notes.txt"]


def test_another_credentials_directory_stays(used: tuple[Home, dict[str, str]]) -> None:
    home, _ = used
    second = str(home.path / "second")
    home.log_in(URL, "of the second", TOKENWARD_DIR=second)
    home.done("agent", "stop", TOKENWARD_DIR=second)
    home.done("uninstall", "--yes")
    assert home.done("token", URL, TOKENWARD_DIR=second) == "of the second\n"
    home.done("agent", "stop", TOKENWARD_DIR=second)


def test_a_key_that_a_keyring_program_has_goes_too(home: Home, tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    keyring_program(tmp_path)
    home.environment["PATH"] = f"{tmp_path}:{home.environment['PATH']}"
    home.done("login", URL, "--token", "s3cret", "--keyring-provider", "subprocess")
    assert len([*tmp_path.glob("item-*")]) == 1
    home.done("lock")
    removed = home.answer("uninstall", "--yes")["removed"]
    assert "the item `tokenward` in the keyring of your `keyring` program" in removed
    assert [*tmp_path.glob("item-*")] == []


@pytest.mark.gnome_keyring
@pytest.mark.skipif(sys.platform != "linux", reason="needs a D-Bus session")
def test_a_key_in_the_system_keyring_goes_too_or_the_command_that_removes_it_is_said(
    home: Home,
) -> None:
    with gnome_keyring(home.path / "desktop") as session:
        session.join(home.environment)
        before = session.items()
        vault = Path(home.done("dir").strip()) / "keyring.vault"
        login = ("login", URL, "--token", "s3cret", "--keyring-provider", "keyring")
        until(lambda: home.auth(*login).returncode == 0)  # it may not answer within its 3 seconds
        home.done("uninstall", "--keep-credentials", "--yes")
        assert (len(session.items()), vault.exists()) == (len(before) + 1, True)
        removed = home.answer("uninstall", "--yes")["removed"]
        assert "the item `tokenward` in the system keyring" in removed
        assert (session.items(), vault.exists()) == (before, False)

        until(lambda: home.auth(*login).returncode == 0)
        session.lock()
        told = home.said("uninstall", "--yes")
        assert not vault.exists()
        assert "is still there: The system keyring is locked." in told
        session.unlock()
        (command,) = re.findall("hint: `(KEYRING_PROPERTY_ASIDE=1 [^`]+)`", told)
        followed = home.run("sh", "-c", command)
        assert (followed.returncode, session.items()) == (0, before), followed
        assert home.agent_pid() is None


@pytest.mark.parametrize(
    ("prefix", "upgrade", "removal"),
    [
        ("/home/a/.local/share/uv/tools/tokenward", "uv tool upgrade", "uv tool uninstall"),
        ("/home/a/.local/share/pipx/venvs/tokenward", "pipx upgrade", "pipx uninstall"),
        ("/usr/lib/tokenward", "sudo apt upgrade", "sudo apt remove"),
        ("/home/a/venv", "/p -m pip install --upgrade", "/p -m pip uninstall"),
    ],
)
def test_the_installer_is_known_by_its_folder(prefix: str, upgrade: str, removal: str) -> None:
    assert upgrade_command(prefix, "/p") == f"{upgrade} tokenward"
    assert removal_command(prefix, "/p") == f"{removal} tokenward"
