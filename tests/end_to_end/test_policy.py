"""The user's policy as programs meet it: what it refuses, what is said, and what is written down."""

from __future__ import annotations

import shlex
import sys
from typing import TYPE_CHECKING, Any

import pytest

from support.macaroons import caveats_of, token_of
from support.policy import SECRET, URL, lines, rules, tool

if TYPE_CHECKING:
    from support.home import Home

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="a peer is read in /proc")


@pytest.fixture
def stored(home: Home) -> Home:
    home.done("login", URL, "-u", "ana", "--password", "-", stdin=SECRET)
    return home


def test_a_denied_program_gets_nothing_and_the_reason_is_told(stored: Home) -> None:
    rules(stored, '\n[[policy]]\nprogram = "auth"\ndecide = "deny"\n')
    result = stored.auth("token", URL)
    config = stored.path / ".config/tokenward/config.toml"
    assert result.returncode == 2
    assert result.stdout == ""
    assert result.stderr == (
        "error: The policy denies auth the credential for https://index.example/"
        f" (line 2 of {config}).\n"
    )
    assert stored.run(*tool(stored, "twine")).stdout == f"ana {SECRET}\n"


def test_what_a_denied_program_starts_is_denied_too(stored: Home) -> None:
    rules(stored, '[[policy]]\nprogram = "helper"\ndecide = "deny"\n')
    script = stored.path / "helper"
    script.write_text(f"#!/bin/sh\nauth token {URL}\nkeyring get {URL} ana\n")
    script.chmod(0o700)
    assert SECRET in stored.done("token", URL)
    assert SECRET not in stored.run(script).stdout


def test_a_program_that_asks_for_others_is_denied_where_a_rule_means_it(stored: Home) -> None:
    stored.done("setup", "keyring", "--yes")
    keyring = (stored.path / ".local/bin/keyring", "get", URL, "ana")
    assert SECRET in stored.run(*keyring).stdout
    for program in ("keyring", str(keyring[0])):
        rules(stored, f'[[policy]]\nprogram = "{program}"\ndecide = "deny"\n')
        assert SECRET not in stored.run(*keyring).stdout
    assert SECRET in stored.done("token", URL)


def test_a_policy_whose_link_leads_nowhere_lets_nothing_through(stored: Home) -> None:
    rules(stored, "")
    config = stored.path / ".config/tokenward/config.toml"
    config.rename(stored.path / "kept.toml")
    config.symlink_to(stored.path / "kept.toml")
    assert SECRET in stored.done("token", URL)
    (stored.path / "kept.toml").unlink()
    refused = stored.auth("token", URL)
    assert refused.returncode == 2
    assert f"The file {config} cannot be read" in refused.stderr
    config.unlink()
    assert SECRET in stored.done("token", URL)


def test_a_denied_program_gets_nothing_from_behind_as_many_shells_as_there_may_be(
    stored: Home,
) -> None:
    nest, helper = stored.path / "nest", stored.path / "helper"
    nest.write_text(
        f'[ "$1" -gt 0 ] || auth token {URL}\n[ "$1" -eq 0 ] || sh "$0" $(($1 - 1))\n:\n'
    )
    for deep in (10, 50):
        helper.write_text(f"#!/bin/sh\nsh {shlex.quote(str(nest))} {deep}\n:\n")
        helper.chmod(0o700)
        rules(stored, "")
        assert SECRET in stored.run(helper).stdout
        rules(stored, '[[policy]]\nprogram = "helper"\ndecide = "deny"\n')
        result = stored.run(helper)
        assert result.stdout == ""
        assert "The policy denies auth" in result.stderr
        assert ("the requester is not fully known" in result.stderr) is (deep == 50)


def test_a_denied_program_gets_nothing_by_a_terminal_of_its_own(stored: Home) -> None:
    """As `script`, an editor or a coding agent opens one for what it runs."""
    command = f"import pty, sys; pty.spawn(['auth', 'token', {URL!r}])"
    helper = stored.path / "helper"
    helper.write_text(f"#!/bin/sh\n{sys.executable} -c {shlex.quote(command)}\n:\n")
    helper.chmod(0o700)
    rules(stored, "")
    assert SECRET in stored.run(helper).stdout
    rules(stored, '[[policy]]\nprogram = "helper"\ndecide = "deny"\n')
    result = stored.run(helper)
    assert SECRET not in result.stdout
    assert "The policy denies auth" in result.stdout


def test_publishing_and_installing_are_told_apart_and_so_are_projects(stored: Home) -> None:
    command = tool(stored, "twine")
    rules(
        stored,
        '[[policy]]\npurpose = "publish"\nproject = "mine"\ndecide = "allow"\n'
        '[[policy]]\npurpose = "publish"\ndecide = "deny"\n',
    )
    mine, both = "dist/mine-1.0.tar.gz", "dist/yours-1.0.tar.gz"
    assert SECRET in stored.run(*command, "upload", mine).stdout
    assert stored.run(*command, "upload", mine, both).stdout == "nothing\n"
    (stored.path / "pip").write_text((stored.path / "twine").read_text())
    assert SECRET in stored.run(sys.executable, stored.path / "pip", "install", "mine").stdout


def test_an_upload_that_is_allowed_gets_no_token_for_another_project(home: Home) -> None:
    """What is judged is what leaves: the token that is stored is for another project alone."""
    command = (*tool(home, "twine"), "upload", "dist/mine-1.0.tar.gz")
    rules(home, '[[policy]]\nproject = "mine"\ndecide = "allow"\n[[policy]]\ndecide = "deny"\n')
    for projects, given in ("mine,other", True), ("other", False):
        token = token_of("", "user-abc", f"projects={projects}", prefix="devpi-")
        home.auth("logout", URL, "-u", "ana")  # else this one stands beside it
        home.done("login", URL, "-u", "ana", "--password", "-", stdin=token)
        printed = home.run(*command).stdout
        assert ("devpi-" in printed) is given
        if given:
            assert "projects=mine" in (caveats_of(printed.split()[1]) or ())
    assert lines(home)[-1]["decision"] == "refused"


def test_a_rate_ends_what_goes_through_and_says_so(stored: Home) -> None:
    rules(stored, '[[policy]]\ndecide = "allow"\nrate = "2/1h"\n')
    assert SECRET in stored.done("token", URL)
    assert SECRET in stored.done("token", URL)
    refused = stored.auth("token", URL)
    assert "The policy's rate limit is 2 in one hour (line 1 of" in refused.stderr


def test_a_policy_that_cannot_be_obeyed_lets_nothing_through(stored: Home) -> None:
    rules(stored, '[[policy]]\nprogramm = "twine"\ndecide = "deny"\n')
    why = "config.toml has an unknown key `programm` in rule 1 (line 2)"
    result = stored.auth("token", URL)
    assert result.returncode == 2
    assert why in result.stderr
    assert "hint: correct the file: until then nothing is handed out" in result.stderr
    assert stored.run(*tool(stored, "twine")).stdout == "nothing\n"
    assert f"nothing is handed out: {stored.path}/.config/tokenward/{why}" in stored.done("status")
    doctor = stored.auth("doctor")
    assert doctor.returncode == 2
    assert f"Nothing is handed out, because {stored.path}/.config/tokenward/{why}." in doctor.stdout
    rules(stored, '[[policy]]\nprogram = "twine"\ndecide = "deny"\n')
    assert SECRET in stored.done("token", URL)


def test_what_hands_nothing_out_is_not_the_policys(stored: Home) -> None:
    rules(stored, '[[policy]]\ndecide = "deny"\n')
    assert stored.done("list")
    stored.done("login", URL, "-u", "bob", "--password", "-", stdin="x")
    stored.done("logout", URL, "-u", "bob")
    stored.done("lock")
    stored.done("unlock")


def test_a_client_does_not_choose_its_own_policy(stored: Home) -> None:
    rules(stored, '[[policy]]\ndecide = "deny"\n')
    (stored.path / "mine.toml").touch()
    result = stored.auth("token", URL, TOKENWARD_CONFIG=str(stored.path / "mine.toml"))
    assert result.returncode == 2
    assert "The policy denies" in result.stderr


def test_a_relative_config_is_the_starters_for_the_agent_too(home: Home) -> None:
    (home.path / "here.toml").write_text('[[policy]]\ndecide = "deny"\n')
    home.environment["TOKENWARD_CONFIG"] = "here.toml"
    home.done("login", URL, "-u", "ana", "--password", "-", stdin=SECRET)
    assert "The policy denies" in home.auth("token", URL).stderr


def test_lists_and_log_say_what_the_policy_makes_of_it(stored: Home) -> None:
    assert "POLICY" not in stored.done("list")
    rules(stored, f'[[policy]]\nservice = "{URL}"\nprogram = "auth"\ndecide = "deny"\n')
    stored.auth("token", URL)
    heading, row = stored.done("list").splitlines()
    assert heading.split()[-1] == "POLICY"
    assert row.endswith("allow, deny")
    assert "denied by line 1 of the policy" in stored.done("log")
    (entry,) = stored.answer("list")["credentials"]
    assert entry["policy"] == ["allow", "deny"]
    line: dict[str, Any] = lines(stored)[-1]
    assert (line["decision"], line["code"], line["rule"]) == ("refused", "refused", 1)
