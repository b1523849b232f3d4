"""The user is asked about an upload: in which words, how often, and what a yes covers.

The questions are kept by a program of ssh-askpass' kind; real pinentries are at the end.
"""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from support.inspection.processes import is_running
from support.policy import follow_rule
from support.terminal import Shell, Typist
from support.waiting import until

if TYPE_CHECKING:
    from support.runs import Publisher

CURSES = Path("/usr/bin/pinentry-curses")
TAB, ENTER = "\t", "\r"
SCREEN = {"DISPLAY": ":7"}

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="relays exist on Linux alone")
needs_curses = pytest.mark.skipif(not CURSES.exists(), reason="needs Debian's pinentry-curses")


def digest(path: str) -> str:
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()


def test_the_question_says_what_would_be_published_where(publisher: Publisher) -> None:
    publisher.asking()
    tool, wheel = publisher.twine(), publisher.wheel()
    assert publisher.exec(tool, "upload", wheel, **SCREEN).stdout == "200 \n"
    (question,) = publisher.questions()
    lines = question.splitlines()
    size = Path(wheel).stat().st_size
    assert lines[:4] == [
        f"twine wants to publish mine 1.0 to {publisher.index.url}legacy/:",
        f"mine-1.0-py3-none-any.whl, {size:,} bytes",
        f"SHA-256: {digest(wheel)}",
        "User name: ana",
    ]
    assert lines[4].startswith("Program: /")
    assert lines[4].endswith(tool)
    assert "A yes covers this file alone, in this run." in lines
    first, last = publisher.lines("publish", "published")
    assert (first["consent"], last["consent"], last["status"]) == ("asked", "asked", "200")


def test_a_no_publishes_nothing_and_is_in_the_log(publisher: Publisher) -> None:
    publisher.asking()
    publisher.askpass("no")
    shown = publisher.exec(publisher.twine(), "upload", publisher.wheel(), **SCREEN)
    assert shown.stdout.startswith("400 tokenward: The user denied twine an upload of mine to")
    assert "tokenward: The user denied twine" in shown.stderr
    (line,) = publisher.lines("publish", "published")
    assert (line["decision"], line["consent"], line["file"]) == (
        "refused",
        "asked",
        "mine-1.0-py3-none-any.whl",
    )
    assert publisher.index.uploads == []


def test_one_question_covers_the_files_of_a_release_that_the_command_line_names(
    publisher: Publisher,
) -> None:
    publisher.asking()
    names = ["mine==1.0", "Mine==1.0.0", "mine==2.0"]
    wheels = [publisher.wheel(name) for name in names]
    other = Path(wheels[0]).with_name("mine-1.0-cp311-cp311-any.whl")
    other.write_bytes(b"another wheel")
    shown = publisher.exec(publisher.twine(), "upload", *wheels, str(other), **SCREEN)
    assert shown.stdout == "200 \n" * 4, shown
    first, second = publisher.questions()
    assert "A yes covers these 3 files alone" in first
    for path in (Path(wheels[0]), Path(wheels[1]), other):
        size = path.stat().st_size
        assert f"{path.name}, {size:,} bytes, SHA-256 {digest(str(path))[:16]}…" in first
    assert "mine 2.0" in second
    assert "A yes covers this file alone" in second
    kinds = [line["consent"] for line in publisher.lines("publish")]
    assert kinds == ["asked", "remembered", "asked", "remembered"]


def test_a_file_that_changed_after_the_run_began_is_a_question_of_its_own(
    publisher: Publisher,
) -> None:
    publisher.asking()
    tool = publisher.script(
        "twine",
        "path = sys.argv[2]\nprint(*upload(path, 'mine', '1.0'))\n"
        "pathlib.Path(path).write_bytes(b'changed')\nprint(*upload(path, 'mine', '1.0'))",
    )
    wheel = publisher.wheel()
    assert publisher.exec(tool, "upload", wheel, **SCREEN).stdout == "200 \n200 \n"
    _, second = publisher.questions()
    assert f"SHA-256: {hashlib.sha256(b'changed').hexdigest()}" in second


def test_a_run_asks_three_questions_at_most(publisher: Publisher) -> None:
    publisher.asking()
    wheels = [publisher.wheel(f"mine=={number}.0") for number in range(1, 6)]
    shown = publisher.exec(publisher.twine(), "upload", *wheels, **SCREEN).stdout
    assert shown.startswith("200 \n200 \n200 \n400 tokenward: This run has asked 3 questions")
    assert len(publisher.questions()) == len(publisher.index.uploads) == 3


def test_a_command_that_names_no_file_is_asked_about_what_lies_in_dist(
    publisher: Publisher,
) -> None:
    publisher.asking()
    for tag in "abc":
        publisher.wheel()
        Path(publisher.home.path, f"dist/mine-1.0-{tag}-none-any.whl").write_bytes(tag.encode())
    tool = publisher.script(
        "uv",
        "for path in sorted(pathlib.Path('dist').iterdir()):\n"
        "    print(*upload(str(path), 'mine', '1.0'))",
    )
    shown = publisher.exec("--project", "mine", "--", tool, "publish", **SCREEN)
    assert shown.stdout == "200 \n" * 4, shown
    (question,) = publisher.questions()
    assert "A yes covers these 4 files alone" in question


def test_a_yes_in_one_run_is_none_in_the_next(publisher: Publisher) -> None:
    publisher.asking('[[policy]]\npurpose = "publish"\ndecide = "ask"\nremember = "8h"\n')
    command = (publisher.twine(), "upload", publisher.wheel())
    for _ in range(2):
        assert publisher.exec(*command, **SCREEN).stdout == "200 \n"
    assert len(publisher.questions()) == 2


def is_unsent(line: dict[str, object]) -> bool:
    """Tell whether a line says that an upload was not sent, whichever came first: yes or notice."""
    return line.get("why") == "given up" or line.get("status") == "not-sent"


@pytest.mark.skipif(not Path("/usr/bin/curl").exists(), reason="needs curl")
def test_an_upload_that_the_tool_gave_up_is_never_sent(publisher: Publisher) -> None:
    """The yes comes after the tool has gone."""
    publisher.asking()
    publisher.askpass(before="while [ ! -e $HOME/go ]; do sleep 0.05; done")
    wheel = publisher.wheel()
    form = f"-F :action=file_upload -F name=mine -F version=1.0 -F content=@{wheel}"
    command = f"curl -sS -m 2 {form} $TWINE_REPOSITORY_URL; touch gone; read line"
    shell = publisher.started("--project", "mine", "--", "sh", "-c", command, **SCREEN)
    try:
        until((publisher.home.path / "gone").exists)
        (publisher.home.path / "go").touch()
        until(lambda: [*filter(is_unsent, publisher.lines("publish", "published"))])
        assert publisher.index.uploads == []
    finally:
        shell.communicate("\n")


def test_a_tool_that_gave_up_before_the_answer_ends_the_question(publisher: Publisher) -> None:
    publisher.asking()
    publisher.askpass(before="echo $$ >$HOME/asks; sleep 600 & wait")
    tool = publisher.script(
        "twine",
        "import socket\nsocket.setdefaulttimeout(1)\n"
        "print(*upload(sys.argv[2], 'mine', '1.0'), flush=True)\ninput()",
    )
    run = publisher.started(tool, "upload", publisher.wheel(), **SCREEN)
    try:
        until(lambda: publisher.lines("publish"))
        (line,) = publisher.lines("publish")
        assert (line["decision"], line["why"]) == ("refused", "given up")
        asks = int((publisher.home.path / "asks").read_text())
        until(lambda: not is_running(asks))
    finally:
        run.communicate("\n")


def test_a_tool_that_waits_gets_interim_answers(publisher: Publisher) -> None:
    """The yes comes after the second of them."""
    publisher.asking()
    publisher.askpass(before="while [ ! -e $HOME/go ]; do sleep 0.05; done")
    tool = publisher.script(
        "twine",
        "import http.client\n"
        "class Response(http.client.HTTPResponse):\n"
        "    count = 0\n"
        "    def _read_status(self):\n"
        "        found = super()._read_status()\n"
        "        Response.count += found[1] == 100\n"
        "        if Response.count == 2: open('go', 'w')\n"
        "        return found\n"
        "http.client.HTTPConnection.response_class = Response\n"
        "print(*upload(sys.argv[2], 'mine', '1.0'))",
    )
    shown = publisher.exec(tool, "upload", publisher.wheel(), **SCREEN)
    assert shown.stdout == "200 \n", shown


def test_without_a_screen_it_is_refused_with_the_rule_that_helps(publisher: Publisher) -> None:
    publisher.asking()
    shown = publisher.exec(publisher.twine(), "upload", publisher.wheel())
    assert "neither a terminal nor a display" in shown.stdout
    assert publisher.index.uploads == []
    follow_rule(shown.stderr)
    shown = publisher.exec(publisher.twine(), "upload", publisher.wheel())
    assert len(publisher.index.uploads) == 1, shown


def test_reads_that_need_a_yes_are_asked_about_once_before_the_command_starts(
    publisher: Publisher,
) -> None:
    publisher.asking('[[policy]]\npurpose = "install"\ndecide = "ask"\n')
    reader = publisher.script(
        "pip",
        "import urllib.request as r\nfor _ in range(2):\n"
        "    print(r.urlopen(os.environ['PIP_INDEX_URL']).status)",
    )
    assert publisher.exec(reader, "install", **SCREEN).stdout == "200\n200\n"
    (question,) = publisher.questions()
    assert question.startswith(f"pip wants to install from {publisher.index.url}.")
    assert "It gets downloads from there, without the credential itself." in question


# On a terminal.


class Run(Typist):
    """`auth exec` on a terminal."""

    def __init__(self, publisher: Publisher, *command: str) -> None:
        options = ["exec", "--relay", "--index", "corp", "--project", "mine", "--"]
        super().__init__(publisher.home, *options, *command)


@needs_curses
def test_on_a_terminal_the_command_waits_for_the_answer(publisher: Publisher) -> None:
    publisher.rules('[[policy]]\npurpose = "publish"\ndecide = "ask"\n')
    run = Run(publisher, publisher.twine(), "upload", publisher.wheel())
    run.sees("twine wants to publish mine 1.0 to").sees("Tab, then Enter, allows").sees(
        "<Allow>"
    ).types(TAB + ENTER)
    assert "200" in run.leaves(0)
    assert len(publisher.index.uploads) == 1


@needs_curses
def test_a_full_screen_program_keeps_its_terminal(publisher: Publisher) -> None:
    publisher.rules('[[policy]]\npurpose = "publish"\ndecide = "ask"\n')
    tool = publisher.script(
        "twine", "import tty; tty.setraw(0)\nprint(*upload(sys.argv[2], 'mine', '1.0'))"
    )
    shown = Run(publisher, tool, "upload", publisher.wheel()).leaves(0)
    assert "is impossible: a full-screen program has its terminal" in shown
    assert publisher.index.uploads == []


@needs_curses
def test_a_command_in_the_background_shows_no_question(publisher: Publisher) -> None:
    publisher.rules('[[policy]]\npurpose = "publish"\ndecide = "ask"\n')
    command = f"{publisher.twine()} upload {publisher.wheel()}"
    shell = Shell(publisher.home)
    shell.types(f"auth exec --relay --index corp -- {command} &\r")
    shell.sees("is impossible: the command is not in the foreground of its terminal")
    shell.types("wait\r").types("exit\r").leaves(0)
    assert publisher.index.uploads == []
