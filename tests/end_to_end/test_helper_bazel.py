"""`auth helper`, by the protocol that Bazel and uv speak."""

from __future__ import annotations

import base64
import json
import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from support.terminal import Typist

if TYPE_CHECKING:
    from subprocess import CompletedProcess

    from support.home import Home

TEAM = "https://h.example/team"
CTRL_D = "\x04"
MISS: dict[str, Any] = {"headers": {}}


def ask(home: Home, stdin: str, **variables: str) -> CompletedProcess[str]:
    return home.auth("helper", "--protocol=bazel", "get", stdin=stdin, **variables)


def answer(home: Home, uri: str, **variables: str) -> Any:
    result = ask(home, json.dumps({"uri": uri}), **variables)
    assert (result.returncode, result.stderr) == (0, "")
    return json.loads(result.stdout)


def basic(both: str) -> dict[str, Any]:
    return {"headers": {"Authorization": [f"Basic {base64.b64encode(both.encode()).decode()}"]}}


def test_it_answers_for_the_url_and_what_lies_below(home: Home) -> None:
    home.log_in(TEAM, "pässword")
    assert answer(home, "https://h.example/team/a-1.tar.gz?x=1") == basic("alice:pässword")
    assert answer(home, "https://h.example/other") == MISS
    assert answer(home, "https://h.example:8443/team/") == MISS


def test_a_token_has_its_usual_user_name(home: Home) -> None:
    home.done("login", "https://h.example", "--token", "t")
    assert answer(home, "https://h.example/") == basic("__token__:t")


def test_the_user_name_in_the_uri_says_whose_and_a_password_there_says_nothing(home: Home) -> None:
    home.log_in(TEAM, "pässword")
    assert answer(home, "https://alice:other@h.example/team/") == basic("alice:pässword")
    assert answer(home, "https://bob@h.example/team/") == MISS


@pytest.mark.parametrize(
    "uri", ["http://h.example/team/", "file:///etc/passwd", "s3://h.example/team/", "https://[/"]
)
def test_what_can_have_no_credential_is_a_miss(home: Home, uri: str) -> None:
    home.log_in(TEAM, "pässword")
    assert answer(home, uri) == MISS


def test_an_end_is_said_so_that_the_tool_can_keep_it_until_then(home: Home) -> None:
    home.log_in(TEAM, "pässword", "--lifetime", "1h")
    expires = answer(home, "https://h.example/team/")["expires"]
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", expires)
    left = datetime.fromisoformat(expires) - datetime.now(UTC)
    assert 0 < left.total_seconds() <= 3600


def test_the_environment_goes_first_and_pypirc_last(home: Home) -> None:
    (home.path / ".pypirc").write_text(
        "[distutils]\nindex-servers = c\n"
        "[c]\nrepository = https://h.example/team/\nusername = carol\npassword = c\n"
    )
    assert answer(home, "https://h.example/team/") == basic("carol:c")
    home.log_in(TEAM, "pässword")
    given = {"UV_PUBLISH_URL": "https://h.example/team/", "UV_PUBLISH_TOKEN": "e"}
    assert answer(home, "https://h.example/team/") == basic("alice:pässword")
    assert answer(home, "https://h.example/team/", **given) == basic("__token__:e")


@pytest.mark.parametrize(
    ("stdin", "said"),
    [
        ("", "not a JSON object"),
        ("[" * 100_000, "not a JSON object"),
        ('["https://h.example/"]', "not a JSON object"),
        ("{}", "The `uri` of the request is not text"),
        ('{"uri": 1}', "The `uri` of the request is not text"),
        ('{"uri": "h.example/team"}', "not absolute"),
        ('{"uri": "' + "x" * 300_000, "more than 262144 bytes"),
    ],
)
def test_what_is_no_request_is_an_error(home: Home, stdin: str, said: str) -> None:
    result = ask(home, stdin)
    assert (result.returncode, result.stdout) == (2, "")
    assert said in result.stderr


def test_several_accounts_are_an_error_that_says_how_to_choose(home: Home) -> None:
    home.log_in(TEAM, "pässword")
    home.log_in(TEAM, "pässword", username="bob")
    result = ask(home, '{"uri": "https://h.example/team/"}')
    assert (result.returncode, result.stdout) == (2, "")
    assert "alice and bob" in result.stderr
    assert "hint: write the user name into the URI" in result.stderr


def test_a_user_name_with_a_colon_is_an_error(home: Home) -> None:
    home.log_in(TEAM, "pässword", username="a:b")
    result = ask(home, '{"uri": "https://h.example/team/"}')
    assert (result.returncode, result.stdout) == (2, "")
    assert "colon" in result.stderr


def test_a_closed_vault_is_opened_by_the_environment_and_nobody_is_asked(home: Home) -> None:
    phrase = home.path / "phrase"
    phrase.touch(0o600)
    phrase.write_text("phrase\n")
    given = {"TOKENWARD_PASSPHRASE_FILE": str(phrase)}
    home.done("login", "https://h.example", "--token", "t", **given)
    home.done("agent", "restart")
    person = Typist(home, "helper", "--protocol", "bazel", "get")
    person.types(f'{{"uri": "https://h.example/"}}\r{CTRL_D}')
    shown = person.leaves(2)
    assert "Passphrase" not in shown
    assert "hint: `auth unlock`" in shown
    assert answer(home, "https://h.example/", **given) == basic("__token__:t")


def test_a_locked_vault_is_an_error_and_no_miss(home: Home) -> None:
    home.log_in(TEAM, "pässword")
    home.done("lock")
    result = ask(home, '{"uri": "https://h.example/team/"}')
    assert (result.returncode, result.stdout) == (2, "")
    assert "hint: `auth unlock`" in result.stderr


@pytest.mark.parametrize("gone", [False, True])
def test_what_was_never_stored_is_a_miss_or_in_pypirc_whatever_a_vault_is(
    home: Home, *, gone: bool
) -> None:
    home.log_in(TEAM, "pässword")
    home.done("lock")
    variables = {"TOKENWARD_SOCK": str(home.path / "gone.sock")} if gone else {}
    assert answer(home, "https://never.example/", **variables) == MISS
    (home.path / ".pypirc").write_text(
        "[distutils]\nindex-servers = c\n"
        "[c]\nrepository = https://never.example/\nusername = carol\npassword = c\n"
    )
    assert answer(home, "https://never.example/", **variables) == basic("carol:c")
    shown = home.run(
        *(
            "auth",
            "exec",
            "--env",
            "--index",
            "https://never.example/",
            "--",
            "printenv",
            "TWINE_PASSWORD",
        ),
        **variables,
    )
    assert shown.stdout == "c\n", shown.stderr
    assert "auth unlock" in ask(home, '{"uri": "https://h.example/team/"}').stderr
