"""`auth log` on a real home with a real agent: what a person sees, and what an attack leaves."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from support.agents.process import NotDone, Wire
from support.auth_commands import PROGRAMS
from support.terminal import Typist
from support.waiting import PATIENCE

if TYPE_CHECKING:
    from support.home import Home

LINUX = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
URL = "https://index.example/"


def login(home: Home) -> None:
    home.log_in(URL, "marked", username="ana")


def file(home: Home) -> Path:
    return Path(home.answer("status")["log"]["folder"]) / "00000001.jsonl"


@LINUX
def test_a_person_sees_who_asked_for_what_and_what_was_decided(home: Home) -> None:
    login(home)
    asked = f"import keyring; keyring.get_credential({URL!r}, None)"
    tool = home.path / "publisher.py"
    tool.write_text(asked)
    assert home.run(PROGRAMS / "python", tool).returncode == 0
    assert home.run(PROGRAMS / "keyring", "get", URL, "ana").stdout == "marked\n"
    home.done("lock")
    assert home.auth("token", URL).returncode == 2
    shown = home.done("log")
    heading, *rows = shown.splitlines()
    assert heading.split() == ["WHEN", "WHO", "WHAT", "SERVICE", "PROJECT", "DECISION"]
    assert [row.split()[2:] for row in rows[:4]] == [
        ["start"],
        ["auth", "create", "done"],
        ["auth", "login", URL, "(ana)", "done"],
        ["publisher", "fetch", URL, "(ana)", "given"],
    ]
    assert "by keyring" in rows[4]
    assert rows[5].split()[2:] == ["auth", "lock", "done"]
    assert rows[6].endswith("refused: locked")
    assert "marked" not in shown
    told = home.log_lines()[3]["who"]
    assert told["script"] == str(tool)
    assert told["cwd"] == str(home.path)


@LINUX
def test_what_a_secret_was_wanted_for_is_said_in_words(home: Home) -> None:
    login(home)
    phrase = home.path / "phrase"
    phrase.write_text("a long enough passphrase")
    phrase.chmod(0o600)
    uv = home.path / "uv"
    uv.write_text("#!/bin/sh\n")
    uv.chmod(0o700)
    home.done("token", URL)
    home.done("exec", "--env", "--index", URL, "--", str(uv), "publish", "hunter2")
    home.done("export", "backup", "--passphrase-file", str(phrase))
    script = home.path / "keyring"
    script.write_text(f"import keyring; keyring.get_credential({URL!r}, None)")
    assert home.run(PROGRAMS / "python", script).returncode == 0
    by = [line for line in home.log_lines() if line["event"] == "fetch"]
    assert [line["purpose"] for line in by[:3]] == ["printed", "exec: uv publish", "export"]
    assert by[3]["purpose"].startswith("keyring for ")
    assert by[3]["who"]["connected"]["script"] == str(script)
    assert by[3]["who"]["connected"]["cwd"] == str(home.path)
    assert by[3]["who"]["connected"]["pid"] != by[3]["who"]["pid"]
    shown = home.done("log")
    assert all(f"fetch ({words})" in shown for words in ("printed", "exec: uv publish", "export"))
    assert "hunter2" not in shown + str(home.log_lines())


def test_a_refusal_says_why_and_not_the_same_word_twice(home: Home) -> None:
    login(home)
    assert home.auth("token", URL, "--ttl", "15m").returncode == 2
    shown = home.done("log")
    assert "refused: cannot be narrowed" in shown
    assert "refused: refused" not in shown


def test_lines_are_chosen_by_time_and_service(home: Home) -> None:
    login(home)
    home.log_in("https://other.example/", "x", username="bob")
    home.done("token", URL)
    about = home.log_lines("--service", f"{URL}simple/")
    assert [line["event"] for line in about] == ["login", "fetch"]
    assert home.log_lines("--since", "1h") == home.log_lines()
    assert home.log_lines("--since", "2999-01-01") == []
    assert "no matching line" in home.auth("log", "--since", "2999-01-01").stderr
    refused = home.auth("log", "--since", "yesterday")
    assert refused.returncode == 2
    assert "neither a duration" in refused.stderr


def test_a_log_is_read_where_no_agent_runs(home: Home) -> None:
    login(home)
    home.done("agent", "stop")
    assert [line["event"] for line in home.log_lines()][-2:] == ["stop", "end"]
    assert home.agent_pid() is None


def test_a_log_that_is_whole_is_said_to_be(home: Home) -> None:
    login(home)
    home.done("token", URL)
    result = home.auth("log", "--verify")
    assert result.returncode == 0
    assert "No line was changed" in result.stderr
    told = home.answer("log", "--verify")
    assert (told["problems"], told["count"], told["lost"]) == ([], 0, 0)
    assert told["lines"] == told["vouched"] + told["unanchored"] == 4
    assert home.auth("log", "--verify", "--follow").returncode == 2


@pytest.mark.parametrize(
    "when", ["the agent runs", "the agent was stopped", "the agent was killed"]
)
def test_whoever_covers_his_tracks_is_found_by_verify_and_by_doctor(home: Home, when: str) -> None:
    login(home)
    for _ in range(3):
        home.done("token", URL)
    path = file(home)
    pid = home.agent_pid()
    assert pid is not None
    if when == "the agent was stopped":
        home.done("agent", "stop")
    elif when == "the agent was killed":
        home.done(
            "login", URL, "-u", "bob", "--password", "-", stdin="x\n"
        )  # it knows of all before
        os.kill(pid, signal.SIGKILL)
    held = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(held[:3] + held[4:]))
    result = home.auth("log", "--verify")
    assert result.returncode == 2
    assert "A line is missing before line 4 of 00000001.jsonl." in result.stderr
    assert "is not what was written: 1 finding." in result.stderr
    findings = json.loads(home.auth("doctor", "--format", "json").stdout)["findings"]
    assert [one["state"] for one in findings if one["check"] == "log"] == ["problem"]


@LINUX
def test_what_a_program_calls_itself_moves_no_cursor(home: Home) -> None:
    login(home)
    tool = home.path / "a\x1b[2Jb"
    tool.write_text(f"import keyring; keyring.get_credential({URL!r}, None)")
    assert home.run(PROGRAMS / "python", tool).returncode == 0
    assert "a\\x1b[2Jb" in home.done("log")
    assert "\x1b" not in home.done("log")


def test_following_shows_what_comes_until_ctrl_c(home: Home) -> None:
    login(home)
    person = Typist(home, "log", "--follow").sees("login").sees("done")
    home.done("token", URL)
    person.sees("fetch").sees("given")
    person.types("\x03").leaves(0)


def test_following_in_json_is_an_object_a_line(home: Home) -> None:
    login(home)
    with subprocess.Popen(
        [PROGRAMS / "auth", "log", "--follow", "--format", "json"],
        env=home.environment,
        stdout=subprocess.PIPE,
    ) as process:
        assert process.stdout is not None
        events = [json.loads(process.stdout.readline())["event"] for _ in range(3)]
        home.done("token", URL)
        events.append(json.loads(process.stdout.readline())["event"])
        process.send_signal(signal.SIGINT)
        assert process.wait(PATIENCE) == 0
    assert events == ["start", "create", "login", "fetch"]


def test_a_locked_agent_cannot_say_whether_the_log_is_whole(home: Home) -> None:
    login(home)
    home.done("lock")
    result = home.auth("log", "--verify")
    assert result.returncode == 2
    assert "hint: `auth unlock`" in result.stderr
    findings = home.answer("doctor")["findings"]
    assert [one["state"] for one in findings if one["check"] == "log"] == ["warning"]


def test_a_log_that_cannot_be_written_is_said_by_status_and_doctor(home: Home) -> None:
    login(home)
    folder = file(home).parent
    folder.rename(folder.parent / "aside")
    folder.write_text("in the way")
    assert home.done("token", URL) == "marked\n"
    assert "audit is not a directory (1 line so far)" in home.done("status")
    findings = json.loads(home.auth("doctor", "--format", "json").stdout)["findings"]
    assert "problem" in [one["state"] for one in findings if one["check"] == "log"]


def test_what_was_pushed_out_of_the_log_is_said(home: Home) -> None:
    login(home)
    connection = Wire(home.path / "run" / "tokenward" / "agent.sock")
    named: dict[str, Any] = {"spelling": f"{URL}{'x' * 1900}", "username": "u" * 1000}
    connection.ask("login", b"s", provider="disabled", **named)
    for _ in range(3000):
        connection.ask("fetch", **named)
    connection.close()
    told = home.answer("log")
    assert told["gone"] > 0
    assert told["lines"][0]["time"] == told["since"]
    verified = home.answer("log", "--verify")
    assert (verified["gone"], verified["since"]) == (told["gone"], told["since"])
    for command in (["log"], ["log", "--verify"], ["log", "--since", "1h"]):
        said = home.said(*command)
        assert "The log goes back to " in said
        assert f"{told['gone']} lines before that were removed to make room." in said
    assert "were removed to make room" in home.auth("doctor").stdout


def test_what_lies_among_the_files_of_the_log_is_said(home: Home) -> None:
    login(home)
    (file(home).parent / "evil\x1b.jsonl").write_text("{}")
    assert "evil\\x1b.jsonl is not a file of the log." in home.said("log", "--verify")
    assert "evil\\x1b.jsonl is not a file of the log." in home.auth("doctor").stdout


def test_a_link_in_the_place_of_the_log_is_said(home: Home) -> None:
    login(home)
    place = file(home).parent
    home.done("agent", "stop")
    place.rename(home.path / "aside")
    place.symlink_to(home.path / "aside")
    before = {path: path.stat().st_size for path in (home.path / "aside").iterdir()}
    home.done("token", URL)
    assert "is a link" in home.refused("log")
    assert str(place) in home.refused("log", "--verify")
    assert str(place) in str(home.answer("status")["log"]["problem"])
    assert {path: path.stat().st_size for path in (home.path / "aside").iterdir()} == before


def test_a_stranger_at_a_shared_socket_leaves_a_log_that_is_whole(home: Home) -> None:
    login(home)
    home.done("share", "--service", URL, "--whole", "--at", str(home.path / "shared"))
    connection = Wire(home.path / "shared")
    for letter in ("\x01", "\u2028", "\U0010ffff", '"'):
        for op, body in (("logout", b""), ("login", b"x")):
            size = 2040 // len(letter.encode())
            named: dict[str, Any] = {
                "spelling": "x://" + letter * size,
                "username": letter * (size // 2),
            }
            with pytest.raises(NotDone):
                connection.ask(op, body, **named)
    connection.close()
    verified = home.answer("log", "--verify")
    assert (verified["count"], verified["problems"]) == (0, [])
    assert max(map(len, file(home).read_bytes().splitlines())) <= 8192
    assert any(line.get("share") and line["decision"] == "refused" for line in home.log_lines())
