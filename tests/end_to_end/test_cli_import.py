"""`auth import` with the real program, the files of real tools, and the tools themselves after it."""

from __future__ import annotations

import json
import zipfile
from typing import TYPE_CHECKING, Any

import pytest

from support.auth_commands import PROGRAMS
from support.inspection.held_texts import paths_below
from support.macaroons import token_of
from support.systems.desktop_keyrings import gnome_keyring
from support.terminal import Typist

if TYPE_CHECKING:
    from pathlib import Path

    from support.home import Home
    from support.servers.index_server import IndexServer

TOKEN, TEST_TOKEN = token_of("pypi.org"), token_of("test.pypi.org")
URL = "https://ours.example/"
MARK = "marked-s3cret"


def pypirc(home: Home, text: str) -> Path:
    path = home.path / ".pypirc"
    path.write_text(text)
    path.chmod(0o600)
    return path


def ours(home: Home, secret: str = MARK, url: str = URL) -> Path:
    return pypirc(
        home,
        f"[distutils]\nindex-servers = ours\n[ours]\nrepository = {url}\nusername = alice\n"
        f"password = {secret}\n",
    )


def done(home: Home, *arguments: str, status: int = 0) -> str:
    """Run `auth import`, and return what it tells a person; it must show no secret."""
    result = home.auth("import", *arguments)
    assert result.returncode == status, result
    assert "Traceback" not in result.stderr
    assert MARK not in result.stdout + result.stderr
    assert TOKEN not in result.stdout + result.stderr
    return result.stderr


def rows(home: Home, *arguments: str, status: int = 0) -> list[dict[str, Any]]:
    result = home.auth("import", *arguments, "--format", "json")
    assert result.returncode == status, result
    assert MARK not in result.stdout + result.stderr
    found: list[dict[str, Any]] = json.loads(result.stdout)["credentials"]
    return found


def test_without_a_source_it_says_what_lies_where_and_starts_nothing(home: Home) -> None:
    path = ours(home)
    result = home.auth("import")
    assert f"pypirc  {URL}  alice      [ours] in {path}" in result.stdout
    assert "hint: `auth import pypirc --dry-run`" in result.stderr
    assert MARK not in result.stdout + result.stderr
    assert home.agent_pid() is None
    assert "No source is named." in done(home, "--remove", status=2)


def test_without_anything_it_says_so(home: Home) -> None:
    assert "The files of other tools hold no credential for an index." in done(home)
    told = done(home, "pypirc", "uv")
    assert f"In {home.path}/.pypirc there is nothing to import." in told


def test_a_dry_run_shows_all_of_it_and_does_none(home: Home) -> None:
    path = pypirc(
        home,
        f"[pypi]\nusername=__token__\npassword={TOKEN}\n"
        f"[testpypi]\nusername=__token__\npassword={TOKEN}\n",
    )
    before = path.read_bytes()
    result = home.auth("import", "pypirc", "--dry-run", "--remove")
    assert result.returncode == 0
    assert TOKEN not in result.stdout + result.stderr
    first, second = result.stdout.splitlines()[1:]
    assert first.split()[:2] == ["pypi", "__token__"]
    assert first.endswith("would be stored")
    assert second.endswith("The token was made by pypi, and testpypi does not know it.")
    assert path.read_bytes() == before
    assert home.done("list") == ""
    assert not list(paths_below(home.path, "*.vault"))


def test_what_is_taken_over_stays_in_its_file_until_it_is_removed(home: Home) -> None:
    path = ours(home)
    before = path.read_text()
    told = done(home, "pypirc")
    assert (
        f"Stored the password of alice for {URL} in the file vault, from [ours] in {path}." in told
    )
    assert home.done("token", URL) == f"{MARK}\n"
    assert path.read_text() == before
    told = done(home, "pypirc", "--remove")
    assert f"Already stored, as in [ours] in {path}: the password of alice for {URL}." in told
    assert f"Deleted 1 secret from {path}." in told
    assert path.read_text() == before.replace(f"password = {MARK}\n", "")
    assert home.done("token", URL) == f"{MARK}\n"
    done(home, "pypirc", "--remove")


def test_another_secret_that_is_stored_stays_unless_it_is_replaced(home: Home) -> None:
    path = ours(home)
    home.done("login", URL, "-u", "alice", "--password", "mine")
    told = done(home, "pypirc", "--remove", status=2)
    assert f"Not imported from [ours] in {path}: The password of alice for {URL} is stored" in told
    assert "`--replace`" in told
    assert home.done("token", URL) == "mine\n"
    assert MARK in path.read_text()
    (row,) = rows(home, "pypirc", "--dry-run", "--replace")
    assert row["state"] == "replaced"
    done(home, "pypirc", "--remove", "--replace")
    assert home.done("token", URL) == f"{MARK}\n"
    assert MARK not in path.read_text()


def test_what_is_stored_above_or_below_is_something_else(home: Home) -> None:
    ours(home, url=f"{URL}team/")
    home.done("login", URL, "-u", "alice", "--password", "above")
    home.done("login", f"{URL}team/x", "-u", "alice", "--password", "below")
    assert rows(home, "pypirc", "--remove")[0]["state"] == "stored"
    assert home.done("token", f"{URL}team/") == f"{MARK}\n"
    assert home.done("token", URL) == "above\n"
    assert home.done("token", f"{URL}team/x") == "below\n"


def test_of_two_sources_that_contradict_each_other_the_first_counts(home: Home) -> None:
    path = ours(home)
    (home.path / ".netrc").write_text("machine ours.example login alice password other\n")
    (first, second) = rows(home, "pypirc", "netrc", "--remove", "--replace", status=2)
    assert (first["state"], first["removed"]) == ("stored", True)
    assert (second["state"], second["removed"]) == ("different", False)
    assert MARK not in path.read_text()
    assert "other" in (home.path / ".netrc").read_text()


def test_a_token_that_cannot_be_right_is_left_and_the_rest_is_taken(home: Home) -> None:
    path = pypirc(
        home,
        "[pypi]\nusername=__token__\npassword=ghp_marked-s3cret\n"
        f"[testpypi]\nusername=__token__\npassword=testpypi-{TEST_TOKEN.removeprefix('pypi-')}\n",
    )
    wrong, right = rows(home, "pypirc", "--remove", status=2)
    assert (wrong["state"], wrong["removed"]) == ("failed", False)
    assert "GitHub" in wrong["message"]
    assert (right["state"], right["removed"]) == ("stored", True)
    assert home.done("token", "testpypi") == f"{TEST_TOKEN}\n"
    assert path.read_text().count("password") == 1


def test_a_netrc_keeps_what_is_for_no_index(home: Home) -> None:
    path = home.path / ".netrc"
    path.write_text(
        f"machine git.example login a password keep\nmachine pypi.org login __token__ password {TOKEN}\n"
    )
    path.chmod(0o644)
    told = done(home, "netrc", "--remove")
    assert (
        f"Skipped, because none of your files names an index on these hosts: 1 entry of {path}."
        in told
    )
    assert f"warning: Other users could read {path}" in told
    assert path.read_text() == "machine git.example login a password keep\n"
    assert home.done("token") == f"{TOKEN}\n"
    done(home, "netrc", "--remove", "--host", "git.example")
    assert path.read_text() == ""
    assert home.done("token", "https://git.example/") == "keep\n"


def test_a_checkout_is_no_reason_to_take_a_secret_out_of_a_netrc(home: Home) -> None:
    (home.path / ".netrc").write_text("machine git.example login a password keep\n")
    (home.path / "uv.toml").write_text('[[index]]\nname = "x"\nurl = "https://git.example/"\n')
    assert rows(home, "netrc", "--remove")[0]["state"] == "skipped"
    assert "keep" in (home.path / ".netrc").read_text()


def test_a_locked_agent_takes_nothing_over_and_nothing_is_removed(home: Home) -> None:
    path = ours(home)
    home.done("login", "https://x.example/", "--token", "x")
    home.done("lock")
    told = done(home, "pypirc", "--remove", status=2)
    assert "The file vault is not open" in told
    assert MARK in path.read_text()


def test_a_file_that_cannot_be_understood_keeps_no_other_from_being_taken(home: Home) -> None:
    ours(home)
    store = home.path / ".local/share/uv/credentials"
    store.mkdir(parents=True)
    (store / "credentials.toml").write_text(MARK)
    told = done(home, "uv", "pypirc", status=2)
    assert "is not valid TOML" in told
    assert home.done("token", URL) == f"{MARK}\n"


def test_interrupted_at_the_passphrase_nothing_is_stored_or_removed(home: Home) -> None:
    path = ours(home)
    typist = Typist(home, "import", "pypirc", "--remove")
    typist.sees("New passphrase for the vault").types("\x03")
    assert "Interrupted." in typist.leaves(2)
    assert MARK in path.read_text()
    assert not list(paths_below(home.path, "*.vault"))


def test_what_uv_stored_is_taken_over_and_uv_goes_on_without_it(home: Home) -> None:
    uv = PROGRAMS / "uv"
    for url, user in (("https://a.example/simple/", "ann"), ("https://b.example/x", "bob")):
        login = home.run(uv, "auth", "login", url, "-u", user, "--password", "-", stdin=MARK)
        assert login.returncode == 0, login.stderr
    assert [row["service"] for row in rows(home, "uv", "--remove")] in (
        ["https://a.example/", "https://b.example/x/"],
        ["https://b.example/x/", "https://a.example/"],
    )
    assert home.done("token", "https://a.example/simple/") == f"{MARK}\n"
    assert home.run(uv, "auth", "token", "https://b.example/x", "-u", "bob").returncode == 2
    again = home.run(
        uv, "auth", "login", "https://b.example/x", "-u", "bob", "--password", "-", stdin="new"
    )
    assert again.returncode == 0, again.stderr
    assert home.run(uv, "auth", "token", "https://b.example/x", "-u", "bob").stdout == "new\n"


@pytest.fixture
def wheel(tmp_path: Path) -> Path:
    """A wheel that holds nothing."""
    path, info = tmp_path / "greeting-1.0-py3-none-any.whl", "greeting-1.0.dist-info"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(
            f"{info}/METADATA", "Metadata-Version: 2.1\nName: greeting\nVersion: 1.0\n"
        )
        archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
        archive.writestr(f"{info}/RECORD", "")
    return path


def test_twine_uploads_after_its_password_has_left_pypirc(
    home: Home, index: IndexServer, wheel: Path
) -> None:
    path = ours(home, index.accounts["alice"], index.url)
    done(home, "pypirc", "--remove")
    assert "password" not in path.read_text()
    uploaded = home.run("twine", "upload", "--non-interactive", "-r", "ours", wheel)
    assert uploaded.returncode == 0, uploaded
    assert [found.name for found in index.packages.iterdir()] == [wheel.name]


@pytest.mark.parametrize("source", ["pip", "netrc"])
def test_pip_installs_after_the_password_has_left_its_file(
    source: str, home: Home, index: IndexServer, wheel: Path
) -> None:
    secret = index.accounts["alice"].replace(" ", "-")
    with type(index)({"alice": secret}) as closed:
        (closed.packages / wheel.name).write_bytes(wheel.read_bytes())
        config = home.path / ".config/pip/pip.conf"
        config.parent.mkdir()
        info = f"alice:{secret}@" if source == "pip" else ""
        config.write_text(f"[global]\nindex-url = {closed.simple.replace('://', f'://{info}')}\n")
        netrc = home.path / ".netrc"
        netrc.write_text(f"machine 127.0.0.1 login alice password {secret}\n" if not info else "")
        del home.environment["PIP_CONFIG_FILE"]
        where = ["--no-deps", "--no-cache-dir", "--force-reinstall", "--target"]
        assert home.run("pip", "install", *where, "before", "greeting").returncode == 0
        done(home, source, "--remove")
        assert secret not in config.read_text() + netrc.read_text()
        installed = home.run("pip", "install", *where, "after", "greeting")
        assert installed.returncode == 0, installed


@pytest.mark.gnome_keyring
def test_a_keyring_is_asked_for_what_is_known_and_gives_it_up(home: Home) -> None:
    (home.path / "config.toml").write_text(
        '[services.ours]\nurl = "https://ours.example/simple/"\n'
    )
    home.environment["TOKENWARD_CONFIG"] = str(home.path / "config.toml")
    with gnome_keyring(home.path / "desktop") as session:
        session.join(home.environment)
        for service, user in (
            ("https://upload.pypi.org/legacy/", "__token__"),
            ("ours.example", "alice"),
            ("mail.example", "ana"),
        ):
            secret = TOKEN if user == "__token__" else MARK
            stored = ("secret-tool", "store", "--label", user, "service", service, "username", user)
            assert home.run(*stored, stdin=secret).returncode == 0
        home.done("login", "https://ours.example/b", "-u", "x", "--password", "y")
        found = rows(home, "keyring", "--remove")
        assert [(row["service"], row["username"], row["state"]) for row in found] == [
            ("https://upload.pypi.org/legacy/", "__token__", "stored"),
            ("https://ours.example/", "alice", "stored"),
        ]
        assert all(row["removed"] for row in found)
        assert home.done("token") == f"{TOKEN}\n"
        assert home.done("token", "https://ours.example/simple/") == f"{MARK}\n"
        left = session.items()
        assert sorted(left) == sorted(["ana", *(name for name in left if name != "ana")])
        assert list(left.values()).count(MARK.encode()) == 1, "that of mail.example"


@pytest.mark.gnome_keyring
def test_an_adopted_credential_is_never_taken_out_of_its_keyring(home: Home) -> None:
    (home.path / "config.toml").write_text(f'[services.ours]\nurl = "{URL}"\nusername = "alice"\n')
    home.environment["TOKENWARD_CONFIG"] = str(home.path / "config.toml")
    with gnome_keyring(home.path / "desktop") as session:
        session.join(home.environment)
        stored = ("secret-tool", "store", "--label", "a", "service", URL, "username", "alice")
        assert home.run(*stored, stdin=MARK).returncode == 0
        home.done("login", URL, "-u", "alice", "--adopt")
        (row,) = rows(home, "keyring", "--remove", status=2)
        assert (row["state"], row["removed"]) == ("different", False)
        assert MARK.encode() in session.items().values()
        (row,) = rows(home, "keyring", "--remove", "--replace")
        assert (row["state"], row["removed"]) == ("replaced", True)
        assert MARK.encode() not in session.items().values()
        assert home.done("token", URL) == f"{MARK}\n"


def test_a_user_who_switched_keyrings_off_has_none(home: Home) -> None:
    off = {"PYTHON_KEYRING_BACKEND": "keyring.backends.null.Keyring"}
    result = home.auth("import", "keyring", **off)
    assert result.returncode == 2
    assert "No keyring is installed here except tokenward's own." in result.stderr
