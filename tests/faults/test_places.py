"""Directories, files and disks that are not as they should be, through the real `auth`.

Each has its sentence and what helps, nothing is lost by it, and what can still be done is done.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
from typing import TYPE_CHECKING, NamedTuple

import pytest

from support.auth_commands import PROGRAMS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from support.home import Home

FIRST, SECOND = "https://a.example/", "https://b.example/"
NOBODY = 65534
root = pytest.mark.root("mounts, and gives files away")


def credentials(home: Home) -> Path:
    return home.path / ".local/share/tokenward"


def vault(home: Home) -> Path:
    return credentials(home) / "disabled.vault"


def state(home: Home) -> Path:
    return home.path / ".local/state/tokenward"


def runtime(home: Home) -> Path:
    return home.path / "run/tokenward"


@pytest.fixture
def filled(home: Home) -> Home:
    """A home with two credentials, whose agent does not run."""
    home.done("login", FIRST, "--token", "first")
    home.done("login", SECOND, "--token", "second")
    home.done("agent", "stop")
    return home


def refused(home: Home, *arguments: str, **variables: str) -> str:
    """Run a command that has to fail with one sentence and one hint; return both lines."""
    result = home.auth(*arguments, **variables)
    assert (result.returncode, result.stdout) == (2, ""), result
    told = [line for line in result.stderr.splitlines() if not line.startswith("warning: ")]
    assert [line.partition(": ")[0] for line in told] in (["error", "hint"], ["error"]), told
    assert told[0].endswith("."), told
    return result.stderr


@contextlib.contextmanager
def mounted(place: Path, *options: str) -> Iterator[None]:
    if subprocess.run(["mount", *options, place], capture_output=True, check=False).returncode:
        pytest.skip("this system does not let us mount")
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", place], check=True)


@contextlib.contextmanager
def read_only(place: Path) -> Iterator[None]:
    with mounted(place, "--bind", str(place)):
        subprocess.run(["mount", "-o", "remount,ro,bind", place], check=True)
        yield


@contextlib.contextmanager
def full(place: Path) -> Iterator[None]:
    """Put what is there on a small disk and fill that up."""
    kept = shutil.copytree(place, place.with_name("kept"))
    with mounted(place, "-t", "tmpfs", "-o", "size=32k,mode=700", "tmpfs"):
        for path in kept.iterdir():
            shutil.copy(path, place)
        with (place / "filler").open("wb", buffering=0) as filler, contextlib.suppress(OSError):
            while True:
                filler.write(bytes(512))
        yield


# What can be mended by hand: refused with the command that mends it, which does.


class Wrong(NamedTuple):
    spoil: Callable[[Home], object]
    mend: Callable[[Home], object]
    sentence: str
    hint: str


def link_the_vault(home: Home) -> None:
    vault(home).rename(home.path / "real")
    vault(home).symlink_to(home.path / "real")


def swap_for_a_file(directory: Path) -> None:
    directory.rename(directory.with_name("moved"))
    directory.touch()


def swap_back(directory: Path) -> None:
    directory.unlink()
    directory.with_name("moved").rename(directory)


WRONG = {
    "a directory that is open to others": Wrong(
        lambda home: credentials(home).chmod(0o755),
        lambda home: credentials(home).chmod(0o700),
        "{directory} is open to other users (mode 755).",
        "`chmod 700 {directory}`",
    ),
    "a vault that is open to others": Wrong(
        lambda home: vault(home).chmod(0o644),
        lambda home: vault(home).chmod(0o600),
        "{vault} is open to other users (mode 644).",
        "`chmod 600 {vault}`",
    ),
    "a vault that is a link": Wrong(
        link_the_vault,
        lambda home: (home.path / "real").replace(vault(home)),
        "{vault} is a symbolic link, which is not followed.",
        "put the file itself in its place",
    ),
    "a file in the directory's place": Wrong(
        lambda home: swap_for_a_file(credentials(home)),
        lambda home: swap_back(credentials(home)),
        "{directory} is not a directory.",
        "move it out of the way",
    ),
    "a directory of another user": Wrong(
        lambda home: os.chown(credentials(home), NOBODY, -1),
        lambda home: os.chown(credentials(home), 0, -1),
        "{directory} belongs to another user (uid 65534).",
        "that user can change it; move it away: `mv {directory} {directory}.theirs` as root",
    ),
    "a vault of another user": Wrong(
        lambda home: os.chown(vault(home), NOBODY, -1),
        lambda home: os.chown(vault(home), 0, -1),
        "{vault} belongs to another user (uid 65534).",
        "that user can change it; move it away: `mv {vault} {vault}.theirs` as root",
    ),
}


@pytest.mark.parametrize(
    "what", [pytest.param(it, marks=root if "another user" in it else ()) for it in WRONG]
)
def test_what_is_wrong_with_a_place_is_said_with_what_mends_it_and_that_mends_it(
    what: str, filled: Home
) -> None:
    wrong = WRONG[what]
    wrong.spoil(filled)
    names = {"directory": credentials(filled), "vault": vault(filled)}
    sentence, hint = wrong.sentence.format(**names), wrong.hint.format(**names)
    for command in (("token", FIRST), ("login", FIRST, "--token", "new"), ("logout", FIRST)):
        assert refused(filled, *command) == f"error: {sentence}\nhint: {hint}\n"
    wrong.mend(filled)
    assert filled.done("token", FIRST) == "first\n"
    assert filled.done("token", SECOND) == "second\n"


# Where nothing can be written.


@root
def test_a_read_only_directory_is_read_and_every_change_says_why_not(filled: Home) -> None:
    phrase = filled.path / "phrase"
    phrase.touch(mode=0o600)
    phrase.write_text("phrase")
    with read_only(credentials(filled)):
        assert filled.done("token", FIRST) == "first\n"
        assert SECOND.rstrip("/") in filled.done("list")
        for command in (
            ("login", FIRST, "--token", "new"),
            ("logout", FIRST),
            ("logout", "--all"),
            ("restore", "--previous", "--yes"),
            ("passphrase", "set"),
        ):
            told = refused(filled, *command, TOKENWARD_PASSPHRASE_FILE=str(phrase))
            assert f"error: {vault(filled)} cannot be changed: it is on a read-only" in told
            assert "hint: stored credentials can still be used" in told
        filled.done("lock")
        filled.done("unlock")
        assert filled.done("token", FIRST) == "first\n"
    filled.done("login", FIRST, "--token", "new")
    assert filled.done("token", FIRST) == "new\n"


PLUGIN = """
import os, keyring.backend
class Cloud(keyring.backend.KeyringBackend):
    priority = 9
    def get_password(self, service, username):
        return "of-" + os.environ.get("AWS_PROFILE", "nobody")
    def set_password(self, service, username, password):
        raise NotImplementedError
    def delete_password(self, service, username):
        raise NotImplementedError
"""


@root
def test_where_no_vault_can_be_written_a_plugin_is_adopted_in_memory_until_the_lock(
    home: Home,
) -> None:
    (home.path / "cloud.py").write_text(PLUGIN)
    rc = home.path / ".config" / "python_keyring" / "keyringrc.cfg"
    rc.parent.mkdir()
    rc.write_text(f"[backend]\ndefault-keyring=cloud.Cloud\nkeyring-path={home.path}\n")
    settings = home.path / ".config" / "tokenward" / "config.toml"
    settings.parent.mkdir()
    settings.write_text('keyring-provider = "disabled"\n')
    credentials(home).mkdir(mode=0o700)
    adopt = ("login", FIRST, "-u", "cloud", "--adopt")
    theirs = {"PYTHON_KEYRING_BACKEND": "tokenward.keyring_backend.Keyring"}
    with read_only(credentials(home)):
        told = home.said(*adopt, AWS_PROFILE="work")
        assert "on a read-only file system. So this is kept in memory alone" in told
        assert f"Adopted the password of cloud for {FIRST} in memory." in told
        keyring = (PROGRAMS / "keyring", "get", FIRST, "cloud")
        assert home.run(*keyring, **theirs).stdout == "of-work\n"
        home.run(PROGRAMS / "keyring", "del", FIRST, "cloud", **theirs)
        assert home.done("token", FIRST) == "of-work\n", "read anew, with the login's variables"
        (entry,) = home.answer("list")["credentials"]
        assert (entry["provider"], entry["adopted"]) == ("memory", True)
        assert "is on a read-only" in home.refused(*adopt, "--keyring-provider", "disabled")
        home.done("lock")
        home.done("unlock")
        assert "is stored" in home.refused("token", FIRST)
        assert not list(credentials(home).iterdir())


@root
def test_a_read_only_state_directory_keeps_nobody_from_fetching_and_storing(filled: Home) -> None:
    with read_only(state(filled)):
        assert filled.done("token", FIRST) == "first\n"
        filled.done("login", FIRST, "--token", "new")
        told = refused(filled, "lock")
        assert "error: The keys are wiped, but " in told
        assert "(Read-only file system), so a restart of the agent ends the lock." in told
        assert "not open" in refused(filled, "token", FIRST)
        filled.done("unlock")
        assert filled.done("token", FIRST) == "new\n"


@root
def test_a_full_disk_keeps_what_is_there_and_says_so(filled: Home) -> None:
    with full(credentials(filled)):
        for command in (
            ("login", FIRST, "--token", "new"),
            ("login", "https://c.example/", "--token", "third"),
            ("logout", FIRST),
        ):
            told = refused(filled, *command)
            assert f"error: The disk that holds {vault(filled)} is full.\n" in told
            assert "hint: nothing was changed; free some space and try again\n" in told
        filled.done("agent", "restart")
        assert filled.done("token", FIRST) == "first\n"
        assert filled.done("token", SECOND) == "second\n"
        (credentials(filled) / "filler").unlink()
        filled.done("logout", FIRST)
        filled.done("login", "https://c.example/", "--token", "third")
        assert filled.done("token", "https://c.example/") == "third\n"


@root
def test_a_first_login_on_a_full_disk_leaves_nothing_half_made(home: Home) -> None:
    credentials(home).mkdir(mode=0o700)
    with full(credentials(home)):
        told = refused(home, "login", FIRST, "--token", "first", "-q")
        assert "is full" in told
        (credentials(home) / "filler").unlink()
        home.done("login", FIRST, "--token", "first")
        assert home.done("token", FIRST) == "first\n"


def test_a_file_where_the_state_directory_should_be_is_a_sentence(filled: Home) -> None:
    swap_for_a_file(state(filled))
    assert f"{state(filled)}" in refused(filled, "token", FIRST)
    swap_back(state(filled))
    assert filled.done("token", FIRST) == "first\n"


@root
def test_a_state_directory_that_cannot_be_made_is_a_sentence(filled: Home) -> None:
    shutil.rmtree(state(filled))
    with read_only(state(filled).parent):
        told = refused(filled, "token", FIRST)
        assert "Read-only file system" in told
        assert str(state(filled)) in told


def test_a_vault_whose_key_file_is_gone_says_so(filled: Home) -> None:
    (key,) = state(filled).rglob("*.key")
    kept = key.rename(filled.path / "kept")
    assert f"The file vault is not open: The key file {key} cannot be read" in refused(
        filled, "token", FIRST
    )
    kept.rename(key)
    filled.done("unlock")
    assert filled.done("token", FIRST) == "first\n"


# Links.


def test_a_directory_that_is_reached_by_a_link_is_the_same_directory(filled: Home) -> None:
    link = filled.path / "link"
    link.symlink_to(credentials(filled))
    assert filled.done("token", FIRST, TOKENWARD_DIR=str(link)) == "first\n"
    assert filled.done("dir", TOKENWARD_DIR=str(link)) == f"{credentials(filled)}\n"


def test_a_runtime_directory_that_is_a_link_is_passed_over(filled: Home) -> None:
    shutil.rmtree(runtime(filled))
    elsewhere = filled.path / "elsewhere"
    elsewhere.mkdir(mode=0o700)
    runtime(filled).symlink_to(elsewhere)
    assert filled.done("token", FIRST) == "first\n"
    assert list(elsewhere.iterdir()) == []


@pytest.mark.parametrize("what", ["a link", "a file"])
def test_what_is_no_socket_is_left_where_it_is(what: str, filled: Home) -> None:
    socket = runtime(filled) / "agent.sock"
    if what == "a link":
        socket.symlink_to(filled.path / "elsewhere.sock")
    else:
        socket.write_text("mine")
    told = refused(filled, "token", FIRST)
    assert f"{socket} is not a socket; move it elsewhere." in told
    assert os.path.lexists(socket)
    assert not (filled.path / "elsewhere.sock").exists()
    socket.unlink()
    assert filled.done("token", FIRST) == "first\n"


# Where the agent's address should be.


def test_a_path_that_is_too_long_for_a_socket_says_what_to_set(filled: Home) -> None:
    long = filled.path / ("x" * 100)
    long.mkdir(mode=0o700)
    told = refused(filled, "token", FIRST, XDG_RUNTIME_DIR=str(long))
    assert "too long for the system" in told or "longer than" in told
    assert str(long) in told
    assert "XDG_RUNTIME_DIR" in told


@pytest.mark.parametrize("value", ["", "relative", "/nonexistent"])
def test_without_a_runtime_directory_the_state_directory_has_the_socket(
    value: str, filled: Home
) -> None:
    if os.path.isdir(f"/run/user/{os.geteuid()}"):  # noqa: PTH112 - the system's own
        pytest.skip("this system has a runtime directory of its own for the user")
    assert filled.done("token", FIRST, XDG_RUNTIME_DIR=value) == "first\n"
    assert (state(filled) / "run" / "agent.sock").is_socket()
    filled.done("agent", "stop", XDG_RUNTIME_DIR=value)


def test_where_no_private_directory_can_be_had_the_sentence_names_one(filled: Home) -> None:
    if os.path.isdir(f"/run/user/{os.geteuid()}"):  # noqa: PTH112 - the system's own
        pytest.skip("this system has a runtime directory of its own for the user")
    (state(filled) / "run").touch()
    told = refused(filled, "token", FIRST, XDG_RUNTIME_DIR="")
    assert f"{state(filled)}/run" in told
    assert "XDG_" in told


# Where there is no home.


def test_a_missing_home_is_looked_up(filled: Home) -> None:
    """The rest lies where the variables of the base directories say, so nothing real is met."""
    del filled.environment["HOME"]
    try:
        assert filled.done("token", FIRST) == "first\n"
        filled.done("login", FIRST, "--token", "new")
        filled.done("agent", "stop")
    finally:
        filled.environment["HOME"] = str(filled.path)


@root
def test_a_user_without_any_home_is_told_to_set_one(filled: Home) -> None:
    """In a user namespace in which our id is one that the password database does not have."""
    del filled.environment["HOME"]
    nobody = ["unshare", "--user", "--map-user=987654"]
    try:
        for command in ("list", "dir", "token"):
            told = filled.run(*nobody, PROGRAMS / "auth", command)
            if told.stderr.startswith("unshare: "):
                pytest.skip("this system has no user namespaces")
            assert told.returncode == 2, told
            assert "his user has no home directory." in told.stderr
            assert "hint: set HOME" in told.stderr
    finally:
        filled.environment["HOME"] = str(filled.path)


@root
def test_a_key_file_that_cannot_be_removed_does_not_undo_a_new_passphrase(filled: Home) -> None:
    """The key file opens nothing any more, so that it is still there is no failure."""
    phrase = filled.path / "phrase"
    phrase.touch(mode=0o600)
    phrase.write_text("phrase")
    given = {"TOKENWARD_PASSPHRASE_FILE": str(phrase)}
    with read_only(state(filled)):
        filled.done("passphrase", "set", **given)
        filled.done("agent", "restart")
        assert "not open" in refused(filled, "token", FIRST)
        assert filled.done("token", FIRST, **given) == "first\n"


@root
def test_a_key_file_is_not_replaced_before_the_vault_that_needs_it(filled: Home) -> None:
    """A vault that opens both ways and cannot be written opens both ways still."""
    phrase = filled.path / "phrase"
    phrase.touch(mode=0o600)
    phrase.write_text("phrase")
    given = {"TOKENWARD_PASSPHRASE_FILE": str(phrase)}
    filled.done("passphrase", "set", "--keep-slots", **given)
    with read_only(credentials(filled)):
        assert "read-only" in refused(filled, "passphrase", "remove")
        filled.done("agent", "restart")
        assert filled.done("token", FIRST) == "first\n"
