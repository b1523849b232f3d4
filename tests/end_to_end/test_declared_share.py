"""Shares that config.toml declares, as the user meets them; and that no checkout declares any."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from support.macaroons import caveats_of, token_of
from support.policy import rules
from support.waiting import until

if TYPE_CHECKING:
    from pathlib import Path

    from support.home import Home

OTHER = "https://other.example/"
TOKEN = token_of("pypi.org", "shared")


@pytest.fixture
def stored(home: Home) -> Home:
    home.done("login", "pypi", "--token", "-", stdin=TOKEN)
    home.log_in(OTHER, "another", username="ana")
    return home


def declared(home: Home, more: str = "") -> Path:
    """Declare a share of two services, and return its path once it is open."""
    path = home.path / "declared.sock"
    rules(
        home,
        f'[[share]]\nat = "{path}"\nservices = ["pypi", "other.example"]\n'
        f'whole = ["other.example"]\nprojects = ["mine"]\n{more}',
    )
    home.answer("status")
    return path


def test_it_is_open_after_each_start_and_hands_out_what_the_file_says(stored: Home) -> None:
    path = str(declared(stored))
    shown = stored.done("status")
    assert shown.count(path) == 2
    assert "by config.toml" in shown
    one, two = stored.answer("status")["shares"]
    assert (one["service"], one["projects"], one["whole"]) == (
        *("https://upload.pypi.org/legacy/", ["mine"], False),
    )
    assert (two["service"], two["projects"], two["whole"]) == (OTHER, None, True)
    restarted = stored.auth("agent", "restart", "--format", "json")
    assert json.loads(restarted.stdout)["unshared"] == []
    assert "is gone" not in restarted.stderr
    there = {"TOKENWARD_SOCK": path}
    token = stored.auth("token", "--ttl", "20d", **there).stdout.strip()
    assert '[1,["mine"]]' in [each.replace(" ", "") for each in caveats_of(token) or ()]
    assert stored.auth("token", OTHER, **there).stdout == "another\n"
    assert stored.auth("token", "https://third.example/", **there).returncode == 2
    for command in (("list",), ("lock",), ("share", "--stop"), ("agent", "stop")):
        assert stored.auth(*command, **there).returncode == 2, command
    line = [each for each in stored.log_lines() if each["event"] == "fetch"][-1]
    assert (line["share"], line["decision"]) == (path, "given")
    stopped = stored.auth("agent", "stop", "--format", "json")
    assert json.loads(stopped.stdout)["unshared"] == [path]
    assert "`auth share` shares it again" not in stopped.stderr


def test_a_socket_that_cannot_be_made_is_told_by_status_and_doctor(stored: Home) -> None:
    (stored.path / "declared.sock").write_text("precious")
    path = declared(stored)
    assert "not open: The file at the socket's path is not a socket" in stored.done("status")
    found = stored.auth("doctor").stdout
    assert f"The share at {path} is not open" in found
    assert path.read_text() == "precious"


def test_a_wrong_share_is_told_by_each_command_and_hands_out_nothing(stored: Home) -> None:
    rules(stored, '[[share]]\nat = "/x"\nservices = ["pypi"]\nttl-each = "2h"\n')
    assert "has a share 1 whose `ttl-each` is not between a minute and an hour" in stored.refused(
        "token", "pypi"
    )


_SHARE = '[[share]]\nat = "{at}"\nservices = ["pypi"]\n'
_OF_TOOLS = {
    "pyproject.toml": "[[tool.tokenward.share]]\nat = '{at}'\nservices = ['pypi']\n",
    "uv.toml": '[[index]]\nname = "corp"\nurl = "https://evil.example/"\n',
}


def test_no_file_of_a_checkout_opens_a_share_or_says_what_one_is_of(stored: Home) -> None:
    checkout = stored.path / "checkout"
    evil = checkout / "evil.sock"
    (checkout / ".config/tokenward").mkdir(parents=True)
    for name in (
        "config.toml",
        "tokenward.toml",
        ".tokenward.toml",
        ".config/tokenward/config.toml",
    ):
        (checkout / name).write_text(_SHARE.format(at=evil))
    for name, text in _OF_TOOLS.items():
        (checkout / name).write_text(text.format(at=evil))
    declared(stored)
    stored.done("trust", str(checkout))
    for command in (("status",), ("token", "pypi"), ("agent", "restart"), ("status",)):
        stored.auth(*command, cwd=str(checkout))
    assert not evil.exists()
    assert {each["socket"] for each in stored.answer("status")["shares"]} == {
        str(stored.path / "declared.sock")
    }
    # A name that only the checkout defines makes the user's file wrong, and nothing is handed out.
    at = stored.path / "named.sock"
    rules(stored, f'[[share]]\nat = "{at}"\nservices = ["corp"]\nwhole = ["corp"]\n')
    said = stored.auth("token", "pypi", cwd=str(checkout))
    assert said.returncode == 2
    assert "neither a URL nor a name that this file defines" in said.stderr
    until(lambda: not (stored.path / "declared.sock").exists(), lambda: "the former goes on")
    assert not at.exists()


@pytest.mark.parametrize(
    "options",
    [("-u", "ana", "-u", "bob"), ("--at", "a.sock", "--at", "b.sock")],
)
def test_an_option_with_one_value_is_given_once(stored: Home, options: tuple[str, ...]) -> None:
    refused = stored.refused("share", "--service", OTHER, "--whole", *options)
    assert "is given twice" in refused
    assert not (stored.path / "b.sock").exists()
