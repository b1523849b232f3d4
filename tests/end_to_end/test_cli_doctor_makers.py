"""`auth doctor` about commands, plug-ins and `leave`: what it says, and that its hints mend it."""

from __future__ import annotations

import json
import shlex
from typing import TYPE_CHECKING

from support.recipes import Maker

if TYPE_CHECKING:
    from support.home import Home

URL = "https://index.example/team/"
AMAZON = "https://team-111122223333.d.codeartifact.eu-central-1.amazonaws.com/pypi/main/"


def found(home: Home, check: str, status: int, **variables: str) -> list[dict[str, str]]:
    """Return the findings of one check; `status` is what the command has to exit with."""
    result = home.auth("doctor", "--format", "json", **variables)
    assert result.returncode == status, result
    findings: list[dict[str, str]] = json.loads(result.stdout)["findings"]
    return [one for one in findings if one["check"] == check]


def follow(home: Home, hint: str, **variables: str) -> str:
    """Type what the first backquotes of a hint have; return what that says."""
    program, *words = shlex.split(hint.split("`")[1])
    assert program == "auth"
    return home.said(*words, **variables)


def test_a_program_that_changed_or_is_gone_is_named_and_the_login_of_the_hint_mends_it(
    home: Home,
) -> None:
    maker = Maker(home.path / "bin")
    home.done(
        "login", URL, "-u", "ana", "--command", "--lifetime", "1h", "--", str(maker.program), "a b"
    )
    assert found(home, "commands", 0)[0]["message"] == "1 command may be run to make credentials."
    maker.program.chmod(0o700)
    (one,) = found(home, "commands", 2)
    assert "it has another owner or mode than at the login." in one["message"]
    assert one["hint"].endswith(" once the program is in order, chooses it again")
    follow(home, one["hint"])
    assert found(home, "commands", 0)[0]["state"] == "ok"

    elsewhere = home.path / "elsewhere"
    elsewhere.mkdir()
    maker.program.rename(elsewhere / "maker")
    (one,) = found(home, "commands", 2)
    assert f"{maker.program}, which makes the credential for {URL}, is not run" in one["message"]
    assert "it does not exist any more." in one["message"]
    follow(home, one["hint"], PATH=f"{elsewhere}:{home.environment['PATH']}")
    assert found(home, "commands", 0)[0]["state"] == "ok"
    assert home.answer("list")["credentials"][0]["command"] == "maker 'a b'"

    maker.prints("", 1, "the cloud is away")
    home.auth("refresh", URL)
    home.refused("token", URL)
    (one,) = found(home, "commands", 2)
    assert one["message"] == "maker failed with status 1: the cloud is away."
    maker.prints("made")
    follow(home, one["hint"])
    assert found(home, "commands", 0)[0]["state"] == "ok"


def test_a_program_of_config_toml_that_is_gone_and_variables_that_it_lacks_are_named(
    home: Home,
) -> None:
    maker = Maker(home.path / "bin")
    config = home.path / ".config" / "tokenward" / "config.toml"
    config.parent.mkdir()
    config.write_text(
        f'keyring-provider = "disabled"\n[services.corp]\nurl = "{URL}"\nusername = "ana"\n'
        f'command = ["{maker.program}"]\nenvironment = ["AWS_PROFILE"]\n'
    )
    (one,) = found(home, "commands", 2)
    assert "and has none of them yet." in one["message"]
    follow(home, one["hint"], AWS_PROFILE="work")
    assert found(home, "commands", 0)[0]["state"] == "ok"
    maker.program.rename(home.path / "away")
    (one,) = found(home, "commands", 2)
    assert one["hint"].startswith("correct `services.corp` in config.toml, or `auth login corp`")


def test_a_keyring_program_that_is_gone_is_named_and_the_login_of_the_hint_chooses_another(
    home: Home,
) -> None:
    config = home.path / ".config" / "tokenward" / "config.toml"
    config.parent.mkdir()
    config.write_text('keyring-provider = "disabled"\n')
    program, other = home.path / "tools" / "keyring", home.path / "other" / "keyring"
    for each in (program, other):
        each.parent.mkdir()
    program.write_text("#!/bin/sh\necho of-the-program\n")
    program.chmod(0o755)
    adopt = ("login", AMAZON, "-u", "aws", "--adopt", "--keyring-provider", "subprocess")
    home.done(*adopt, PATH=f"{program.parent}:{home.environment['PATH']}")
    assert found(home, "commands", 0) == []
    program.rename(other)
    (one,) = found(home, "commands", 2)
    assert f"The program {program} is not run: it does not exist any more." in one["message"]
    follow(home, one["hint"], PATH=f"{other.parent}:{home.environment['PATH']}")
    assert found(home, "commands", 0) == []


def test_an_adoption_without_its_plugin_is_told_which_package_has_it(home: Home) -> None:
    told = home.refused("login", AMAZON, "-u", "aws", "--adopt")
    assert "No keyring has a password of aws for" in told
    assert "pip install keyrings.codeartifact`, or `--from`" in told
    told = home.refused("login", URL, "-u", "aws", "--adopt")
    assert "plug-ins answer if they are installed beside tokenward" in told


def test_what_leave_keeps_from_tools_is_named_and_a_logout_mends_it(home: Home) -> None:
    home.log_in(AMAZON, "typed", username="bot")
    config = home.path / ".config" / "tokenward" / "config.toml"
    config.parent.mkdir()
    config.write_text('leave = ["*.d.codeartifact.*.amazonaws.com"]\n')
    (one,) = found(home, "leave", 0)
    assert one["state"] == "warning"
    assert "do not get the password of bot for https://team-111122223333" in one["message"]
    follow(home, one["hint"])
    (one,) = found(home, "leave", 0)
    assert one["message"] == "`leave` leaves *.d.codeartifact.*.amazonaws.com to other keyrings."
