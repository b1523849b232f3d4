"""Questions that real programs put to a person, in real workers: what each answer is, and their end."""

from __future__ import annotations

import asyncio
import contextlib
import os
import pty
import re
import select
import shutil
import socket
import subprocess
import sys
import termios
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.systems.x_display import MISSING, Display, display
from support.waiting import PATIENCE, until, until_in_loop
from tokenward_agent.arena import Arena
from tokenward_agent.failure import Failure
from tokenward_agent.peer.process import Process
from tokenward_agent.peer.requester import Requester
from tokenward_agent.prompt.prompter import SECONDS, PromptContext, Prompter, find_program
from tokenward_agent.prompt.question import duration_text, question_lines, remember_text, shorten
from tokenward_agent.worker.pinentry import MAX_LINE, MAX_TEXT, escape, fit_lines
from tokenward_agent.worker.prompt_jobs import escape_controls

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Unix")

LINES = ["twine wants to publish mine to pypi.", "User name: __token__"]
NOWHERE = PromptContext({}, "", "")


def installed(name: str) -> pytest.MarkDecorator:
    return pytest.mark.skipif(shutil.which(name) is None, reason=f"needs Debian's {name}")


def answer(
    named: str, prompt_context: PromptContext, *, seconds: float = SECONDS, asker: int | None = None
) -> tuple[str, float]:
    """Have a question put, and return its answer and how long that took."""

    async def ask() -> tuple[str, float]:
        loop = asyncio.get_running_loop()
        begun = loop.time()
        found = await Prompter(Arena(1 << 18)).ask(
            LINES, prompt_context, named, begun + seconds, asker
        )
        return found, loop.time() - begun

    return asyncio.run(ask())


def program_that(folder: Path, name: str, *body: str) -> str:
    """Make a program and return its path."""
    path = folder / name
    path.write_text("\n".join(["#!/bin/sh", *body]))
    path.chmod(0o700)
    return str(path)


class Console:
    """A terminal, and whoever reads and types at its other end."""

    def __init__(self) -> None:
        self._ours, self._theirs = pty.openpty()
        self.path = os.ttyname(self._theirs)
        self.prompt_context = PromptContext({}, self.path, "xterm")
        self.modes = self._modes()

    def _modes(self) -> list[Any]:
        return termios.tcgetattr(self._theirs)

    def is_as_it_was(self) -> bool:
        return self._modes() == self.modes

    def close(self) -> None:
        os.close(self._ours)
        os.close(self._theirs)

    def read(self, seconds: float = 0.1) -> str:
        data = b""
        while select.select([self._ours], [], [], seconds)[0]:
            data += os.read(self._ours, 65536)
        return data.decode(errors="replace")

    def typed(self, *keys: str) -> asyncio.Task[str]:
        """Wait for the question, then type; return what was on the screen."""

        async def work() -> str:
            seen, give_up = "", time.monotonic() + PATIENCE
            while "Allow>" not in seen and "]? " not in seen:
                assert time.monotonic() < give_up, seen
                seen += await asyncio.to_thread(self.read)
            for key in keys:
                os.write(self._ours, key.encode())
            return seen

        return asyncio.create_task(work())


@pytest.fixture
def console() -> Iterator[Console]:
    found = Console()
    yield found
    found.close()


def on(console: Console, named: str, *keys: str) -> tuple[str, str]:
    """Have a question put on a terminal and keys typed; return the answer and what was shown."""

    async def ask() -> tuple[str, str]:
        loop = asyncio.get_running_loop()
        typing = console.typed(*keys)
        prompter = Prompter(Arena(1 << 18))
        found = await prompter.ask(
            LINES, console.prompt_context, named, loop.time() + SECONDS, None
        )
        return found, await typing

    return asyncio.run(ask())


@installed("pinentry-curses")
@pytest.mark.parametrize(
    ("keys", "answered"),
    [(("\t", "\r"), "yes"), (("\r",), "no"), (("\t", "\t", "\r"), "no"), ((" ", "\r"), "no")],
)
def test_on_a_terminal_a_yes_takes_more_than_enter(
    console: Console, keys: tuple[str, ...], answered: str
) -> None:
    found, seen = on(console, "pinentry-curses", *keys)
    assert found == answered
    assert "twine wants to publish mine to pypi." in seen
    assert console.is_as_it_was()


@installed("pinentry-tty")
@pytest.mark.parametrize(("key", "answered"), [("a", "yes"), ("d", "no")])
def test_on_a_plain_terminal_a_letter_decides(console: Console, key: str, answered: str) -> None:
    assert on(console, "pinentry-tty", key)[0] == answered


@installed("pinentry-curses")
def test_no_answer_in_time_is_told_and_leaves_the_terminal_as_it_was(console: Console) -> None:
    found, _ = answer("pinentry-curses", console.prompt_context, seconds=6)
    assert found == "late"
    assert console.is_as_it_was()


@installed("pinentry-curses")
def test_half_an_answer_does_not_hold_it_up(console: Console, tmp_path: Path) -> None:
    """Nor does it leave a terminal without echo, which a program that is killed cannot mend."""
    stuck = program_that(tmp_path, "stuck", f"stty -echo raw <{console.path}", "sleep 100")
    found, took = answer(stuck, console.prompt_context, seconds=6)
    assert found == "late"
    assert took < SECONDS
    assert console.is_as_it_was()


@installed("pinentry-curses")
@pytest.mark.parametrize(
    "how", [socket.SHUT_WR, socket.SHUT_RDWR, None], ids=["half", "both", "closed"]
)
def test_a_question_ends_where_whoever_asked_hangs_up(console: Console, how: int | None) -> None:
    theirs, ours = socket.socketpair()

    async def ask() -> str:
        loop = asyncio.get_running_loop()

        async def hang_up() -> None:
            await console.typed()
            await asyncio.to_thread(console.read, 0.3)  # until all is drawn
            theirs.send(b"what comes behind is not looked at")
            theirs.close() if how is None else theirs.shutdown(how)

        ending = asyncio.create_task(hang_up())
        prompter, end = Prompter(Arena(1 << 18)), loop.time() + SECONDS
        found = await prompter.ask(
            LINES, console.prompt_context, "pinentry-curses", end, ours.fileno()
        )
        await ending
        return found

    with theirs, ours:
        assert asyncio.run(ask()) == "gone"
    assert console.is_as_it_was()


PINENTRY = """echo OK; while read -r word rest; do case $word in
GETINFO) echo "D {flavor}"; echo OK;;
CONFIRM) {confirm};;
GETPIN) {pin};;
*) echo OK;; esac; done"""


@pytest.mark.parametrize(
    ("flavor", "does", "answered"),
    [
        ("mac", {"pin": "echo 'D yes'; echo OK"}, "yes"),
        ("mac", {"pin": "echo 'D YES '; echo OK"}, "yes"),
        ("mac", {"pin": "echo 'D y'; echo OK"}, "no"),
        ("mac", {"pin": "echo OK"}, "no"),
        ("mac", {"pin": "echo 'ERR 83886179 cancelled'"}, "no"),
        ("mac", {"pin": "exit"}, "no"),
        ("qt", {"confirm": "echo OK"}, "yes"),
        ("qt", {"confirm": "echo 'ERR 83886194 not confirmed'"}, "no"),
        ("gtk2:curses", {"confirm": "echo OK"}, "no"),
        ("gtk2:curses", {"confirm": "echo 'ERR 83886194 not confirmed'"}, "yes"),
        ("curses", {"confirm": "echo 'ERR 83886179 cancelled'"}, "no"),
        ("qt", {"confirm": "echo 'ERR 83886142 timeout'"}, "late"),
        ("qt", {"confirm": "exit"}, "no"),
        ("qt", {"confirm": "echo OK OK; sleep 100"}, "yes"),
        ("qt", {"confirm": "echo 'INQUIRE x'; sleep 100"}, "no"),
        ("qt", {"confirm": "while :; do echo D 0123456789012345678901234567890123456789; done"}, "no"),
    ],
)  # fmt: skip
def test_each_flavor_has_its_own_yes_and_all_else_is_a_no(
    tmp_path: Path, flavor: str, does: dict[str, str], answered: str
) -> None:
    body = PINENTRY.format(flavor=flavor, **{"confirm": "echo OK", "pin": "echo OK"} | does)
    assert answer(program_that(tmp_path, "pinentry-x", body), NOWHERE)[0] == answered


@pytest.mark.parametrize(
    ("body", "answered"),
    [
        ("echo yes", "yes"),
        ('case "$1" in *"mine to pypi"*"Type yes to allow:"*) echo yes;; esac', "yes"),
        ("echo", "no"),
        ("exit 0", "no"),
        ("echo yes; exit 1", "no"),
        ("cat", "no"),
        ("yes", "no"),
    ],
)
def test_a_program_like_ssh_askpass_has_to_print_yes(
    tmp_path: Path, body: str, answered: str
) -> None:
    assert answer(program_that(tmp_path, "x-askpass", body), NOWHERE)[0] == answered


def test_a_program_that_hangs_is_dead_at_the_deadline_with_all_that_it_started(
    tmp_path: Path,
) -> None:
    path = program_that(
        tmp_path, "hung", "trap '' TERM", f"sleep 100 & echo $! >{tmp_path}/pid; wait"
    )
    assert answer(path, NOWHERE, seconds=5)[0] == "late"
    pid = int((tmp_path / "pid").read_text())
    until(lambda: not Path(f"/proc/{pid}").exists())


@pytest.mark.parametrize(
    ("named", "why"),
    [
        ("/nowhere/pinentry", "cannot be run"),
        ("no-such-pinentry", "No program that can show a prompt"),
    ],
)
def test_where_no_program_can_ask_that_is_told(named: str, why: str) -> None:
    with pytest.raises(Failure, match=why):
        answer(named, NOWHERE)


def test_an_error_of_any_length_is_one_that_is_not_known(tmp_path: Path) -> None:
    body = PINENTRY.format(flavor="qt", confirm="printf 'ERR 1%09999d\\n' 0", pin="echo OK")
    with pytest.raises(Failure, match="showed no prompt"):
        answer(program_that(tmp_path, "pinentry-x", body), NOWHERE)


@installed("pinentry-curses")
def test_a_terminal_that_is_none_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(Failure, match="is not a terminal"):
        answer("pinentry-curses", PromptContext({}, str(tmp_path / "file"), "xterm"))
    with pytest.raises(Failure, match="showed no prompt"):
        answer("pinentry-curses", NOWHERE)


def test_the_session_of_the_asker_is_the_only_one_that_the_program_sees(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DISPLAY", ":agents-own")
    monkeypatch.setenv("WAYLAND_DISPLAY", "agents-own")
    path = program_that(tmp_path, "askpass", f"env >{tmp_path}/seen; echo yes")
    answer(path, PromptContext({"XAUTHORITY": "/theirs"}, "", ""))
    seen = (tmp_path / "seen").read_text()
    assert "agents-own" not in seen
    assert "XAUTHORITY=/theirs" in seen


# A graphical one.


@pytest.fixture
def seen(tmp_path: Path) -> Iterator[Display]:
    if MISSING:
        pytest.skip(f"needs {', '.join(MISSING)}")
    with display(tmp_path) as found:
        yield found


@pytest.mark.xdist_group("screen")
@pytest.mark.parametrize(
    ("named", "keys", "answered"),
    [
        *[(name, ("alt+a",), "yes") for name in ("pinentry-gtk-2", "pinentry-qt")],
        *[(name, (key,), "no") for name in ("pinentry-gtk-2", "pinentry-qt") for key in ("Return", "Escape", "space")],
        ("pinentry-gnome3", ("text:yes", "Return"), "yes"),
        ("pinentry-gnome3", ("Return",), "no"),
        ("pinentry-gnome3", ("Escape",), "no"),
    ],
)  # fmt: skip
def test_in_a_window_a_yes_takes_more_than_enter(
    seen: Display, tmp_path: Path, named: str, keys: tuple[str, ...], answered: str
) -> None:
    if shutil.which(named) is None:
        pytest.skip(f"needs Debian's {named}")
    variables = dict(seen.variables)
    with contextlib.ExitStack() as stack:
        if named == "pinentry-gnome3":
            variables |= stack.enter_context(_bus(tmp_path, seen))

        async def ask() -> str:
            loop = asyncio.get_running_loop()
            prompter = Prompter(Arena(1 << 18))
            asking = asyncio.create_task(
                prompter.ask(
                    LINES, PromptContext(variables, "", ""), named, loop.time() + SECONDS, None
                )
            )
            await until_in_loop(lambda: asking.done() or seen.windows())
            if not asking.done():
                await asyncio.to_thread(seen.press, seen.windows()[0], *keys)
            return await asking

        assert asyncio.run(ask()) == answered


@contextlib.contextmanager
def _bus(folder: Path, seen: Display) -> Iterator[dict[str, str]]:
    """Lend a D-Bus session whose services start on that display, as gcr's prompter does."""
    command = ["dbus-daemon", "--session", "--print-address=1", "--nofork"]
    environment = {"PATH": "/usr/bin:/bin", "HOME": str(folder), **seen.variables}
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=environment, text=True
    ) as bus:
        assert bus.stdout is not None
        try:
            yield {"DBUS_SESSION_BUS_ADDRESS": bus.stdout.readline().strip()}
        finally:
            bus.terminate()


# What is shown.


@given(st.text(max_size=300), st.integers(0, 300))
def test_no_text_becomes_a_command_or_a_longer_line(text: str, limit: int) -> None:
    data = escape(text, limit)
    assert len(data) <= limit <= MAX_LINE
    assert not re.search(rb"[\r\n]|%(?!25|0A|0D)", data)


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        ("/home/ana/é/x", "/home/ana/é/x"),
        ("a\x1b[31m\nb", "a\\x1b[31m\\nb"),
        ("a\u202eb", "a\\u202eb"),
        ("a\u05d0b", "a\\u05d0b"),
        ("<b>a</b>", "\\x3cb>a\\x3c/b>"),
        ("\udcff", "\\udcff"),
        ("a\u3164\u2800b", "a\\u3164\\u2800b"),
    ],
)
def test_what_could_look_like_something_else_is_escaped(text: str, seen: str) -> None:
    assert escape_controls(text) == seen


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (1, "one second"),
        (60, "one minute"),
        (90, "90 seconds"),
        (7200, "2 hours"),
        (86400, "one day"),
    ],
)
def test_a_length_of_time_is_said_to_a_person(seconds: int, text: str) -> None:
    assert duration_text(seconds) == text
    assert text in remember_text(seconds)


def test_a_long_name_loses_its_middle() -> None:
    assert shorten("a" * 200 + "b" * 200) == "a" * 59 + "…" + "b" * 59


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        ("/usr/bin/twine", "/usr/bin/twine"),
        ("pip. Nothing is given. Also twine", '"pip. Nothing is given. Also twine"'),
        ('a" wants x. "b', '"a\\" wants x. \\"b"'),
        ('a\\" b', '"a\\\\\\" b"'),
        ('"', '"\\""'),
    ],
)
def test_a_name_is_not_read_as_a_sentence_of_ours(text: str, seen: str) -> None:
    assert shorten(text) == seen


@pytest.mark.parametrize("char", ["a", "%", "é", "\U000e0001", "\udcff"])
def test_no_name_pushes_out_what_a_yes_would_give(char: str) -> None:
    """A program and a request choose names as long as they can, of what takes the most bytes."""
    exe = f"/tmp/{char * 250}"
    process = Process(5, 1, 5, 0, "x", exe=exe, cwd=exe, argv=("x",), whole=True)
    projects = [f"p{number}{'a' * 118}" for number in range(8)]
    requester = Requester.from_processes((process, process._replace(pid=4)))
    lines = question_lines(
        requester, "https://h.example/", char * 1024, "publish", projects, "the whole"
    )
    lines += [remember_text(900), "No answer within 56 seconds is a no."]
    text = fit_lines([escape_controls(line) for line in lines], MAX_TEXT)
    assert len(escape(text)) <= MAX_TEXT
    seen = text.split("\n")
    assert len(seen) == len(lines)
    assert seen[0].endswith(" to https://h.example/.")
    assert seen[1] == "It gets the whole."
    assert seen[-2:] == lines[-2:]


@given(st.lists(st.text(max_size=400), max_size=9), st.integers(200, 1000))
def test_lines_fit_and_short_ones_are_whole(lines: list[str], limit: int) -> None:
    text = fit_lines(lines, limit)
    assert len(escape(text, 1 << 20)) <= limit
    if len(escape("\n".join(lines), 1 << 20)) <= limit:
        assert text == "\n".join(lines)


# Which program.


def only(*names: str) -> Callable[[str], bool]:
    return lambda path: Path(path).name in names


def test_the_program_fits_the_screen() -> None:
    every = only("pinentry", "pinentry-qt", "pinentry-curses", "ssh-askpass")
    assert find_program("", display=False, tty=True, runs=every) == "/usr/bin/pinentry-curses"
    assert find_program("", display=True, tty=True, runs=every) == "/usr/bin/pinentry"
    assert find_program("", display=True, tty=False, runs=every) == "/usr/bin/pinentry-qt"
    assert (
        find_program("", display=True, tty=False, runs=only("ssh-askpass"))
        == "/usr/bin/ssh-askpass"
    )
    assert find_program("", display=False, tty=True, runs=only("pinentry-qt")) is None
    assert find_program("", display=False, tty=True, runs=only("ssh-askpass")) is None


def test_a_program_that_was_chosen_is_the_one() -> None:
    assert find_program("/opt/x", display=True, tty=True, runs=only()) == "/opt/x"
    assert find_program("pinentry-tty", display=True, tty=True, runs=only("pinentry-tty")) == (
        "/usr/bin/pinentry-tty"
    )
    assert find_program("x", display=True, tty=True, runs=only("pinentry")) is None
