"""Where credentials come to rest, with a real keyring: locked, hanging, foreign, or none."""

from __future__ import annotations

import base64
import os
import shutil
import signal
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from support.auth_commands import PROGRAMS
from support.inspection.held_texts import files_below, paths_below
from support.macaroons import token_of
from support.systems.desktop_keyrings import bus_session, gnome_keyring, hanging_keyring
from support.tools.keyring_program import keyring_program
from tokenward_agent.vault.body import Body
from tokenward_agent.vault.format import Header, serialise
from tokenward_agent.vault.slot import wrap

if TYPE_CHECKING:
    from collections.abc import Iterator

    from support.home import Home
    from support.systems.desktop_keyrings import Session

pytestmark = [
    pytest.mark.gnome_keyring,
    pytest.mark.skipif(sys.platform != "linux", reason="needs a D-Bus session"),
]

URL, OTHER = "https://h.example/", "https://other.example/"
TOKEN = token_of("pypi.org")
KEYRING = ("--keyring-provider", "keyring")
SUBPROCESS = ("--keyring-provider", "subprocess")
DISABLED = ("--keyring-provider", "disabled")


@pytest.fixture
def desktop(home: Home) -> Iterator[Session]:
    """A session with an unlocked gnome-keyring, which the home can reach."""
    with gnome_keyring(home.path / "desktop") as session:
        session.join(home.environment)
        yield session


@pytest.fixture
def programs(home: Home) -> Iterator[Path]:
    """The first folder on PATH, outside of the home, which is the working directory."""
    folder = Path(tempfile.mkdtemp(prefix="programs-", dir="/tmp"))
    folder.chmod(0o755)
    home.environment["PATH"] = f"{folder}:{home.environment['PATH']}"
    yield folder
    shutil.rmtree(folder)


def slots(home: Home) -> list[str]:
    return [slot["kind"] for slot in home.vault("keyring")["slots"]]


def holders(home: Home) -> dict[str, str]:
    """Return the provider of each service that is stored."""
    return {one["service"]: one["provider"] for one in home.answer("list")["credentials"]}


def crash(home: Home) -> None:
    """End the agent as a power cut would, and with it what lies in the runtime directory."""
    pid = home.agent_pid()
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    shutil.rmtree(Path(home.environment["XDG_RUNTIME_DIR"]) / "tokenward")


def keep(home: Home, service: str, username: str, password: str) -> None:
    """Store a password as a tool that knows nothing of tokenward would."""
    command = ("secret-tool", "store", "--label", f"{username} at {service}")
    result = home.run(*command, "service", service, "username", username, stdin=password)
    assert result.returncode == 0, result.stderr


# The provider `keyring`.


def test_the_first_login_takes_a_keyring_that_is_there_and_says_so(
    home: Home, desktop: Session
) -> None:
    told = home.said("login", "--token", TOKEN)
    assert told == "Stored the token for pypi in the keyring vault.\n"
    assert slots(home) == ["keyring"]
    assert home.vault("disabled")["state"] == "absent"
    assert "in the system keyring" in home.done("status")
    assert home.done("token") == f"{TOKEN}\n"


def test_a_vault_of_the_keyring_opens_by_itself_after_a_restart_and_a_power_cut(
    home: Home, desktop: Session
) -> None:
    home.done("login", "--token", TOKEN)
    home.done("agent", "restart")
    assert home.done("token") == f"{TOKEN}\n"
    crash(home)
    assert home.done("token") == f"{TOKEN}\n"


def test_no_item_in_the_keyring_holds_a_token(home: Home, desktop: Session) -> None:
    home.done("login", "--token", TOKEN)
    home.done("login", URL, "-u", "alice", "--password", "s3cret")
    home.done("agent", "restart")
    home.done("login", URL, "-u", "alice", "--password", "another")
    (item,) = desktop.items().values()
    assert len(base64.b64decode(item, validate=True)) == 32


def test_a_lock_holds_though_the_keyring_would_open_the_vault(home: Home, desktop: Session) -> None:
    home.done("login", "--token", TOKEN)
    assert "Locked: tools get nothing until `auth unlock`." in home.said("lock")
    home.done("agent", "restart")
    assert "`auth unlock`" in home.refused("token")
    assert "Unlocked: the keyring vault is open." in home.said("unlock")
    assert home.done("token") == f"{TOKEN}\n"


def test_a_locked_keyring_closes_its_own_vault_and_no_other(home: Home, desktop: Session) -> None:
    home.done("login", URL, "--token", "in the keyring's vault")
    desktop.lock()
    home.done("agent", "restart")
    told = home.refused("token", URL)
    assert "error: The keyring vault is not open: The system keyring is locked.\n" in told
    assert "hint: `auth unlock`\n" in told
    assert "The keyring vault" in home.refused("logout", URL)
    assert "The keyring vault" in home.refused("login", URL, "--token", "t")
    assert "in the file vault" in home.said("login", OTHER, "--token", "meanwhile", *DISABLED)
    assert home.done("token", OTHER) == "meanwhile\n"
    assert "locked" in home.vault("keyring")["note"]
    assert "keyring" in home.said("list")
    assert holders(home) == {OTHER: "disabled"}
    told = home.said("unlock")
    assert "The keyring vault stays closed: The system keyring is locked." in told

    desktop.unlock()
    assert "Unlocked: the two vaults are open." in home.said("unlock")
    assert home.done("token", URL) == "in the keyring's vault\n"
    assert holders(home) == {URL: "keyring", OTHER: "disabled"}


def test_an_unlocked_keyring_heals_without_a_word(home: Home, desktop: Session) -> None:
    home.done("login", URL, "--token", "t")
    desktop.lock()
    home.done("agent", "restart")
    home.refused("token", URL)
    desktop.unlock()
    assert home.done("token", URL) == "t\n"


def test_a_keyring_that_is_locked_at_the_first_login_is_not_used(
    home: Home, desktop: Session
) -> None:
    desktop.lock()
    told = home.said("login", "--token", TOKEN)
    assert "The system keyring is locked, so credentials go into the file vault." in told
    assert "in the file vault" in told
    assert home.done("token") == f"{TOKEN}\n"


def test_a_locked_keyring_that_is_insisted_on_stores_nothing(home: Home, desktop: Session) -> None:
    desktop.lock()
    told = home.refused("login", "--token", TOKEN, *KEYRING)
    assert "error: The system keyring is locked.\n" in told
    assert "`--keyring-provider disabled`" in told
    assert not list(paths_below(home.path, "*.vault"))


# No keyring, or one that does not answer.


@pytest.mark.parametrize("bus", [False, True], ids=["no bus", "nobody on it"])
def test_without_a_keyring_the_fall_back_is_said_once(home: Home, bus: bool) -> None:
    with bus_session(home.path / "desktop") as session:
        if bus:
            session.join(home.environment)
        told = home.said("login", "--token", TOKEN)
        assert told.count("credentials go into the file vault.") == 1
        assert ("no D-Bus session" in told) is not bus
        home.done("agent", "restart")
        told = home.said("login", URL, "--token", "t")
        assert told == "Stored the token for https://h.example/ in the file vault.\n"


def test_a_keyring_that_hangs_is_given_up_and_remembered(home: Home) -> None:
    with hanging_keyring(home.path / "desktop") as session:
        session.join(home.environment)
        told = home.said("login", "--token", TOKEN)
        assert "did not answer within 3 seconds, so credentials go into the file vault." in told
        home.done("agent", "restart")
        assert "keyring" not in home.said("login", URL, "--token", "t")
        assert home.done("token", URL) == "t\n"


def test_a_keyring_that_hangs_closes_its_own_vault_and_no_other(home: Home) -> None:
    with gnome_keyring(home.path / "desktop") as session:
        session.join(home.environment)
        home.done("login", URL, "--token", "in the keyring's vault")
        home.done("login", OTHER, "--token", "t", *DISABLED)
    with hanging_keyring(home.path / "another") as session:
        session.join(home.environment)
        home.done("agent", "restart")
        assert home.done("token", OTHER) == "t\n"
        assert "The keyring vault is not open: The system keyring did" in home.refused("token", URL)
        assert "within 3 seconds" in home.vault("keyring")["note"]


# The provider `subprocess`.


def test_a_foreign_program_opens_the_vault_after_a_restart(home: Home, programs: Path) -> None:
    program = keyring_program(programs)
    told = home.said("login", URL, "--token", "s3cret", *SUBPROCESS)
    assert "in the keyring vault" in told
    assert slots(home) == ["program"]
    assert str(program) in home.done("status")
    home.done("agent", "restart")
    assert home.done("token", URL) == "s3cret\n"
    assert home.done("token", URL, *SUBPROCESS) == "s3cret\n"
    (item,) = programs.glob("item-*")
    assert len(base64.b64decode(item.read_text())) == 32
    program.unlink()
    home.done("agent", "restart")
    home.refused("token", URL)
    assert str(program) in home.vault("keyring")["note"]


def test_a_foreign_program_is_a_second_way_into_the_keyrings_vault(
    home: Home, desktop: Session, programs: Path
) -> None:
    keyring_program(programs)
    home.done("login", URL, "--token", "one")
    home.done("login", OTHER, "--token", "two", *SUBPROCESS)
    assert slots(home) == ["keyring", "program"]
    desktop.lock()
    home.done("agent", "restart")
    assert home.done("token", URL) == "one\n"
    assert home.done("token", OTHER) == "two\n"


def test_a_vault_that_somebody_put_there_runs_nothing(home: Home, programs: Path) -> None:
    ran, name = home.path / "ran", "0123456789abcdef" * 2
    evil = programs / "evil\x1b[2Jkeyring"
    evil.write_text(f"#!/bin/sh\ntouch {ran}\n")
    evil.chmod(0o755)
    directory = Path(home.done("dir").strip())
    directory.mkdir(mode=0o700, exist_ok=True)
    for program, service in (("/usr/bin/make", f"--eval=$(shell touch {ran})"), (str(evil), "s")):
        params = {"program": program, "service": service, "username": "x"}
        slot = wrap("program", params, bytes(32), bytes(32), name)
        vault = directory / "keyring.vault"
        vault.write_bytes(serialise(Header(name, "keyring", 1, 0, (slot,)), Body({}), bytes(32)))
        vault.chmod(0o600)
        for command in (["list"], ["token", URL], ["unlock"], ["status"], ["doctor"],
                        ["login", URL, "--token", "t"], ["passphrase", "set"],
                        ["restore", "--previous"], ["unlock", *SUBPROCESS]):  # fmt: skip
            told = home.auth(*command)
            assert "Traceback" not in told.stderr
            assert "\x1b" not in told.stdout + told.stderr
        assert "chosen" in home.refused("unlock") or "not one of tokenward's" in home.refused(
            "unlock"
        )
        home.done("agent", "restart")
    assert not ran.exists()


def test_a_vault_from_elsewhere_opens_by_the_program_on_path_once_that_is_said(
    home: Home, programs: Path
) -> None:
    keyring_program(programs)
    home.done("login", URL, "--token", "s3cret", *SUBPROCESS)
    for path in paths_below(home.path, "keyring-program.json"):
        path.unlink()
    home.done("agent", "restart")
    told = home.refused("token", URL)
    assert "which was not chosen on this machine" in told
    assert "hint: `auth unlock --keyring-provider subprocess` chooses the one on your PATH" in told
    home.done("unlock", *SUBPROCESS)
    home.done("agent", "restart")
    assert home.done("token", URL) == "s3cret\n"


@pytest.mark.parametrize(
    ("place", "sentence"),
    [
        ("changeable", "can be changed by others"),
        ("shared folder", "can be changed by others"),
        ("environment", "belongs to a virtual environment"),
        ("working directory", "lies in the working directory"),
        ("ours", "is tokenward's own"),
    ],
)
def test_a_program_that_somebody_else_may_have_put_there_is_not_run(
    home: Home, programs: Path, place: str, sentence: str
) -> None:
    folder = home.path / "checkout" if place == "working directory" else programs / "bin"
    folder.mkdir(mode=0o755)
    program = keyring_program(folder)
    program.chmod(0o757 if place == "changeable" else 0o755)
    if place == "shared folder":
        folder.chmod(0o777)
    elif place == "environment":
        (programs / "pyvenv.cfg").touch()
    elif place == "ours":
        program.write_text("#!/bin/sh\n# The `keyring` of tokenward\n")
    home.environment["PATH"] = f"{folder}:{home.environment['PATH']}"
    command = (PROGRAMS / "auth", "login", URL, "--token", "s3cret", *SUBPROCESS)
    result = home.run(*command, cwd=str(folder) if place == "working directory" else "")
    told = result.stderr
    assert result.returncode == 2
    assert f"error: No `keyring` program on PATH may be run: {program} {sentence}" in told
    assert "`--keyring-provider disabled`" in told
    assert not list(paths_below(home.path, "*.vault"))


def test_without_a_foreign_program_subprocess_cannot_be_insisted_on(home: Home) -> None:
    told = home.refused("login", URL, "--token", "s3cret", *SUBPROCESS)
    assert "`keyring` program" in told


# What chooses.


def test_a_variable_and_config_toml_choose_and_the_option_goes_first(
    home: Home, desktop: Session
) -> None:
    login = ("login", URL, "--token", "t")
    assert "in the file vault" in home.said(*login, UV_KEYRING_PROVIDER="disabled")
    assert "in the keyring vault" in home.said(*login, UV_KEYRING_PROVIDER="keyring")
    settings = Path(home.environment["XDG_CONFIG_HOME"]) / "tokenward" / "config.toml"
    settings.parent.mkdir()
    settings.write_text('keyring-provider = "disabled"\n')
    assert "in the file vault" in home.said(*login, UV_KEYRING_PROVIDER="keyring")
    assert "in the keyring vault" in home.said(*login, *KEYRING)
    settings.write_text('keyring-provider = "plaintext"\n')
    assert "is not a provider" in home.refused(*login)


def test_subprocess_as_uv_means_it_chooses_nothing_without_a_foreign_program(
    home: Home, desktop: Session, programs: Path
) -> None:
    login = ("login", URL, "--token", "t")
    assert "in the keyring vault" in home.said(*login, UV_KEYRING_PROVIDER="subprocess")
    keyring_program(programs).write_text("#!/bin/sh\n# The `keyring` of tokenward\n")
    assert "in the keyring vault" in home.said(*login, UV_KEYRING_PROVIDER="subprocess")
    keyring_program(programs)
    assert "in the keyring vault" in home.said(*login, UV_KEYRING_PROVIDER="subprocess")


# Two vaults.


def test_the_latest_login_wins_over_both_vaults(home: Home, desktop: Session) -> None:
    home.done("login", URL, "--token", "first")
    assert "Replaced" in home.said("login", URL, "--token", "second", *DISABLED)
    assert home.done("token", URL) == "second\n"
    assert holders(home) == {URL: "disabled"}
    home.refused("token", URL, *KEYRING)
    assert "Replaced" in home.said("login", URL, "--token", "third", *KEYRING)
    assert home.done("token", URL) == "third\n"
    assert holders(home) == {URL: "keyring"}


def test_the_latest_login_wins_over_a_vault_that_was_closed_then(
    home: Home, desktop: Session
) -> None:
    home.done("login", URL, "--token", "first")
    desktop.lock()
    home.done("agent", "restart")
    home.done("login", URL, "--token", "second", *DISABLED)
    desktop.unlock()
    home.done("unlock")
    assert home.done("token", URL) == "second\n"
    assert holders(home) == {URL: "disabled"}

    phrase = home.path / "phrase"
    phrase.touch(0o600)
    phrase.write_text("phrase\n")
    home.done("passphrase", "set", TOKENWARD_PASSPHRASE_FILE=str(phrase))
    home.done("agent", "restart")
    home.done("login", URL, "--token", "third", *KEYRING)
    home.done("unlock", TOKENWARD_PASSPHRASE_FILE=str(phrase))
    assert home.done("token", URL) == "third\n"
    assert holders(home) == {URL: "keyring"}


def test_token_and_logout_with_a_provider_look_in_its_vault_alone(
    home: Home, desktop: Session
) -> None:
    home.done("login", URL, "--token", "one")
    home.done("login", OTHER, "--token", "two", *DISABLED)
    assert home.done("token", URL, *KEYRING) == "one\n"
    assert home.done("token", OTHER, *DISABLED) == "two\n"
    for service, provider in ((URL, DISABLED), (OTHER, KEYRING)):
        assert f"by the provider {provider[1]}" in home.refused("token", service, *provider)
        assert "error: No credential" in home.refused("logout", service, *provider)
    home.done("logout", "--all", *KEYRING)
    assert holders(home) == {OTHER: "disabled"}
    desktop.lock()
    home.done("agent", "restart")
    assert "error: No credential" in home.refused("token", URL, *DISABLED)
    assert "is not open" in home.refused("token", URL, *KEYRING)


def test_a_passphrase_says_what_it_does_not_protect(home: Home, desktop: Session) -> None:
    home.done("login", URL, "--token", "one")
    home.done("login", OTHER, "--token", "two")
    phrase = home.path / "phrase"
    phrase.touch(0o600)
    phrase.write_text("phrase\n")
    given = {"TOKENWARD_PASSPHRASE_FILE": str(phrase)}
    elsewhere = (
        "2 credentials lie in the keyring vault, which can be opened by a process that can read"
    )
    assert elsewhere in home.said("passphrase", "set", **given)
    assert elsewhere in home.said("passphrase", "remove", **given)
    desktop.lock()
    home.done("agent", "restart")
    told = home.said("passphrase", "set", **given)
    assert "The credentials in the keyring vault are not counted" in told
    assert "in the system keyring" in told


# Credentials that stay where a keyring has them.


def test_an_adopted_credential_is_read_where_it_is_and_never_removed_unasked(
    home: Home, desktop: Session
) -> None:
    keep(home, URL, "alice", "from the keyring")
    told = home.said("login", URL, "-u", "alice", "--adopt")
    assert "Adopted the password of alice for https://h.example/" in told
    assert home.answer("list")["credentials"][0]["adopted"] is True
    assert home.done("token", URL) == "from the keyring\n"
    vaults = list(files_below(home.path, "*.vault*"))
    assert vaults
    assert not [path for path, data in vaults if b"from the keyring" in data]
    keep(home, URL, "alice", "changed there")
    assert home.done("token", URL) == "from the keyring\n", "it is kept for five minutes"
    home.done("agent", "restart")
    assert home.done("token", URL) == "changed there\n"
    home.done("logout", URL)
    home.refused("token", URL)
    assert b"changed there" in desktop.items().values()
    home.done("login", URL, "-u", "alice", "--adopt")
    home.done("logout", URL, "--purge")
    assert b"changed there" not in desktop.items().values()


def test_an_adopted_credential_is_found_however_it_was_spelled(
    home: Home, desktop: Session
) -> None:
    spelled = {
        "https://a.example/team": "https://a.example/team/",
        "https://b.example/team/": "https://b.example/team",
        "https://c.example/team/simple/": "https://c.example/team",
        "https://d.example/": "HTTPS://D.Example:443",
        "e.example/team": "e.example/team",
        "HTTPS://F.example/Team": "HTTPS://F.example/Team",
    }
    for stored, typed in spelled.items():
        keep(home, stored, "alice", f"under {stored}")
        home.done("login", typed, "-u", "alice", "--adopt")
        assert home.done("token", typed) == f"under {stored}\n"


def test_the_library_and_its_program_keep_what_can_be_adopted(home: Home, desktop: Session) -> None:
    backend = {"PYTHON_KEYRING_BACKEND": "keyring.backends.SecretService.Keyring"}
    result = home.run(PROGRAMS / "keyring", "set", URL, "alice", stdin="by the library", **backend)
    assert result.returncode == 0, result.stderr
    home.done("login", URL, "-u", "alice", "--adopt")
    assert home.done("token", URL) == "by the library\n"


def test_what_no_keyring_has_is_not_adopted(home: Home, desktop: Session) -> None:
    keep(home, URL, "alice", "hers")
    told = home.refused("login", URL, "-u", "bob", "--adopt")
    assert "error: No keyring has a password of bob for https://h.example/.\n" in told
    assert home.answer("list")["credentials"] == []


def test_a_foreign_program_may_have_what_is_adopted(home: Home, programs: Path) -> None:
    program = keyring_program(programs)
    home.run(program, "set", URL, "alice", stdin="from the program")
    home.done("login", URL, "-u", "alice", "--adopt", *SUBPROCESS)
    assert home.done("token", URL) == "from the program\n"
    told = home.refused("login", URL, "-u", "bob", "--adopt", *SUBPROCESS)
    assert f"error: The program {program} has no password of bob" in told
    home.done("logout", URL, "--purge")
    assert not [path for path in programs.glob("item-*") if "alice" in path.name]


def test_what_no_keyring_has_is_not_adopted_and_makes_no_vault(home: Home) -> None:
    told = home.refused("login", URL, "-u", "alice", "--adopt")
    assert f"No keyring has a password of alice for {URL}" in told
    assert "installed beside tokenward" in told
    assert home.answer("list")["credentials"] == []
    assert home.vault()["state"] == "absent"
