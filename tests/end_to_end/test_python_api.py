"""`tokenward.get` in a program of its own, with a real agent."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from support.macaroons import caveats_of, token_of

if TYPE_CHECKING:
    from support.home import Home

URL = "https://h.example/"
PROGRAM = """\
import json, sys, tokenward
from tokenward.errors import CommandError
try:
    found = tokenward.get(*json.loads(sys.argv[1]))
except CommandError as failed:
    answer = [str(failed), failed.hint]
else:
    answer = found and {"username": found.username, "secret": found.secret, "repr": repr(found)}
print(json.dumps(answer))
"""


def get(home: Home, *arguments: object, **variables: str) -> Any:
    """Return what `tokenward.get` returned, or sentence and hint of what it raised."""
    command = (sys.executable, "-I", "-c", PROGRAM, json.dumps(arguments))
    result = home.run(*command, **variables)
    assert (result.returncode, result.stderr) == (0, "")
    return json.loads(result.stdout)


def secret(home: Home, *arguments: str | None, **variables: str) -> str:
    found = get(home, *arguments, **variables)["secret"]
    assert isinstance(found, str)
    return found


def test_it_starts_the_agent_and_answers_none_where_nothing_is_stored(home: Home) -> None:
    assert get(home, "pypi") is None
    assert home.agent_pid() is not None


def test_it_returns_user_name_and_secret_and_shows_no_secret(home: Home) -> None:
    home.done("login", URL, "-u", "alice", "--password", "pässwörd")
    found = get(home, "https://h.example/team/simple/")
    assert (found["username"], found["secret"]) == ("alice", "pässwörd")
    assert found["repr"] == "Credential(username='alice')"
    assert get(home, URL, "bob") is None
    home.done("agent", "restart")
    assert secret(home, "https://alice@h.example") == "pässwörd"


def test_it_says_when_the_credential_ends(home: Home) -> None:
    home.done("login", URL, "--token", "t", "--lifetime", "1h")
    program = f"import tokenward; print(tokenward.get({URL!r}).expires)"
    result = home.run(sys.executable, "-I", "-c", program)
    assert 0 < int(result.stdout) - time.time() <= 3601


def test_the_environment_goes_first_and_pypirc_last(home: Home) -> None:
    token = token_of("pypi.org")
    (home.path / ".pypirc").write_text("[pypi]\nusername = __token__\npassword = from-the-file\n")
    assert secret(home, "pypi") == "from-the-file"
    home.done("login", "--token", token)
    assert caveats_of(secret(home, "pypi"))  # a child of the token
    assert secret(home, "pypi", UV_PUBLISH_TOKEN="from-a-variable") == "from-a-variable"


def test_the_user_name_that_a_name_comes_with_settles_which_account_is_meant(home: Home) -> None:
    home.done("login", URL, "-u", "alice", "--password", "hers")
    home.done("login", URL, "-u", "bob", "--password", "his")
    settings = Path(home.environment["XDG_CONFIG_HOME"]) / "tokenward" / "config.toml"
    settings.parent.mkdir()
    settings.write_text(f'[services.corp]\nurl = "{URL}"\nusername = "bob"\n')
    assert secret(home, "corp") == "his" == home.done("token", "corp").rstrip()
    assert secret(home, "corp", "alice") == "hers"
    assert get(home, URL) == [
        "Several accounts are stored for https://h.example/: alice and bob.",
        "pass one as `username`",
    ]


def test_what_is_locked_is_an_error_and_not_none(home: Home) -> None:
    home.done("login", URL, "--token", "t")
    home.done("lock")
    message, hint = get(home, URL)
    assert "not open" in message
    assert hint == "`auth unlock`"


def test_a_passphrase_that_the_environment_leads_to_opens_the_vault(home: Home) -> None:
    file = home.path / "phrase"
    file.touch(0o600)
    file.write_text("phrase\n")
    given = {"TOKENWARD_PASSPHRASE_FILE": str(file)}
    home.done("login", URL, "--token", "t", **given)
    home.done("agent", "restart")
    assert "not open" in get(home, URL)[0]
    assert secret(home, URL, **given) == "t"
    assert secret(home, URL) == "t"


def test_what_is_no_service_is_said_in_a_sentence(home: Home) -> None:
    assert get(home, "http://h.example/")[0].endswith(" would send its credential unencrypted.")
    assert get(home, "nowhere")[0] == "No index is known as nowhere."


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("pypi", None, None, "20d"), "`ttl` must be a number of whole seconds above zero."),
        (("pypi", None, None, 900.5), "`ttl` must be a number of whole seconds above zero."),
        (("pypi", None, None, True), "`ttl` must be a number of whole seconds above zero."),
        (("pypi", None, None, -60), "`ttl` must be a number of whole seconds above zero."),
        (("pypi", None, None, 10**30), "An attenuated token lives for at most 366 days"),
        (("pypi", None, None, 59), "An attenuated token must live for at least a minute."),
        (("pypi", None, ["mine"]), "`project` must be text, not a list."),
        (("pypi", None, "\ud800"), "`project` is not valid Unicode."),
        (("pypi", 7), "`username` must be text, not a int."),
        ((None,), "`url` must be text, not a NoneType."),
    ],
)
def test_what_no_command_line_could_say_is_said_in_a_sentence(
    home: Home, arguments: tuple[object, ...], said: str
) -> None:
    assert get(home, *arguments)[0].startswith(said)
