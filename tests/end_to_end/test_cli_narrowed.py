"""Narrowed tokens as a person and a script meet them: made, described, sealed, and left in place."""

from __future__ import annotations

import base64
import json
import re
import sys
import time
from typing import TYPE_CHECKING

import pytest

from support.auth_commands import PROGRAMS
from support.macaroons import IDENTIFIER, caveats_of, token_of

if TYPE_CHECKING:
    from support.home import Home

URL, PYPI = "https://index.example/", "https://upload.pypi.org/legacy/"
TOKEN = token_of("pypi.org", IDENTIFIER, '[3,"a user"]')
BOUND = token_of("test.pypi.org", "bound", '[1,["one","two"]]', "[0,4000000000,0]")


def child(text: str) -> list[str]:
    """Return what a child says beyond its parent, which is TOKEN."""
    found = caveats_of(text.strip())
    assert found is not None
    assert found[0] == '[3,"a user"]'
    return found[1:]


def failure(home: Home, *arguments: str, stdin: str = "") -> str:
    result = home.auth(*arguments, stdin=stdin)
    assert (result.returncode, result.stdout) == (2, "")
    assert TOKEN[:40] not in result.stderr
    return result.stderr


def test_token_prints_the_whole_where_nothing_else_is_asked_for(home: Home) -> None:
    home.done("login", "--token", TOKEN)
    assert home.done("token") == f"{TOKEN}\n"
    assert home.done("token", "-v") == f"{TOKEN}\n"
    assert home.answer("token")["expires"] is None


def test_token_prints_a_child_for_a_project_and_a_time(home: Home) -> None:
    home.done("login", "--token", TOKEN)
    expiry, projects = child(home.done("token", "--project", "My_Pkg", "--ttl", "15m"))
    assert projects == '[1,["my-pkg"]]'
    assert 890 < json.loads(expiry)[1] - time.time() < 901
    found = home.answer("token", "--project", "b", "--project", "A")
    assert found["projects"] == ["b", "a"]
    assert child(found["token"])[1] == '[1,["b","a"]]'


def test_tools_get_children_whatever_way_they_ask(home: Home) -> None:
    home.done("login", "--token", TOKEN)
    program = "import tokenward; print(tokenward.get('pypi').secret)"
    for command in (
        [sys.executable, "-I", "-c", program],
        [PROGRAMS / "keyring", "get", "https://upload.pypi.org/legacy/", "__token__"],
        [PROGRAMS / "auth", "exec", "--env", "--", "sh", "-c", "echo $TWINE_PASSWORD"],
    ):
        result = home.run(*command)
        (expiry,) = child(result.stdout)
        assert 3500 < json.loads(expiry)[1] - time.time() < 3601


@pytest.mark.parametrize(
    ("helper", "asked", "kept"),
    [
        (("auth", "helper", "--protocol=bazel", "get"), f'{{"uri": "{PYPI}"}}', 'Basic ([^"]+)'),
        (
            ("git-credential-tokenward", "get"),
            "protocol=https\nhost=upload.pypi.org\n",
            "password=(.*)",
        ),
        (("docker-credential-tokenward", "get"), PYPI, '"Secret": ?"([^"]+)'),
    ],
    ids=["bazel", "git", "docker"],
)
def test_helpers_hand_out_children_too(
    home: Home, helper: tuple[str, ...], asked: str, kept: str
) -> None:
    home.done("login", "--token", TOKEN)
    result = home.run(PROGRAMS / helper[0], *helper[1:], stdin=asked)
    found = re.search(kept, result.stdout)
    assert found is not None, result
    secret = found[1]
    if "helper" in helper:
        secret = base64.b64decode(secret).decode().partition(":")[2]
    assert len(child(secret)) == 1


def test_an_end_that_comes_before_the_one_asked_for_is_said(home: Home) -> None:
    home.done("login", "--token", TOKEN)
    config = home.path / ".config/tokenward/config.toml"
    config.parent.mkdir(exist_ok=True)
    config.write_text('[[policy]]\nservice = "pypi"\ndecide = "allow"\nttl = "15m"\n')
    for command in (("token",), ("exec", "--env")):
        rest = ("--", "true") if command[0] == "exec" else ()
        told = home.auth(*command, "--ttl", "8h", *rest).stderr
        # A machine that is busy looks at its clock a second later.
        assert re.sub("in 14 minutes", "in 15 minutes", told) == (
            "warning: The token for pypi expires in 15 minutes, earlier than requested:"
            " the stored token, a share or your policy allows no more.\n"
        )
        assert home.auth(*command, "--ttl", "15m", *rest).stderr == ""
    assert home.auth("exec", "--env", "--", "true").stderr == ""


def test_a_program_narrows_what_it_asks_for(home: Home) -> None:
    home.done("login", "--token", TOKEN)
    program = (
        "import tokenward; found = tokenward.get('pypi', project='P', ttl=60);"
        " print(found.secret, found.expires)"
    )
    secret, end = home.run(sys.executable, "-I", "-c", program).stdout.split()
    assert child(secret) == [f"[0,{end},0]", '[1,["p"]]']
    variables = home.run(
        *(PROGRAMS / "auth", "exec", "--env", "--project", "p", "--ttl", "2h", "--"),
        *("sh", "-c", "echo $UV_PUBLISH_TOKEN"),
    )
    assert child(variables.stdout)[1] == '[1,["p"]]'


def test_a_variable_and_pypirc_are_narrowed_where_that_is_asked_for(home: Home) -> None:
    result = home.auth("token", "--project", "p", UV_PUBLISH_TOKEN=TOKEN)
    assert child(result.stdout)[1] == '[1,["p"]]'
    (home.path / ".pypirc").write_text(f"[pypi]\nusername = __token__\npassword = {TOKEN}\n")
    assert child(home.done("token", "--ttl", "1h"))
    assert home.done("token") == f"{TOKEN}\n"
    result = home.auth("token", "--project", "p", UV_PUBLISH_TOKEN="another kind")
    assert "cannot be attenuated" in result.stderr


def test_what_cannot_be_narrowed_is_an_error_where_that_is_asked_for(home: Home) -> None:
    home.done("login", URL, "-u", "ana", "--password", "s3cret")
    assert "cannot be attenuated" in failure(home, "token", URL, "--project", "p")
    assert home.done("token", URL) == "s3cret\n"
    home.done("login", "testpypi", "--token", BOUND)
    said = failure(home, "token", "testpypi", "--project", "three")
    assert "is for `one` and `two` alone, and not for `three`" in said


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--project", "a b"), "A project's name"),
        (("--project", ""), "A project's name"),
        (("--ttl", "59s"), "at least a minute"),
        (("--ttl", "36500d"), "lives for at most 366 days"),
        (("--ttl", "5"), "`--ttl` is not a length of time"),
        (("--describe", "--ttl", "5m"), "takes no `--ttl`"),
    ],
    ids=str,
)
def test_a_wish_that_cannot_be_meant_is_an_error(
    home: Home, options: tuple[str, ...], said: str
) -> None:
    home.done("login", "--token", TOKEN)
    assert said in failure(home, "token", *options)


def test_a_sealed_token_is_used_and_never_shown(home: Home) -> None:
    result = home.auth("login", "--sealed", "--token", "-", stdin=f"{TOKEN}\n")
    assert "Stored the token for pypi in the file vault, sealed." in result.stderr
    for ask in (("token",), ("token", "-v"), ("token", "--format", "json")):
        assert "is sealed: it is never handed out itself" in failure(home, *ask)
    assert child(home.done("token", "--ttl", "5m"))
    assert child(home.done("token", "--ttl", "24h"))
    for longer in "25h", "366d":
        assert "lives for one day at most" in failure(home, "token", "--ttl", longer)
        assert "lives for one day at most" in failure(
            home, "token", "--project", "p", "--ttl", longer
        )
    assert home.answer("list")["credentials"][0]["sealed"] is True
    home.done("agent", "restart")
    assert "is sealed" in failure(home, "token")


def test_what_is_hinted_at_where_a_token_is_sealed_is_not_refused_in_turn(home: Home) -> None:
    home.done("login", "--sealed", "--token", "-", stdin=f"{TOKEN}\n")
    for asked in "36500d", "366d", "25h":
        hint = failure(home, "token", "--ttl", asked).rpartition("hint: `--ttl ")[2]
        assert home.auth("token", "--ttl", hint.split("`")[0]).returncode == 0
    assert "hint: leave `--whole` out" in failure(home, "share", "--service", "pypi", "--whole")
    home.done("share", "--service", "pypi")


def test_a_login_says_that_a_sealed_password_is_for_relays_alone(home: Home) -> None:
    words = ("login", URL, "-u", "ana", "--password", "-", "--sealed")
    said = home.said(*words, stdin="s3cret\n")
    assert "in the file vault, sealed." in said
    assert "commands behind a relay alone use it (`auth exec --relay -- CMD`)" in said
    assert home.answer("list")["credentials"][0]["sealed"] is True


def test_a_tool_that_saves_what_it_got_replaces_nothing(home: Home) -> None:
    home.done("login", "--token", TOKEN)
    narrower = home.done("token", "--project", "p")
    result = home.auth("login", "--token", "-", stdin=narrower)
    assert "This is an attenuated form of the token for pypi, which is stored" in result.stderr
    keyring = (PROGRAMS / "keyring", "set", "https://upload.pypi.org/legacy/", "__token__")
    assert home.run(*keyring, stdin=narrower).returncode == 0
    assert home.done("token") == f"{TOKEN}\n"


def test_a_description_says_what_is_visible_and_shows_nothing_to_use(home: Home) -> None:
    home.done("login", "testpypi", "--token", BOUND)
    table = home.done("token", "testpypi", "--describe")
    assert "made by               test.pypi.org\n" in table
    assert "good for              one and two\n" in table
    assert "(2096-10-02T07:06:40Z)\n" in table
    found = home.answer("token", "testpypi", "--describe")
    assert found["token"]["projects"] == ["one", "two"]
    assert found["token"]["expires"] == "2096-10-02T07:06:40Z"
    for shown in (table, json.dumps(found)):
        assert BOUND[20:40] not in shown
        assert "bound" not in shown


def test_what_a_variable_holds_is_described_likewise(home: Home) -> None:
    result = home.auth("token", "--describe", UV_PUBLISH_TOKEN=TOKEN)
    assert "good for              every project\n" in result.stdout
    result = home.auth("token", "--describe", UV_PUBLISH_TOKEN="another kind")
    assert "not a token of PyPI, TestPyPI or devpi" in result.stdout
    assert "No credential for pypi is stored." in failure(home, "token", "--describe")


def test_a_login_says_what_it_replaces_and_never_replaces_by_what_has_expired(home: Home) -> None:
    home.done("login", "--token", TOKEN)
    over = token_of("pypi.org", "over", "[0,1690000000,0]")
    assert "The token has expired" in failure(home, "login", "--token", over)
    assert home.done("token") == f"{TOKEN}\n"
    other = token_of("pypi.org", "other")
    result = home.auth("login", "--token", other)
    assert (
        "Replaced the token for pypi in the file vault; the one before was stored just now."
        in result.stderr
    )


def test_list_and_doctor_name_what_should_be_replaced_and_where(home: Home) -> None:
    home.done("login", "--token", TOKEN)
    home.done("login", "testpypi", "--token", BOUND)
    result = home.auth("list")
    assert "pypi      token    all projects *  " in result.stdout
    assert "testpypi  token    one and two  " in result.stdout
    page = "https://pypi.org/manage/account/token/"
    assert result.stderr.startswith("* It is good for every project of its owner, ")
    assert result.stderr.endswith(f"{page}\n")
    assert "test.pypi.org" not in result.stderr
    findings = json.loads(home.auth("doctor", "--format", "json").stdout)["findings"]
    (finding,) = [each for each in findings if each["check"] == "tokens"]
    assert finding["state"] == "warning"
    assert page in finding["hint"]
