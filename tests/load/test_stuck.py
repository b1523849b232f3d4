"""A question that nobody answers holds up the one command that asks it, and nobody else."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import psutil

from support.auth_commands import PROGRAMS
from support.waiting import until

if TYPE_CHECKING:
    from support.home import Home

URL = "https://h.example/"


def test_a_stuck_prompt_holds_up_nobody_else(home: Home) -> None:
    phrase, asked, program = (home.path / name for name in ("phrase", "asked", "askpass"))
    phrase.touch(mode=0o600)
    phrase.write_text("a passphrase\n")
    program.write_text(f"#!/bin/sh\ntouch {asked}\nexec sleep 600\n")
    program.chmod(0o700)
    home.done("login", URL, "--token", "t", TOKENWARD_PASSPHRASE_FILE=str(phrase))
    home.done("lock")
    stuck = subprocess.Popen(
        [PROGRAMS / "auth", "unlock"],
        env=home.environment | {"TOKENWARD_ASKPASS": str(program)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    with stuck:
        try:
            until(asked.exists)
            home.done("unlock", TOKENWARD_PASSPHRASE_FILE=str(phrase))
            assert home.done("token", URL).strip() == "t"
            assert stuck.poll() is None
        finally:
            for child in _children(stuck.pid):
                child.kill()
            stuck.kill()


def _children(pid: int) -> list[psutil.Process]:
    return psutil.Process(pid).children(recursive=True)
