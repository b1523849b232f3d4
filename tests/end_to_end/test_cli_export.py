"""`auth export` and `auth restore FILE` with the real program: out, and back as it was."""

from __future__ import annotations

import json
import re
import stat
import subprocess
from typing import TYPE_CHECKING, Any

import pytest

from support.auth_commands import PROGRAMS
from support.macaroons import token_of
from support.systems.desktop_keyrings import gnome_keyring
from support.terminal import Typist
from support.waiting import PATIENCE
from tokenward.backup import ExportEntry, encrypt_export, parse_export
from tokenward.services import is_asleep
from tokenward.transport.connect import connect

if TYPE_CHECKING:
    from collections.abc import Iterable

    from support.home import Home

PASSPHRASE = "open sesame"
LOGINS = {
    "https://h.example/": "root",
    "https://h.example/a": "first",
    "https://h.example/a/b": "second",
    "http://localhost:8080/": "p w ",
}
MARK = "marked"


@pytest.fixture
def key(home: Home) -> str:
    path = home.path / "passphrase"
    path.write_text(f"{PASSPHRASE}\n")
    path.chmod(0o600)
    return str(path)


@pytest.fixture
def filled(home: Home) -> Home:
    """A home with entries that lie above one another, all of one user."""
    for url, secret in LOGINS.items():
        home.done("login", url, "-u", "alice", "--password", f"{MARK}{secret}")
    home.done("login", "https://h.example/a", "--token", f"{MARK}token")
    return home


def done(home: Home, *arguments: str, status: int = 0, stdin: str = "") -> str:
    """Run a command and return what it tells a person; no secret may be in that."""
    result = home.auth(*arguments, stdin=stdin)
    assert result.returncode == status, result
    assert result.stdout == ""
    assert MARK not in result.stderr
    assert "Traceback" not in result.stderr
    return result.stderr


def states(home: Home, file: str, key: str, *arguments: str, status: int = 0) -> list[str]:
    result = home.auth("restore", file, "--passphrase-file", key, "--format", "json", *arguments)
    assert result.returncode == status, result
    assert MARK not in result.stdout
    return [one["state"] for one in json.loads(result.stdout)["credentials"]]


def everything(home: Home) -> dict[tuple[str, str], str]:
    """Return each secret, fetched by its own service and user name."""
    listed: list[dict[str, Any]] = home.answer("list")["credentials"]
    return {
        (one["service"], one["username"]): home.done("token", one["service"], "-u", one["username"])
        for one in listed
    }


def write(home: Home, entries: Iterable[ExportEntry], name: str = "b.tokenward") -> str:
    """Write an export that holds what a test wants it to hold."""
    (home.path / name).write_bytes(encrypt_export(list(entries), PASSPHRASE.encode(), 1))
    return name


def test_everything_comes_back_as_it_was(filled: Home, key: str) -> None:
    before = everything(filled)
    assert len(before) == 5
    told = done(filled, "export", "b.tokenward", "--passphrase-file", key)
    assert told == "Exported 5 credentials to b.tokenward.\n"
    file = filled.path / "b.tokenward"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert MARK.encode() not in file.read_bytes()
    filled.done("logout", "--all")
    told = done(filled, "restore", "b.tokenward", "--passphrase-file", key)
    assert told.endswith("From b.tokenward: 5 restored.\n")
    assert everything(filled) == before
    assert "From b.tokenward: 5 there already." in done(
        filled, "restore", "b.tokenward", "--passphrase-file", key
    )


def test_what_tools_stored_under_any_name_and_bytes_comes_back(home: Home, key: str) -> None:
    home.done("login", "https://x.example/", "--token", "x")
    odd = {("some tool: ünïcode\n", ""): b"\xff\x00", ("name", "u"): b""}

    def agent() -> Any:
        directory = home.done("dir").strip()
        return connect(directory, start=False, asleep=is_asleep, environ=home.environment)

    with agent() as connection:
        for (service, username), secret in odd.items():
            connection.ask("login", secret, service=service, username=username)
    done(home, "export", "b", "--passphrase-file", key)
    home.done("logout", "--all")
    assert states(home, "b", key) == ["stored"] * 3
    with agent() as connection:
        for (service, username), secret in odd.items():
            assert connection.ask("fetch", service=service, username=username).body == secret


def test_what_is_sealed_is_in_no_export_and_stays_where_it_is(filled: Home, key: str) -> None:
    filled.done("login", "--sealed", "--token", token_of("pypi.org"))
    told = done(filled, "export", "b.tokenward", "--passphrase-file", key)
    assert "Not exported, because it is sealed: the token for pypi." in told
    told = done(filled, "restore", "b.tokenward", "--passphrase-file", key)
    assert told.endswith("From b.tokenward: 5 there already.\n")
    assert "is sealed" in done(filled, "token", status=2)


def test_an_export_goes_by_a_pipe_to_another_home(filled: Home, key: str) -> None:
    before = everything(filled)
    out = subprocess.run(
        [PROGRAMS / "auth", "export", "-", "--passphrase-file", key],
        env=filled.environment,
        capture_output=True,
        check=True,
        timeout=PATIENCE,
    )
    assert out.stdout.startswith(b"tokenward-export 1\n")
    filled.environment["TOKENWARD_DIR"] = str(filled.path / "other")
    back = subprocess.run(
        [PROGRAMS / "auth", "restore", "-", "--passphrase-file", key],
        env=filled.environment,
        input=out.stdout,
        capture_output=True,
        check=False,
        timeout=PATIENCE,
    )
    assert back.returncode == 0, back.stderr
    assert everything(filled) == before
    filled.done("agent", "stop")


def test_what_differs_stays_unless_it_is_replaced(filled: Home, key: str) -> None:
    done(filled, "export", "b", "--passphrase-file", key)
    url = "https://h.example/a/b"
    filled.done("login", url, "-u", "alice", "--password", "newer")
    told = done(filled, "restore", "b", "--passphrase-file", key, status=2)
    assert f"The password of alice for {url}/ is stored already, with another secret" in told
    assert "4 there already" in told
    assert filled.done("token", url, "-u", "alice") == "newer\n"
    assert states(filled, "b", key, "--replace").count("replaced") == 1
    assert filled.done("token", url, "-u", "alice") == f"{MARK}second\n"


def test_a_lifetime_keeps_its_end_and_what_is_over_stays_away(home: Home, key: str) -> None:
    end = 4102444800  # 2100
    file = write(
        home,
        [
            ExportEntry("https://a.example/", "u", 1, end, "disabled", b"a"),
            ExportEntry("https://b.example/", "u", 1, 1000, "disabled", b"b"),
        ],
    )
    assert states(home, file, key) == ["stored", "expired"]
    (one,) = home.answer("list")["credentials"]
    assert one["expires"][:16] in {"2100-01-01T00:00", "2099-12-31T23:59"}
    told = done(home, "restore", file, "--passphrase-file", key)
    assert "Not restored, because it has expired: the password of u for https://b.example/." in told


def test_a_wrong_passphrase_changes_nothing_and_is_asked_for_again(filled: Home, key: str) -> None:
    done(filled, "export", "b", "--passphrase-file", key)
    filled.done("logout", "--all")
    (filled.path / "passphrase").write_text("open sesam\n")
    told = done(filled, "restore", "b", "--passphrase-file", key, status=2)
    assert told == "error: The passphrase does not open b.\n"
    assert filled.done("list") == ""
    typist = Typist(filled, "restore", "b")
    typist.answers("Passphrase of the export:", "wrong").sees("does not open b.")
    typist.answers("Passphrase of the export:", PASSPHRASE)
    assert "5 restored" in typist.leaves(0)


def test_on_a_terminal_the_passphrase_is_asked_for_twice(filled: Home, key: str) -> None:
    variables = {"TOKENWARD_PASSPHRASE_FILE": str(filled.path / "that-of-the-vault")}
    typist = Typist(filled, "export", "b", **variables)
    typist.answers("Passphrase for the export:", PASSPHRASE).answers("The same again:", "typo")
    typist.answers("Passphrase for the export:", PASSPHRASE).answers("The same again:", PASSPHRASE)
    assert PASSPHRASE not in typist.leaves(0)
    assert len(parse_export((filled.path / "b").read_bytes(), "b").open(PASSPHRASE.encode())) == 5
    told = done(filled, "export", "c", status=2)
    assert told.startswith("error: There is no terminal to ask for the export's passphrase.")
    assert "`--passphrase-file`" in told


def test_an_export_is_written_to_no_terminal(filled: Home, key: str) -> None:
    typist = Typist(filled, "export", "-", "--passphrase-file", key)
    assert "An export is not written to a terminal." in typist.leaves(2)


def test_only_an_export_is_written_over(filled: Home, key: str) -> None:
    (filled.path / "thesis.txt").write_text("years of work")
    (filled.path / "folder").mkdir()
    done(filled, "export", "b", "--passphrase-file", key)
    (filled.path / "link").symlink_to("b")
    for name in ("thesis.txt", "folder", "link"):
        told = done(filled, "export", name, "--passphrase-file", key, status=2)
        assert re.match(f"error: {name} exists and is not an ", told), told
    assert (filled.path / "thesis.txt").read_text() == "years of work"
    before = (filled.path / "b").read_bytes()
    told = done(filled, "export", "b", "--passphrase-file", key, status=2)
    assert "b is already an export" in told
    assert "`--yes`" in told
    assert (filled.path / "b").read_bytes() == before
    done(filled, "export", "b", "--passphrase-file", key, "--yes")
    assert (filled.path / "b").read_bytes() != before
    told = done(filled, "export", "none/b", "--passphrase-file", key, status=2)
    assert told.startswith("error: none/b cannot be written: No such file or directory.")


def test_an_older_export_is_asked_about_on_a_terminal(filled: Home, key: str) -> None:
    done(filled, "export", "b", "--passphrase-file", key)
    before = (filled.path / "b").read_bytes()
    typist = Typist(filled, "export", "b", "--passphrase-file", key)
    assert "Nothing was exported." in typist.answers("Overwrite it?", "n").leaves(2)
    assert (filled.path / "b").read_bytes() == before
    Typist(filled, "export", "b", "--passphrase-file", key).answers("Overwrite it?", "y").leaves(0)
    assert (filled.path / "b").read_bytes() != before


def test_an_export_is_complete_or_is_none(filled: Home, key: str) -> None:
    filled.done("lock")
    told = done(filled, "export", "b", "--passphrase-file", key, status=2)
    assert told.startswith("error: The file vault is not open, so not every credential")
    assert not (filled.path / "b").exists()
    filled.done("unlock")
    filled.done("logout", "--all")
    told = done(filled, "export", "b", "--passphrase-file", key, status=2)
    assert told.startswith("error: Nothing is stored, so there is nothing to export.")


@pytest.mark.parametrize(
    ("spoil", "sentence"),
    [
        (lambda data: data[:-40], "b is truncated: its end is missing."),
        (lambda data: data[:-40] + bytes(40), "b is damaged, or it was changed"),
        (lambda data: data.replace(b" 1\n", b" 3\n", 1), "b is an export of version 3"),
        (lambda _: b"years of work", "b is not an export of tokenward."),
    ],
)
def test_a_file_that_is_not_as_it_was_restores_nothing(
    spoil: Any, sentence: str, filled: Home, key: str
) -> None:
    done(filled, "export", "b", "--passphrase-file", key)
    filled.done("logout", "--all")
    file = filled.path / "b"
    file.write_bytes(spoil(file.read_bytes()))
    told = done(filled, "restore", "b", "--passphrase-file", key, status=2)
    assert told.startswith(f"error: {sentence}")
    assert "hint: " in told
    assert filled.done("list") == ""


def test_what_is_to_be_restored_is_said_once(home: Home) -> None:
    for arguments in ((), ("b", "--previous")):
        assert "takes either FILE or `--previous`" in done(home, "restore", *arguments, status=2)
    assert done(home, "restore", "b", status=2) == "error: The file b does not exist.\n"


@pytest.mark.gnome_keyring
def test_what_is_adopted_is_adopted_again_where_its_keyring_is_read(home: Home, key: str) -> None:
    url = "https://h.example/"
    with gnome_keyring(home.path / "desktop") as session:
        session.join(home.environment)
        kept = ("secret-tool", "store", "--label", "a", "service", url, "username", "alice")
        assert home.run(*kept, stdin=MARK).returncode == 0
        home.done("login", url, "-u", "alice", "--adopt")
        told = done(home, "export", "b", "--passphrase-file", key)
        assert "1 credential of these stays in a keyring" in told
        (entry,) = parse_export((home.path / "b").read_bytes(), "b").open(PASSPHRASE.encode())
        assert entry.secret is None
        assert states(home, "b", key) == ["already"]
        home.done("logout", "--all")
        assert states(home, "b", key) == ["stored"]
        assert home.answer("list")["credentials"][0]["adopted"]
        assert home.done("token", url) == f"{MARK}\n"
    home.done("agent", "stop")
    del home.environment["DBUS_SESSION_BUS_ADDRESS"]
    home.environment["TOKENWARD_DIR"] = str(home.path / "elsewhere")
    told = done(home, "restore", "b", "--passphrase-file", key, status=2)
    assert "Not restored: 1 credential." in told
    home.done("agent", "stop")
