"""A person is asked before a credential is handed out: real pinentries, on real terminals and displays.

What is shown, what each key means, and that no answer is a no. The policy that has the question
asked is the user's own config.toml.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from support.macaroons import token_of
from support.policy import SECRET, TOOL, URL, lines, rules, tool
from support.terminal import Shell, Typist

if TYPE_CHECKING:
    from support.home import Home

CURSES, TTY = Path("/usr/bin/pinentry-curses"), Path("/usr/bin/pinentry-tty")
TAB, ENTER, ESCAPE, CTRL_C = "\t", "\r", "\x1b", "\x03"

needs_curses = pytest.mark.skipif(not CURSES.exists(), reason="needs Debian's pinentry-curses")
needs_tty = pytest.mark.skipif(not TTY.exists(), reason="needs Debian's pinentry-tty")
pytestmark = pytest.mark.skipif(
    sys.platform != "linux", reason="a peer's terminal is read in /proc"
)


@pytest.fixture
def asked(home: Home) -> Home:
    """Return a home with a credential that nobody gets unasked."""
    home.done("login", URL, "-u", "ana", "--password", "-", stdin=SECRET)
    rules(home, '[[policy]]\ndecide = "ask"\n')
    return home


@needs_curses
def test_who_is_allowed_on_a_terminal_gets_the_secret(asked: Home) -> None:
    person = Typist(asked, "token", URL)
    person.sees("auth wants the credential for https://index.example/.").sees("<Allow>")
    assert SECRET in person.types(TAB + ENTER).leaves(0)
    assert lines(asked)[-1]["consent"] == "asked"


@needs_curses
@pytest.mark.parametrize(
    "key", [ENTER, ESCAPE, " ", "x" + ENTER], ids=["enter", "escape", "space", "x"]
)
def test_a_key_pressed_without_reading_is_a_no(asked: Home, key: str) -> None:
    person = Typist(asked, "token", URL).sees("<Allow>").types(key)
    shown = person.types(ENTER).leaves(2)
    assert SECRET not in shown
    assert "The user denied auth the credential" in shown
    line = lines(asked)[-1]
    assert (line["decision"], line["consent"], line["rule"]) == ("refused", "asked", 1)


@needs_tty
@pytest.mark.parametrize(("key", "status"), [("a", 0), ("d", 2)])
def test_a_plain_terminal_asks_for_a_letter(asked: Home, key: str, status: int) -> None:
    rules(asked, f'pinentry = "{TTY}"\n[[policy]]\ndecide = "ask"\n')
    shown = Typist(asked, "token", URL).sees("]? ").types(key).leaves(status)
    assert (SECRET in shown) is (status == 0)


class Tool(Typist):
    """A tool on a terminal."""

    program = sys.executable


@needs_curses
def test_a_tool_that_asks_through_keyring_waits_for_the_person(asked: Home) -> None:
    _, script = tool(asked, "twine")
    person = Tool(asked, script, "upload", "dist/mine-1.0.tar.gz")
    person.sees("twine wants to publish mine to https://index.example/.").sees("<Allow>")
    assert SECRET in person.types(TAB + ENTER).leaves(0)
    line = lines(asked)[-1]
    assert (line["who"]["program"], line["consent"], line["rule"]) == ("twine", "asked", 1)


@needs_curses
def test_a_no_is_nothing_to_a_tool_which_is_asked_about_once(asked: Home) -> None:
    _, script = tool(asked, "twine")
    (asked.path / "twine").write_text(TOOL.format(url=URL) * 2)
    shown = Tool(asked, script, "upload", "x").sees("<Allow>").types(ENTER).leaves(0)
    assert shown.count("nothing") == 2
    assert shown.count("wants") == 1


@needs_curses
def test_a_yes_that_is_remembered_holds_for_the_program_and_for_no_other(asked: Home) -> None:
    rules(asked, '[[policy]]\ndecide = "ask"\nremember = "15m"\n')
    Typist(asked, "token", URL).sees("15 minutes").sees("<Allow>").types(TAB + ENTER).leaves(0)
    assert asked.done("token", URL) == f"{SECRET}\n"
    assert lines(asked)[-1]["consent"] == "remembered"
    _, script = tool(asked, "twine")
    Tool(asked, script).sees("twine wants").sees("<Allow>").types(ENTER).leaves(0)


def test_a_yes_to_a_narrowed_token_is_none_to_the_whole_nor_to_a_share(asked: Home) -> None:
    asked.done("login", "pypi", "--token", "-", stdin=token_of("pypi.org", "asked"))
    yes = asked.path / "my-askpass"
    yes.write_text("#!/bin/sh\necho yes\n")
    yes.chmod(0o700)
    rules(asked, f'pinentry = "{yes}"\n[[policy]]\ndecide = "ask"\nremember = "15m"\n')
    narrowed = ("token", "pypi", "--ttl", "15m")
    asked.done(*narrowed, DISPLAY=":7")
    asked.done(*narrowed)
    assert lines(asked)[-1]["consent"] == "remembered"
    share = ("share", "--service", "pypi")
    for wider in ("token", "pypi"), ("token", "pypi", "--ttl", "30d"), share:
        assert "Approval for giving auth" in asked.auth(*wider).stderr, wider
    hour = ("--ttl", "1h")
    asked.done(*share, *hour, DISPLAY=":7")
    wider_shares: list[tuple[str, ...]]
    wider_shares = [("--whole",), (), ("--ttl", "2h"), (*hour, "--uid", "12345")]
    for options in wider_shares:
        assert "Approval for giving auth" in asked.auth(*share, *options).stderr, options


@needs_curses
def test_a_lock_and_another_policy_forget_what_was_agreed_to(asked: Home) -> None:
    remembering = '[[policy]]\ndecide = "ask"\nremember = "15m"\n'
    for forget in (
        lambda: (asked.done("lock"), asked.done("unlock")),
        lambda: rules(asked, f"{remembering}# changed\n[[policy]]\ndecide = 'deny'\n"),
    ):
        rules(asked, remembering)
        Typist(asked, "token", URL).sees("<Allow>").types(TAB + ENTER).leaves(0)
        assert asked.auth("token", URL).returncode == 0
        forget()
        assert "Approval for giving auth" in asked.auth("token", URL).stderr


@needs_curses
def test_everybody_else_is_served_while_a_question_is_open(asked: Home) -> None:
    other = "https://other.example/"
    asked.done("login", other, "-u", "bob", "--password", "-", stdin="another")
    rules(asked, f'[[policy]]\nservice = "{URL}"\ndecide = "ask"\n')
    person = Typist(asked, "token", URL).sees("<Allow>")
    for _ in range(5):
        assert asked.done("token", other) == "another\n"
    assert asked.done("list", "--format", "json")
    person.types(ENTER).leaves(2)


@needs_curses
def test_two_questions_come_one_after_the_other(asked: Home) -> None:
    first = Typist(asked, "token", URL).sees("<Allow>")
    _, script = tool(asked, "twine")
    second = Tool(asked, script)
    first.types(TAB + ENTER).leaves(0)
    assert "nothing" in second.sees("twine wants").sees("<Allow>").types(ENTER).leaves(0)


@needs_curses
@pytest.mark.parametrize("by", ["auth", "a tool"])
def test_ctrl_c_ends_the_command_and_its_question_and_leaves_the_terminal_usable(
    asked: Home, by: str
) -> None:
    command = f"auth token {URL}" if by == "auth" else " ".join(tool(asked, "twine"))
    person = Shell(asked).types(f"{command}\r").sees("<Allow>").types(CTRL_C)
    person.sees("Interrupt").sees("$ ").types("echo still ''here\r").sees("still here").types(
        "stty -a | tr ';' '\\n'\r"
    )
    shown = person.sees("echoctl").types("exit\r").leaves(0)
    assert " icanon" in shown
    assert " -echo " not in shown
    assert lines(asked)[-1]["decision"] == "refused"


def test_where_nobody_can_be_asked_it_is_refused_at_once(asked: Home) -> None:
    result = asked.auth("token", URL)
    assert result.returncode == 2
    assert "Approval for giving auth the credential" in result.stderr
    assert asked.run(*tool(asked, "twine")).stdout == "nothing\n"


def test_a_request_chooses_neither_the_program_nor_another_ones_terminal(asked: Home) -> None:
    """Somebody's terminal is named, by a process that has none."""
    ours, theirs = os.openpty()
    try:
        found = asked.auth(
            "token", URL, TOKENWARD_PINENTRY="/bin/echo", TTY=os.ttyname(theirs), GPG_TTY="x"
        )
        assert "neither a terminal nor a display" in found.stderr
    finally:
        os.close(ours)
        os.close(theirs)


def test_a_program_of_ssh_askpass_kind_asks_by_a_field(asked: Home) -> None:
    path = asked.path / "my-askpass"
    path.write_text('#!/bin/sh\nprintf %s "$1" >"$HOME/question"; echo yes\n')
    path.chmod(0o700)
    rules(asked, f'pinentry = "{path}"\n[[policy]]\ndecide = "ask"\n')
    assert asked.done("token", URL, DISPLAY=":7") == f"{SECRET}\n"
    question = (asked.path / "question").read_text()
    assert question.startswith("auth wants the credential for https://index.example/.\n")
    assert question.endswith("Type yes to allow:")
    assert SECRET not in question
