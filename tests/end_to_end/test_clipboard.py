"""`auth token --copy` on a real X display: the secret is there, and it is taken back."""

from __future__ import annotations

import os
import shutil
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from support.inspection.process_memory import copies
from support.systems.x_display import MISSING, display
from support.waiting import until
from tokenward.ui import clipboard

if TYPE_CHECKING:
    from collections.abc import Iterator

    from support.home import Home
    from support.systems.x_display import Display

URL = "https://h.example/"
SECRET = "s3cret wörd"
KEY = b"k" * 32

on_a_display = pytest.mark.skipif(
    bool(MISSING) or shutil.which("xclip") is None, reason="needs xclip, xvfb, xauth and xdotool"
)


@pytest.fixture
def screen(tmp_path: Path) -> Iterator[Display]:
    with display(tmp_path) as it:
        yield it


def environ(screen: Display) -> dict[str, str]:
    return {"PATH": "/usr/bin:/bin", **screen.variables}


def pasted(screen: Display) -> str:
    return screen.run("xclip", "-selection", "clipboard", "-out").stdout


def clearing_processes() -> list[int]:
    """Return the processes that wait to clear a clipboard."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if b"tokenward.ui.clipboard" in (process / "cmdline").read_bytes():
                found.append(int(process.name))
        except OSError:
            continue
    return found


@on_a_display
def test_a_secret_is_copied_and_never_printed(home: Home, screen: Display) -> None:
    home.log_in(URL, SECRET)
    before = set(clearing_processes())
    done = home.auth("token", URL, "--copy", **screen.variables)
    (pid,) = set(clearing_processes()) - before
    try:
        assert (done.returncode, done.stdout) == (0, "")
        assert done.stderr == f"Copied the secret for {URL}, for 45 seconds.\n"
        assert pasted(screen) == SECRET
        for name in ("cmdline", "environ"):
            assert SECRET.encode() not in Path(f"/proc/{pid}/{name}").read_bytes()
        assert copies(pid, [SECRET.encode()]) == 0
        assert os.getsid(pid) == pid  # the end of the terminal does not end it
    finally:
        os.kill(pid, 15)


@on_a_display
def test_what_was_copied_is_cleared(screen: Display) -> None:
    variables = environ(screen)
    clipboard._run(clipboard.find(variables).put, variables, SECRET.encode())
    until(lambda: pasted(screen) == SECRET)
    marks = KEY + blake2b(SECRET.encode(), key=KEY).digest()
    assert clipboard.clear_after(0, marks, variables)
    assert pasted(screen) == ""


@on_a_display
def test_what_was_copied_since_stays(screen: Display) -> None:
    variables = environ(screen)
    clipboard._run(clipboard.find(variables).put, variables, b"something else")
    marks = KEY + blake2b(SECRET.encode(), key=KEY).digest()
    assert not clipboard.clear_after(0, marks, variables)
    assert pasted(screen) == "something else"


def test_without_a_desktop_nothing_is_copied_or_printed(home: Home) -> None:
    home.log_in(URL, SECRET)
    done = home.auth("token", URL, "--copy")
    assert (done.returncode, done.stdout) == (2, "")
    assert "no clipboard" in done.stderr


def test_a_sealed_token_is_not_copied(home: Home, tmp_path: Path) -> None:
    from support.macaroons import token_of

    programs = tmp_path / "bin"
    programs.mkdir()
    (programs / "xclip").write_text(f"#!/bin/sh\ncat > {tmp_path}/copied\n")
    (programs / "xclip").chmod(0o700)
    home.done("login", "--sealed", "--token", token_of("pypi.org"))
    variables = {"DISPLAY": ":77", "PATH": f"{programs}:{home.environment['PATH']}"}
    assert home.auth("token", "--copy", **variables).returncode == 2
    assert not (tmp_path / "copied").exists()
