"""`auth doctor` on a real home with a real agent: what is in order, and what was broken for it."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from support.auth_commands import PROGRAMS
from support.systems.desktop_keyrings import gnome_keyring
from support.systems.other_users import become, give, other_users

if TYPE_CHECKING:
    from support.home import Home

LINUX = pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
URL = "https://index.example/"


def examined(home: Home, status: int, **variables: str) -> dict[str, list[dict[str, str]]]:
    """Return the findings by their check; the command has to exit with `status`."""
    result = home.auth("doctor", "--format", "json", **variables)
    assert result.returncode == status, result
    assert "Traceback" not in result.stderr
    answer: dict[str, Any] = json.loads(result.stdout)
    found: dict[str, list[dict[str, str]]] = {}
    for one in answer["findings"]:
        found.setdefault(one["check"], []).append(one)
    assert answer["problems"] == sum(o["state"] == "problem" for f in found.values() for o in f)
    assert (answer["problems"] > 0) == (status == 2)
    return found


def login(home: Home, **variables: str) -> None:
    home.log_in(URL, "marked", username="ana", **variables)


def test_a_home_in_order_has_no_problem(home: Home) -> None:
    login(home)
    found = examined(home, 0)
    for check in ("credentials", "state", "leftovers", "agent", "copies", "plain text"):
        assert {one["state"] for one in found[check]} == {"ok"}, found[check]
    assert found["vaults"][0]["hint"] == "`auth passphrase set`"
    text = home.done("doctor")
    assert "fix: `auth passphrase set`" in text
    assert "agent: The agent" not in text
    assert "ok       agent: The agent" in home.done("doctor", "-v")


def test_the_numbers_come_first_and_problems_before_warnings(home: Home) -> None:
    login(home)
    (Path(home.done("dir").strip()) / "disabled.vault").chmod(0o644)
    lines = home.auth("doctor").stdout.splitlines()
    assert re.match(r"1 problem, \d warnings, \d+ checks passed$", lines[0])
    words = [line.split()[0] for line in lines if line[:1].strip()][1:-1]
    assert words == sorted(words)
    assert words[0] == "PROBLEM"


def test_before_the_first_login_there_is_no_problem_either(home: Home) -> None:
    found = examined(home, 0)
    assert "does not exist yet" in found["credentials"][0]["message"]


def test_what_is_open_to_others_fails_and_what_it_names_mends_it(home: Home) -> None:
    login(home)
    vault = Path(home.done("dir").strip()) / "disabled.vault"
    key = next(Path(home.environment["XDG_STATE_HOME"]).glob("tokenward/*/*.key"))
    vault.chmod(0o644)
    key.chmod(0o640)
    found = examined(home, 2)
    wrong = [one for check in ("credentials", "state") for one in found[check] if one["hint"]]
    assert len(wrong) == 2
    for one in wrong:
        subprocess.run(shlex.split(one["hint"].strip("`")), check=True)
    examined(home, 0)
    assert vault.stat().st_mode & 0o777 == 0o600
    told = home.auth("doctor")
    assert told.stderr == ""


def test_an_agent_that_may_not_be_started_is_a_problem_and_the_rest_is_looked_at(
    home: Home,
) -> None:
    found = examined(home, 2, TOKENWARD_NO_AUTOSTART="1")
    assert found["agent"][0]["hint"].startswith("`auth agent start`")
    assert "plain text" in found
    assert home.agent_pid() is None


def test_a_key_file_in_the_directory_that_is_copied_is_a_problem(home: Home) -> None:
    state = home.environment["XDG_STATE_HOME"]
    login(home, TOKENWARD_DIR=state)
    found = examined(home, 2, TOKENWARD_DIR=state)
    assert found["copies"][0]["state"] == "problem"
    home.done("agent", "stop", TOKENWARD_DIR=state)


def test_a_damaged_vault_is_a_problem_with_the_command_that_goes_back(home: Home) -> None:
    login(home)
    home.done("agent", "stop")
    vault = Path(home.done("dir").strip()) / "disabled.vault"
    vault.write_bytes(vault.read_bytes()[:100])
    (found,) = examined(home, 2)["vaults"]
    assert found["hint"] == "`auth restore --previous --keyring-provider disabled`"


def test_a_token_in_pypirc_is_named_and_not_shown(home: Home) -> None:
    (home.path / ".pypirc").write_text("[pypi]\nusername = __token__\npassword = pypi-marked\n")
    (home.path / ".pypirc").chmod(0o600)
    result = home.auth("doctor", "-v")
    assert "[pypi]" in result.stdout
    assert "marked" not in result.stdout + result.stderr
    assert result.returncode == 0


@LINUX
@pytest.mark.gnome_keyring
def test_the_system_keyring_is_asked_now_and_not_remembered(home: Home) -> None:
    with gnome_keyring(home.path / "desktop") as session:
        session.join(home.environment)
        login(home)
        assert examined(home, 0)["keyring"][0]["message"] == "The system keyring answers."
    assert examined(home, 2)["keyring"][0]["state"] == "problem"


@other_users
def test_an_ordinary_user_is_shown_that_the_agent_cannot_be_read(home: Home) -> None:
    give(home.path)
    auth = [*become(), str(PROGRAMS / "auth")]
    try:
        result = home.run(*auth, "doctor", "--format", "json")
        found = {one["check"]: one for one in json.loads(result.stdout)["findings"]}
        assert found["process"]["state"] == "ok", found["process"]
        assert found["core"]["state"] == "ok"
        assert result.returncode == 0
    finally:
        home.run(*auth, "agent", "stop")


@other_users
def test_memory_that_could_not_be_locked_is_a_warning(home: Home) -> None:
    give(home.path)
    auth = [*become(), "prlimit", "--memlock=4096:4096", str(PROGRAMS / "auth")]
    try:
        result = home.run(*auth, "doctor", "--format", "json")
        found = {one["check"]: one for one in json.loads(result.stdout)["findings"]}
        assert found["memory"]["state"] == "warning"
        assert "lock limit 4096" in found["memory"]["message"]
    finally:
        home.run(*auth, "agent", "stop")


@pytest.mark.parametrize(
    ("variable", "value", "told"),
    [
        ("PYTHON_KEYRING_BACKEND", "keyring.backends.null.Keyring", True),
        ("PYTHON_KEYRING_BACKEND", "keyring.backends.fail.Keyring", True),
        ("PYTHON_KEYRING_BACKEND", "tokenward_keyring.Keyring", False),
        ("PYTHON_KEYRING_BACKEND", "", False),
        ("UV_KEYRING_PROVIDER", "disabled", True),
        ("UV_KEYRING_PROVIDER", "subprocess", False),
        ("PIP_KEYRING_PROVIDER", "disabled", True),
        ("POETRY_KEYRING_ENABLED", "false", True),
    ],
)
def test_a_variable_that_keeps_tools_from_asking_is_seen_here_and_by_setup(
    variable: str, value: str, told: bool, home: Home
) -> None:
    said = home.auth("setup", "keyring", **{variable: value})
    assert said.returncode == 0
    assert (f"unset {variable}" in said.stderr) is told
    found = examined(home, 0, **{variable: value})["tools"]
    assert any(f"unset {variable}" in one["hint"] for one in found) is told
