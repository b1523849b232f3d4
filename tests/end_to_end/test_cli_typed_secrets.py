"""A question for a secret leaves nothing behind and takes nothing along: on real terminals."""

from __future__ import annotations

import os
import pty
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from support.auth_commands import PROGRAMS
from support.inspection.held_texts import paths_below
from support.terminal import Shell, Typist
from support.waiting import PATIENCE, until

if TYPE_CHECKING:
    from support.home import Home

URL = "https://h.example/"
CTRL_Z, CTRL_BACKSLASH, CTRL_W = "\x1a", "\x1c", "\x17"
KEYS = {
    "left": "\x1b[D",
    "up": "\x1bOA",
    "delete": "\x1b[3~",
    "word": "\x1bb",
    "tab": "\t",
    "start": "\x01",
    "end": "\x05",
}


@pytest.mark.parametrize("key", KEYS.values(), ids=KEYS)
def test_a_key_that_edits_is_no_part_of_a_secret(home: Home, key: str) -> None:
    person = Typist(home, "login", "--no-check", URL, "-u", "alice").sees("(not shown):")
    person.types(f"sec{key}").sees("\a").types("ret\r").answers("New passphrase", "").leaves(0)
    assert home.done("token", URL) == "secret\n"


def test_a_word_of_a_secret_can_be_taken_back(home: Home) -> None:
    person = Typist(home, "login", "--no-check", URL, "-u", "alice").sees("(not shown):")
    person.types(f"wrong{CTRL_W}right\r").answers("New passphrase", "").leaves(0)
    assert home.done("token", URL) == "right\n"


def test_of_several_lines_that_were_pasted_none_is_stored(home: Home) -> None:
    person = Typist(home, "login", "--no-check", URL, "-u", "alice").sees("(not shown):")
    told = person.types("Zmlyc3Q\rc2Vjb25k\r").leaves(2)
    assert "The answer holds more than one line." in told
    assert not list(paths_below(home.path, "*.vault"))
    person = Typist(home, "login", "--no-check", URL, "-u", "alice").sees("(not shown):")
    person.types("\x1b[200~whole\r\x1b[201~").answers("New passphrase", "").leaves(0)
    assert home.done("token", URL) == "whole\n"


def test_what_was_typed_before_a_stop_is_gone_after_it(home: Home) -> None:
    shell = Shell(home).types(f"auth login --no-check {URL} -u alice\r").sees("(not shown):")
    shell.types(f"abc{CTRL_Z}").sees("Stopped").types("fg\r").sees("(not shown):")
    shell.types("secret\r").answers("New passphrase", "").sees("Stored").types("exit\r").leaves(0)
    assert home.done("token", URL) == "secret\n"


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_a_stop_that_nothing_can_catch_shows_no_secret_afterwards(home: Home) -> None:
    shell = Shell(home).types(f"auth login --no-check {URL} -u alice\r").sees("(not shown):")
    shell.types("abc\t").sees("\a")
    (process,) = until(lambda: _clients(home))
    os.kill(int(process.name), signal.SIGSTOP)
    shell.sees("Stopped").types("fg\r").sees("(not shown):")
    until(lambda: not shell.echoes())
    shell.types("secret\r").answers("New passphrase", "").sees("Stored").types("exit\r").leaves(0)
    assert home.done("token", URL) == "secret\n"


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_the_quit_key_ends_it_without_a_core_and_gives_the_terminal_back(home: Home) -> None:
    shell = Shell(home).types("ulimit -c unlimited; ulimit -c\r").sees("unlimited\r\n")
    shell.types(f"auth login --no-check {URL} -u alice\r").sees("(not shown):")
    (process,) = until(lambda: _clients(home))
    assert re.search("Max core file size +0 ", (process / "limits").read_text())
    shell.types(f"abc{CTRL_BACKSLASH}").sees("Interrupted.").types("stty -a\r").sees(" echo ")
    shell.types("exit\r").leaves(0)
    assert not list(home.path.glob("*core*"))


def test_a_passphrase_typed_while_another_is_tried_is_not_shown(home: Home) -> None:
    file = home.path / "phrase"
    file.touch(mode=0o600)
    file.write_text("phrase\n")
    home.log_in(URL, "s3cret", TOKENWARD_PASSPHRASE_FILE=str(file))
    home.done("agent", "restart")
    person = Typist(home, "token", URL).answers("Passphrase:", "wrong")
    assert not person.echoes()
    person.types("typed-ahead").answers("Passphrase:", "phrase")
    shown = person.leaves(0)
    assert "typed-ahead" not in shown
    assert "s3cret" in shown


def test_a_secret_in_stdin_that_cannot_be_read_is_a_sentence(home: Home) -> None:
    for option in (("--token", "-"), ("-u", "alice", "--password", "-")):
        for stdin in ("<&-", "0>/dev/null"):
            done = home.run("sh", "-c", f"auth login {URL} {' '.join(option)} {stdin}")
            assert done.returncode == 2
            assert done.stderr.startswith("error: Standard input ")


def test_a_terminal_that_is_not_ones_own_is_a_sentence(home: Home) -> None:
    """Stdin is a terminal, and there is no /dev/tty: nobody can be asked without being seen."""
    master, slave = pty.openpty()
    try:
        for stderr in (slave, subprocess.PIPE):
            done = subprocess.run(
                [PROGRAMS / "auth", "login", URL, "--token", "-"],
                env=home.environment,
                cwd=home.path,
                stdin=slave,
                stdout=subprocess.PIPE,
                stderr=stderr,
                start_new_session=True,
                timeout=PATIENCE,
                check=False,
            )
            said = os.read(master, 4096) if stderr == slave else done.stderr
            assert done.returncode == 2
            assert b"error: There is no terminal to ask on." in said
    finally:
        os.close(master)
        os.close(slave)


def _clients(home: Home) -> list[Path]:
    """Return what /proc has of each `auth login` that runs in this home."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            is_login = b"\0login\0" in (process / "cmdline").read_bytes()
            if is_login and (process / "cwd").readlink() == home.path:
                found.append(process)
        except OSError:
            continue
    return found
