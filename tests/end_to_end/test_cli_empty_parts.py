"""An index that wants a token alone, as user name or as password: the other part is empty."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

import pytest

from support.auth_commands import PROGRAMS
from support.inspection.held_texts import paths_below
from support.terminal import Typist

if TYPE_CHECKING:
    from support.home import Home

URL = "https://index.example/"


def test_a_token_as_password_alone_has_no_user_name(home: Home) -> None:
    told = home.said("login", URL, "--no-username", "--password", "-", stdin="pat\n")
    assert "Stored the password without a user name for https://index.example/" in told
    home.log_in(URL, "other")
    assert "one without a user name" in home.refused("token", URL)
    assert "`--no-username`" in home.refused("token", URL)
    for words in ((URL, "--no-username"), ("https://:anything@index.example/",)):
        assert home.answer("token", *words)["username"] == ""
        assert home.done("token", *words) == "pat\n"
    assert home.done("token", URL, "-u", "alice") == "other\n"
    assert "without a user name" in home.said("logout", URL, "--no-username")
    assert "No credential without a user name" in home.refused("logout", URL, "--no-username")
    assert home.done("token", URL) == "other\n"


def test_a_token_as_user_name_alone_has_no_password(home: Home) -> None:
    home.done("login", URL, "-u", "pat", "--no-password")
    found = home.answer("token", URL)
    assert (found["username"], found["token"]) == ("pat", "")
    home.done("login", "https://pat2@index.example/", "--no-password")
    assert home.answer("token", URL, "-u", "pat2")["token"] == ""


def test_a_url_with_a_password_alone_says_that_there_is_no_user_name(home: Home) -> None:
    home.done("login", "https://:p%40t@index.example/simple/")
    found = home.answer("token", URL)
    assert (found["username"], found["token"]) == ("", "p@t")
    home.done("login", "https://:pw@index.example/", "-u", "alice")
    assert home.done("token", URL, "-u", "alice") == "pw\n"


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (("-u", "", "--password", "x"), "`--username` is empty; use `--no-user"),
        (("-u", "a", "--password", ""), "`--password` is empty; use `--no-pass"),
        (("--token", ""), "`--token` is empty."),
        (("-u", "a", "--no-username", "--password", "x"), "beside a user name"),
        (("-u", "a", "--password", "x", "--no-password"), "beside a password"),
        (("--no-username", "--no-password"), "beside a password or"),
        (("--token", "x", "--no-username"), "exclude each other"),
        (("--token", "x", "--no-password"), "exclude each other"),
        (("--no-password",), "no user name"),
        (("--no-username",), "No password is given"),
    ],
)
def test_an_empty_argument_stays_an_error(home: Home, words: tuple[str, ...], reason: str) -> None:
    assert reason in home.refused("login", URL, *words)
    assert not list(paths_below(home.path, "*.vault"))


def test_a_logout_by_an_empty_user_name_names_the_option(home: Home) -> None:
    assert "`--no-username`" in home.refused("logout", URL, "-u", "")
    assert "exclude each other" in home.refused("logout", "--all", "--no-username")


def test_on_a_terminal_an_empty_user_name_asks_for_the_password(home: Home) -> None:
    person = Typist(home, "login", "--no-check", URL, "--no-username").answers(
        "Password for https://", "pat"
    )
    person.answers("New passphrase", "").leaves(0)
    assert home.answer("token", URL)["username"] == ""


@pytest.mark.parametrize(
    ("words", "question", "is_told"),
    [
        (("pypi",), "API token for pypi (not shown):", False),
        ((URL, "--no-username"), f"Password for {URL} (not shown):", False),
        ((URL, "-u", "alice"), f"Password of alice for {URL} (not shown):", True),
    ],
)
def test_an_empty_answer_is_told_of_the_option_where_that_is_one(
    home: Home, words: tuple[str, ...], question: str, *, is_told: bool
) -> None:
    said = Typist(home, "login", "--no-check", *words).answers(question, "").leaves(2)
    assert "Nothing was typed, so nothing was stored." in said
    assert ("--no-password" in said) == is_told


def test_import_takes_from_pip_what_has_one_part_alone(home: Home) -> None:
    token = "ghx1a2b3c4d5e6f7g8h9"
    file = home.path / "pip.conf"
    file.write_text(
        "[global]\nindex-url = https://:pat@a.example/simple\nextra-index-url =\n"
        f"    https://{token}@b.example/simple\n    https://{token}:@c.example/simple\n"
        "    https://alice@d.example/simple\n"
    )
    environment = {"PIP_CONFIG_FILE": str(file)}
    doctor = json.loads(home.auth("doctor", "--format", "json", **environment).stdout)
    (finding,) = [each for each in doctor["findings"] if str(file) in each["message"]]
    assert all(f"https://{host}.example" in finding["message"] for host in "abc")
    assert "d.example" not in finding["message"]
    home.done("import", "pip", "--remove", **environment)
    assert home.answer("token", "https://a.example")["username"] == ""
    for host in ("b", "c"):
        found = home.answer("token", f"https://{host}.example")
        assert (found["username"], found["token"]) == (token, "")
    assert "pat@" not in file.read_text()
    assert token not in file.read_text()
    assert "https://alice@d.example/simple" in file.read_text()


def test_the_keyrings_set_takes_an_empty_part_as_it_is(home: Home) -> None:
    code = (
        "import sys; from tokenward.keyring_backend import Keyring; k = Keyring();"
        "k.set_password('https://index.example/', '', 'pat');"
        "k.set_password('https://index.example/b/', 'token', '');"
        "print(k.get_password('https://index.example/', ''),"
        " repr(k.get_password('https://index.example/b/', 'token')))"
    )
    assert home.run(sys.executable, "-c", code).stdout == "pat ''\n"


def test_git_stores_a_token_that_is_a_user_name(home: Home) -> None:
    said = "protocol=https\nhost=git.example\nusername=pat\npassword=\n\n"
    assert home.run(PROGRAMS / "git-credential-tokenward", "store", stdin=said).returncode == 0
    said = "protocol=https\nhost=git.example\n\n"
    found = home.run(PROGRAMS / "git-credential-tokenward", "get", stdin=said)
    assert found.stdout == "username=pat\npassword=\n"
