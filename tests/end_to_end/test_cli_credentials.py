"""`auth login`, `logout`, `token`, `list` and `dir` as a script meets them."""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from support.auth_commands import PROGRAMS
from support.inspection.held_texts import paths_below
from support.macaroons import token_of

if TYPE_CHECKING:
    from support.home import Home

URL = "https://h.example/"
PYPI, TESTPYPI = "https://upload.pypi.org/legacy/", "https://test.pypi.org/legacy/"
TOKEN = token_of("pypi.org")
TEST_TOKEN = token_of("test.pypi.org")


def failure(home: Home, *arguments: str, **keywords: Any) -> str:
    """Run a command that has to fail as all do, and return what it says."""
    result = home.auth(*arguments, **keywords)
    assert result.returncode == 2, result
    assert result.stdout == ""
    assert result.stderr.startswith("error: ")
    assert "Traceback" not in result.stderr
    return result.stderr


# The interface that the user asked for.


def test_seed_login_with_an_api_token(home: Home) -> None:
    result = home.auth("login", "pypi", "--token", TOKEN)
    assert result.returncode == 0
    assert result.stdout == ""
    assert "Stored the token for pypi in the file vault." in result.stderr
    assert TOKEN not in result.stderr
    assert home.done("token", "pypi") == f"{TOKEN}\n"


def test_seed_login_is_for_pypi_if_no_service_is_named(home: Home) -> None:
    home.done("login", "--token", TOKEN)
    assert home.done("token") == home.done("token", "pypi") == f"{TOKEN}\n"


def test_seed_login_to_testpypi_and_to_an_index_by_its_url(home: Home) -> None:
    home.done("login", "testpypi", "--token", TEST_TOKEN)
    home.done("login", "https://h.example/simple/", "--token", "private")
    assert home.done("token", "testpypi") == f"{TEST_TOKEN}\n"
    assert home.done("token", "https://h.example/simple/") == "private\n"
    assert home.done("token", URL) == "private\n"


def test_seed_login_with_user_name_and_password(home: Home) -> None:
    home.done("login", URL, "--username", "alice", "--password", "p w ")
    assert home.done("token", URL) == "p w \n"


def test_seed_login_without_a_terminal_reads_the_secret_from_stdin(home: Home) -> None:
    home.done("login", URL, "-u", "alice", "--password", "-", stdin="  s3cret \n\n")
    assert home.done("token", URL) == "s3cret\n"
    home.done("login", URL, "--token", "-", stdin="t0ken\r\n")
    assert home.done("token", URL) == "t0ken\n"


def test_seed_a_wrong_prefix_is_explained(home: Home) -> None:
    said = failure(home, "login", "--token", "ghp_0123456789")
    assert "GitHub" in said
    assert "pypi-" in said
    assert "0123456789" not in said


def test_seed_a_token_for_another_index_is_explained(home: Home) -> None:
    assert "`auth login testpypi`" in failure(home, "login", "pypi", "--token", TEST_TOKEN)
    assert "`auth login pypi`" in failure(home, "login", "testpypi", "--token", TOKEN)
    assert home.done("list") == ""


def test_seed_logout_removes_the_credential_and_says_where_to_revoke_it(home: Home) -> None:
    home.done("login", "--token", TOKEN)
    result = home.auth("logout")
    assert result.returncode == 0
    assert "Removed the token for pypi." in result.stderr
    assert "https://pypi.org/manage/account/token/" in result.stderr
    failure(home, "token")


def test_seed_logout_all_removes_every_service(home: Home) -> None:
    home.done("login", "--token", TOKEN)
    home.done("login", URL, "-u", "alice", "--password", "a")
    assert home.answer("logout", "--all")["count"] == 2
    assert home.done("list") == ""
    told = failure(home, "logout", "--all")
    assert told == "error: Nothing is stored, so nothing was removed.\n"


def test_seed_token_prints_the_secret_alone_or_json(home: Home) -> None:
    home.done("login", "--token", TOKEN, "--lifetime", "1h")
    result = home.auth("token", "pypi", "--format", "text")
    assert (result.stdout, result.stderr) == (f"{TOKEN}\n", "")
    found = home.answer("token", "pypi")
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", found.pop("expires"))
    assert found == {
        "service": PYPI,
        "username": "__token__",
        "token": TOKEN,
        "source": "agent",
        "provider": "disabled",
        "projects": None,
    }


def test_seed_dir_prints_a_private_directory_of_private_files(home: Home) -> None:
    home.done("login", "--token", TOKEN)
    printed = home.done("dir")
    directory = Path(printed.removesuffix("\n"))
    assert directory.is_absolute()
    assert oct(directory.stat().st_mode & 0o777) == "0o700"
    modes = [entry.stat().st_mode & 0o777 for entry in directory.iterdir()]
    assert modes
    assert set(modes) == {0o600}


def test_dir_makes_the_directory_so_that_it_can_be_listed(home: Home) -> None:
    directory = Path(home.done("dir").removesuffix("\n"))
    assert oct(directory.stat().st_mode & 0o777) == "0o700"
    assert home.agent_pid() is None


@pytest.mark.parametrize(
    ("variables", "username", "variable"),
    [
        ({"UV_PUBLISH_TOKEN": TOKEN}, "__token__", "UV_PUBLISH_TOKEN"),
        ({"UV_INDEX_TOKEN_PYPI": TOKEN}, "__token__", "UV_INDEX_TOKEN_PYPI"),
        (
            {"UV_PUBLISH_USERNAME": "alice", "UV_PUBLISH_PASSWORD": TOKEN},
            "alice",
            "UV_PUBLISH_PASSWORD",
        ),
    ],
)
def test_seed_the_environment_answers_before_the_agent(
    home: Home, variables: dict[str, str], username: str, variable: str
) -> None:
    home.done("login", "--token", token_of("pypi.org", "another"))
    found = home.answer("token", **variables)
    assert (found["token"], found["username"]) == (TOKEN, username)
    assert (found["source"], found["variable"]) == ("environment", variable)
    assert home.done("token", **variables) == f"{TOKEN}\n"
    assert variable in home.auth("token", "-v", **variables).stderr
    assert home.auth("token", "testpypi", **variables).returncode == 2


def test_seed_a_publish_url_binds_the_publish_variables(home: Home) -> None:
    variables = {"UV_PUBLISH_TOKEN": "private", "UV_PUBLISH_URL": URL}
    assert home.done("token", URL, **variables) == "private\n"
    failure(home, "token", "pypi", **variables)


def test_seed_pypirc_answers_last(home: Home) -> None:
    (home.path / ".pypirc").write_text(
        "[distutils]\nindex-servers = corp\n"
        f"[corp]\nrepository = {URL}\nusername = alice\npassword = from-file\n"
    )
    found = home.answer("token", "corp")
    assert (found["token"], found["source"]) == ("from-file", "pypirc")
    assert found["file"] == str(home.path / ".pypirc")
    home.done("login", "corp", "--password", "from-agent")
    assert home.done("token", "corp") == "from-agent\n"


def test_seed_several_indexes_each_have_their_own(home: Home) -> None:
    for service, secret in (("pypi", TOKEN), ("testpypi", TEST_TOKEN), (URL, "private")):
        home.done("login", service, "--token", secret)
    for service, secret in (("pypi", TOKEN), ("testpypi", TEST_TOKEN), (URL, "private")):
        assert home.done("token", service) == f"{secret}\n"


def test_seed_what_is_stored_can_be_audited_without_showing_it(home: Home) -> None:
    home.done("login", "--token", TOKEN, "--lifetime", "8h")
    table = home.done("list")
    assert table.splitlines()[0].split("  ")[0] == "INDEX"
    assert re.search(
        r"^pypi +token +token +never +in [78] hours$",
        table,
        re.MULTILINE,
    )
    assert TOKEN not in table
    (entry,) = home.answer("list")["credentials"]
    assert entry["service"] == PYPI
    assert TOKEN not in json.dumps(entry)


def test_seed_turning_the_keyring_off_for_a_while(home: Home) -> None:
    home.done("login", "--token", TOKEN, "--keyring-provider", "disabled")
    assert home.done("token", "--keyring-provider", "disabled") == f"{TOKEN}\n"
    home.done("login", URL, "--token", "x", UV_KEYRING_PROVIDER="disabled")
    assert {e["provider"] for e in home.answer("list")["credentials"]} == {"disabled"}


def test_seed_logging_in_again_replaces_the_credential(home: Home) -> None:
    home.done("login", "--token", TOKEN)
    again = token_of("pypi.org", "another")
    result = home.auth("login", "--token", again)
    assert "Replaced the token for pypi" in result.stderr
    assert home.done("token") == f"{again}\n"


# What a script must be able to rely on.


def test_a_name_with_two_urls_is_stored_and_removed_under_both(home: Home) -> None:
    folder = home.path / ".config" / "tokenward"
    folder.mkdir()
    (folder / "config.toml").write_text(
        '[services.corp]\nurl = "https://h.example/a/simple/"\n'
        'publish-url = "https://up.example/legacy/"\n'
    )
    keys = ["https://h.example/a/", "https://up.example/legacy/"]
    assert [s["service"] for s in home.answer("login", "corp", "--token", "t")["stored"]] == keys
    assert home.done("token", "https://up.example/legacy/") == "t\n"
    assert [r["service"] for r in home.answer("logout", "corp")["removed"]] == keys
    failure(home, "logout", "corp")


def test_several_accounts_are_listed_and_never_guessed(home: Home) -> None:
    for name in ("alice", "bob"):
        home.done("login", URL, "-u", name, "--password", name)
    for command in ("token", "logout"):
        said = failure(home, command, URL)
        assert "alice and bob" in said
        assert "`--username`" in said
    assert home.done("token", URL, "-u", "bob") == "bob\n"
    assert home.done("token", "https://alice@h.example") == "alice\n"


def test_logout_takes_the_very_service_and_not_one_above_it(home: Home) -> None:
    home.done("login", URL, "--token", "t")
    assert home.done("token", f"{URL}deeper/") == "t\n"
    assert "No credential is stored for https://h.example/deeper/." in failure(
        home, "logout", f"{URL}deeper/"
    )


def test_logout_of_all_accounts_of_a_service(home: Home) -> None:
    for name in ("alice", "bob"):
        home.done("login", URL, "-u", name, "--password", name)
    home.done("login", "--token", TOKEN)
    assert home.answer("logout", URL, "--all")["count"] == 2
    assert home.done("token") == f"{TOKEN}\n"
    assert "exclude" in failure(home, "logout", URL, "--all", "-u", "alice")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("login", URL), "no terminal to ask"),
        (("login", URL, "-u", "alice"), "`--password -`"),
        (("login", URL, "--password", "s3cret"), "no user name"),
        (("login", URL, "--token", "s3cret", "-u", "alice"), "exclude each other"),
        (("login", "https://alice:s3cret@h.example", "--token", "s3cret"), "in the URL"),
        (("login", "https://alice@h.example", "-u", "alice", "--password", "s3cret"), "both"),
        (("login", "http://h.example", "--token", "s3cret"), "unencrypted"),
        (("login", "nowhere", "--token", "s3cret"), "No index is known as nowhere"),
        (("login", "", "--token", "s3cret"), "is empty"),
        (("login", URL, "--adopt"), "needs the user name"),
        (("login", URL, "--adopt", "--token", "s3cret"), "takes no secret"),
        (("token", "https://alice:s3cret@h.example"), "No credential of alice"),
    ],
)
def test_a_wrong_command_line_stores_nothing_and_shows_no_secret(
    home: Home, arguments: tuple[str, ...], said: str
) -> None:
    told = failure(home, *arguments)
    assert said in told
    assert "s3cret" not in told
    assert not list(paths_below(home.path, "*.vault"))


def test_the_password_may_stand_in_the_url_and_goes_no_further(home: Home) -> None:
    result = home.auth("login", "https://al%40h:s%2Fcret@h.example/x", "-v")
    assert "s/cret" not in result.stderr
    assert "s%2Fcret" not in result.stderr
    assert home.done("token", "h.example/x", "-u", "al@h") == "s/cret\n"


def test_a_lifetime_is_said_and_listed(home: Home) -> None:
    result = home.auth("login", URL, "--token", "t", "--lifetime", "7d")
    assert "It will be deleted in 7 days." in result.stderr


def test_unicode_is_kept_in_everything(home: Home) -> None:
    home.done("login", "https://bücher.example/weiß", "-u", "Jürgen 日本", "--password", "pä§ß 🔑")
    assert home.done("token", "https://xn--bcher-kva.example/wei%C3%9F") == "pä§ß 🔑\n"
    assert "Jürgen 日本" in home.done("list")
    found = home.answer("token", "xn--bcher-kva.example/wei%C3%9F", LC_ALL="C", PYTHONUTF8="0")
    assert (found["username"], found["token"]) == ("Jürgen 日本", "pä§ß 🔑")


def test_a_token_of_5000_characters_is_kept_whole(home: Home) -> None:
    token = "t0ken" * 1000
    home.done("login", URL, "--token", "-", stdin=token)
    assert home.done("token", URL) == f"{token}\n"


def test_control_characters_do_not_reach_the_terminal(home: Home) -> None:
    home.done("login", URL, "-u", "a\x1b[31mb\u202e", "--password", "x")
    assert r"a\x1b[31mb\u202e" in home.done("list")
    assert "\x1b" not in home.auth("logout", URL).stderr


def test_quiet_silences_what_was_done_and_never_data_or_errors(home: Home) -> None:
    assert home.auth("login", URL, "--token", "t", "-q").stderr == ""
    assert home.done("-q", "token", URL) == "t\n"
    assert home.done("list", "-q").count("\n") == 2
    failure(home, "-q", "logout", "testpypi")


# Output that nobody reads.


@pytest.mark.parametrize("command", ["list", "token h.example -v", "status", "--help", "dir"])
def test_a_reader_that_goes_away_is_no_accident(home: Home, command: str) -> None:
    home.done("login", URL, "--token", "t" * 5000)
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "wb") as gone:
        result = subprocess.run(
            [PROGRAMS / "auth", *command.split()],
            stdout=gone,
            stderr=subprocess.PIPE,
            env=home.environment,
            text=True,
            check=False,
        )
    assert result.returncode == 2
    assert "error" not in result.stderr.lower()
    assert "Traceback" not in result.stderr


def test_a_full_disk_and_a_closed_stdout_are_said(home: Home) -> None:
    home.done("login", URL, "--token", "t")
    auth = PROGRAMS / "auth"
    full = home.run("/bin/sh", "-c", f"{auth} token {URL} > /dev/full")
    assert (full.returncode, "No space left" in full.stderr) == (2, True)
    closed = home.run("/bin/sh", "-c", f"{auth} token {URL} >&-")
    assert (closed.returncode, "is closed" in closed.stderr) == (2, True)
    assert home.run("/bin/sh", "-c", f"{auth} token {URL} 2>&-").stdout == "t\n"
