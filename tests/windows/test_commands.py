"""The commands on Windows, with an agent that they start themselves."""

from __future__ import annotations

import json
import os
import sys
from typing import TYPE_CHECKING

import pytest

assert sys.platform == "win32"

from tokenward.windows.running import Running
from tokenward_os.windows import calls
from tokenward_os.windows.calls import own_sid

if TYPE_CHECKING:
    from collections.abc import Callable

    from support.systems.windows_user import Done, User

DISABLED = ("--keyring-provider", "disabled")


def url(name: str) -> str:
    return f"https://{name}.example/simple/"


def login(user: User, name: str, secret: str = "hunter2") -> Done:
    return user.auth("login", url(name), "-u", "alice", "--password", "-", *DISABLED, given=secret)


def test_a_credential_is_stored_found_listed_and_forgotten(user: User) -> None:
    said = login(user, "first")
    assert said.status == 0
    assert "hunter2" not in said.err
    assert user.good("token", url("first")) == "hunter2\n"
    stored = json.loads(user.good("list", "--format", "json"))["credentials"]
    assert ("https://first.example/", "alice") in [(e["service"], e["username"]) for e in stored]
    user.good("logout", url("first"))
    assert user.auth("token", url("first")).status == 2


def test_commands_start_and_end_as_programs_do(new_user: Callable[[], User]) -> None:
    user = new_user()
    stored = user.process(
        *("login", url("process"), "-u", "alice", "--password", "-", *DISABLED), given="hunter2"
    )
    assert "The vault opens by DPAPI" in stored.err
    assert (stored.status, stored.out) == (0, "")
    assert user.process("token", url("process")).out == "hunter2\n"


def test_after_a_restart_what_dpapi_protects_opens_by_itself(user: User) -> None:
    login(user, "restart")
    user.good("agent", "restart")
    assert user.good("token", url("restart")) == "hunter2\n"
    assert own_sid() in user.good("agent", "status")


def test_no_key_and_no_secret_lies_open_in_any_file(user: User) -> None:
    login(user, "files", "a-secret-in-no-file")
    files = [path for path in user.root.rglob("*") if path.is_file()]
    assert [path.suffix for path in files].count(".dpapi") == 1
    assert not any(path.suffix == ".key" for path in files)
    assert [path for path in files if b"a-secret-in-no-file" in path.read_bytes()] == []


def test_the_log_names_the_program_that_asked(user: User) -> None:
    login(user, "log")
    user.good("token", url("log"))
    lines = json.loads(user.good("log", "--format", "json"))["lines"]
    asked = [line for line in lines if line["event"] == "fetch"][-1]
    assert asked["who"]["pid"] == os.getpid()
    assert asked["who"]["exe"].lower() == sys.executable.lower()


def test_a_passphrase_closes_the_vault_until_it_is_given(new_user: Callable[[], User]) -> None:
    user = new_user()
    phrase = user.root / "phrase"
    phrase.write_text("correct horse\n")
    user.environ["TOKENWARD_PASSPHRASE_FILE"] = str(phrase)
    assert login(user, "phrase").status == 0
    user.good("lock")
    del user.environ["TOKENWARD_PASSPHRASE_FILE"]
    assert user.auth("token", url("phrase")).status == 2
    phrase.write_text("wrong horse\n")
    user.environ["TOKENWARD_PASSPHRASE_FILE"] = str(phrase)
    assert user.auth("unlock").status == 2
    phrase.write_text("correct horse\n")
    user.good("unlock")
    assert user.good("token", url("phrase")) == "hunter2\n"


def test_a_stopped_agent_is_gone_when_the_command_returns(user: User) -> None:
    agent = Running(json.loads(user.good("agent", "start", "--format", "json"))["pid"])
    user.good("agent", "stop")
    assert agent.has_ended(0)
    assert json.loads(user.good("agent", "status", "--format", "json"))["running"] is False


def test_what_needs_unix_sockets_is_refused_in_a_sentence(user: User) -> None:
    login(user, "share")
    refused = user.auth("share", "--service", url("share"), "--whole")
    assert "error: A share is a Unix socket" in refused.err


def test_what_there_is_not_is_said_and_nothing_is_written(user: User) -> None:
    said = user.auth("setup")
    assert said.status == 2
    assert "error: On Windows `auth setup` can configure no tool yet" in said.err


def test_a_rule_that_asks_gives_nothing_where_nobody_can_be_asked(
    new_user: Callable[[], User],
) -> None:
    user = new_user()
    assert login(user, "asked").status == 0
    config = user.root / "Local" / "tokenward" / "config.toml"
    config.write_text('[[policy]]\ndecide = "ask"\n')
    refused = user.auth("token", url("asked"))
    assert (refused.status, refused.out) == (2, "")
    assert "error: Approval for giving" in refused.err


def test_the_doctor_finds_nothing_that_is_no_matter_on_windows(user: User) -> None:
    login(user, "doctor")
    found = json.loads(user.auth("doctor", "--format", "json").out)["findings"]
    assert [each for each in found if each["state"] == "problem"] == []
    assert not any("chmod" in each["hint"] or "ulimit" in each["hint"] for each in found)


ENTERED = {"VM_READ": 0x10, "VM_WRITE": 0x20, "CREATE_THREAD": 0x2, "DUP_HANDLE": 0x40}


@pytest.mark.parametrize("right", ENTERED)
def test_an_agent_cannot_be_entered_by_its_own_user(user: User, right: str) -> None:
    pid = json.loads(user.good("agent", "start", "--format", "json"))["pid"]
    assert calls.open_process(ENTERED[right], False, os.getpid())
    assert not calls.open_process(ENTERED[right], False, pid)


@pytest.mark.windows
def test_its_owner_cannot_let_anybody_in(user: User) -> None:
    pid = json.loads(user.good("agent", "start", "--format", "json"))["pid"]
    assert not calls.open_process(0x00040000, False, pid)  # WRITE_DAC, which Wine gives an owner
