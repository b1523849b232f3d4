"""From 0.1.0: what it left behind opens, all of it, and what is written then keeps it from harm.

The files are those of the real 0.1.0; tests/vectors/release-0.1.0/README.md says what is in them.
"""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from support.macaroons import token_of
from support.systems.desktop_keyrings import gnome_keyring
from tokenward.settings.effective import settings_here

if TYPE_CHECKING:
    from support.home import Home

LEFT = Path(__file__).parents[1] / "vectors" / "release-0.1.0"
TEAM, SEALED = "https://index.example/team/", "https://sealed.example/simple/"
STORED = {
    ("https://index.example/team/", "ana"),
    ("https://index.example/team/", "bob"),
    ("https://test.pypi.org/legacy/", "__token__"),
    ("https://upload.pypi.org/legacy/", "__token__"),
}


def move_in(home: Home, user: str) -> Path:
    """Give a home what `user` of 0.1.0 left; return its credentials directory."""
    directories = settings_here(home.environment).directories
    for left, here in (
        ("credentials", directories.credentials),
        ("state", directories.state_folder),
    ):
        shutil.copytree(LEFT / user / left, here)
        for path in (Path(here), *Path(here).rglob("*")):
            path.chmod(0o700 if path.is_dir() else 0o600)
    return Path(directories.credentials)


def private(path: Path, text: str) -> str:
    path.write_text(f"{text}\n")
    path.chmod(0o600)
    return str(path)


def open_and_see_all(home: Home, *more: tuple[str, str]) -> None:
    """Look at every credential, and at the log, which goes on where 0.1.0 left it."""
    listed = home.answer("list")["credentials"]
    assert {(each["service"], each["username"]) for each in listed} == STORED | set(more)
    assert {each["username"] for each in listed if each["expires"]} == {"bob"}
    assert home.done("token") == f"{token_of('pypi.org')}\n"
    assert home.done("token", TEAM, "-u", "ana") == "pass wörd\n"
    assert home.done("token", TEAM, "-u", "bob") == "bob-secret\n"
    assert "sealed" in home.refused("token", "testpypi")
    narrow = home.done("token", "testpypi", "--ttl", "5m")
    assert narrow.startswith(token_of("test.pypi.org")[:40])
    assert "No line was changed" in home.said("log", "--verify")
    assert "0.1.0" in (first := json.dumps(home.answer("log")["lines"][0])), first


def version_of(vault: Path) -> bytes:
    return vault.read_bytes().partition(b"\n")[0]


def test_a_vault_of_0_1_0_opens_by_its_passphrase(home: Home, tmp_path: Path) -> None:
    move_in(home, "passphrase")
    assert "The file vault is not open." in home.refused("token")
    phrase = private(tmp_path / "phrase", "correct horse battery staple")
    home.done("unlock", TOKENWARD_PASSPHRASE_FILE=phrase)
    open_and_see_all(home)


def test_a_vault_of_0_1_0_opens_by_its_key_file_and_is_marked_for_it_once_it_would_misread_it(
    home: Home,
) -> None:
    """0.1.0 reads up to version 4, and refuses whatever says a later one in its first line."""
    vault = move_in(home, "key-file") / "disabled.vault"
    before = vault.read_bytes()
    open_and_see_all(home)
    home.done("login", "https://other.example/", "-u", "a", "--password", "-", stdin="made-up\n")
    assert vault.read_bytes() != before
    assert version_of(vault) == b"tokenward-vault 4"
    # 0.1.0 would hand this one to every tool.
    home.done("login", SEALED, "-u", "a", "--password", "-", "--sealed", stdin="made-up\n")
    assert version_of(vault) == b"tokenward-vault 5"
    assert version_of(vault.with_name("disabled.vault.previous")) == b"tokenward-vault 4"
    home.done("logout", SEALED)
    assert version_of(vault) == b"tokenward-vault 4"
    open_and_see_all(home, ("https://other.example/", "a"))


@pytest.mark.gnome_keyring
@pytest.mark.skipif(sys.platform != "linux", reason="needs a D-Bus session")
def test_a_vault_of_0_1_0_opens_by_the_system_keyring(home: Home) -> None:
    item = json.loads((LEFT / "keyring" / "item.json").read_text())
    names = {key: item[key] for key in ("service", "username")}
    library = {"application": "Python keyring library"}
    with gnome_keyring(home.path / "desktop") as session:
        session.join(home.environment)
        session.store("the vault's key", names | library, item["secret"].encode())
        dora = {"service": "https://dora.example/simple/", "username": "dora"}
        session.store("dora's password", dora | library, b"dora-secret")
        move_in(home, "keyring")
        open_and_see_all(home, ("https://dora.example/", "dora"))
        assert home.done("token", "https://dora.example/simple/") == "dora-secret\n"
        home.done("agent", "stop")


def test_an_export_of_0_1_0_is_restored(home: Home, tmp_path: Path) -> None:
    phrase = private(tmp_path / "phrase", "export phrase is long")
    home.done("restore", str(LEFT / "export.tokenward"), "--passphrase-file", phrase)
    listed = home.answer("list")["credentials"]
    assert {each["username"] for each in listed} == {"ana", "bob", "__token__"}
    assert home.done("token", TEAM, "-u", "ana") == "pass wörd\n"
