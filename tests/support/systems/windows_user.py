"""One user on Windows, and the commands that are run with that user's folders.

Most commands run in this process: to start a Python for each would take most of the time, above all
under Wine. The agent is always a process of its own.
"""

from __future__ import annotations

import io
import os
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple
from unittest import mock

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

COMMAND_SECONDS = 120
"""Seconds for one command, which takes far longer under Wine, on a machine that is busy as well."""


class Done(NamedTuple):
    """What a command did."""

    status: int
    out: str
    err: str


class User:
    """Somebody whose folders lie below `root`; `environ` is what the commands are given."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.environ = {
            **os.environ,
            "LOCALAPPDATA": str(root / "Local"),
            "TOKENWARD_DIR": str(root / "credentials"),
        }

    def auth(self, *arguments: str, given: str = "") -> Done:
        """Run a command with some standard input."""
        from tokenward import cli

        stdin = io.TextIOWrapper(io.BytesIO(given.encode()))
        with (
            mock.patch.dict(os.environ, self.environ, clear=True),
            mock.patch.object(sys, "stdin", stdin),
            _captured("stdout") as out,
            _captured("stderr") as err,
        ):
            status = cli.main(list(arguments))
        return Done(status, out[0], err[0])

    def good(self, *arguments: str, given: str = "") -> str:
        """Run a command for what it prints; it has to succeed."""
        done = self.auth(*arguments, given=given)
        assert done.status == 0, done
        return done.out

    def process(self, *arguments: str, given: str = "") -> Done:
        """Run a command as people do, in a process of its own."""
        done = subprocess.run(
            [sys.executable, "-m", "tokenward", *arguments],
            input=given.encode(),
            capture_output=True,
            env=self.environ,
            check=False,
            timeout=COMMAND_SECONDS,
        )
        return Done(done.returncode, done.stdout.decode(), done.stderr.decode())


@contextmanager
def _captured(name: str) -> Iterator[list[str]]:
    """Have what is written to a stream, by Python or by its descriptor, in a list afterwards."""
    text: list[str] = []
    with tempfile.TemporaryFile("w+", encoding="utf-8", newline="") as file:
        with mock.patch.object(sys, name, file):
            yield text
        file.flush()
        file.seek(0)
        text.append(file.read())
