"""Whole processes, timed from the spawn to the end, without the cost of a library around them."""

from __future__ import annotations

import os
import subprocess
from time import perf_counter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

_QUIET = [
    (os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0),
    (os.POSIX_SPAWN_OPEN, 2, os.devnull, os.O_WRONLY, 0),
]


def seconds(command: list[str], environ: Mapping[str, str], stdin: str = os.devnull) -> float:
    """Run a command, whose program is an absolute path, and return how long it took.

    `stdin` is a file.

    Raises CalledProcessError unless it exits with 0.
    """
    actions = [(os.POSIX_SPAWN_OPEN, 0, stdin, os.O_RDONLY, 0), *_QUIET]
    begun = perf_counter()
    process = os.posix_spawn(command[0], command, environ, file_actions=actions)
    _, status, _ = os.wait4(process, 0)
    took = perf_counter() - begun
    if status:
        raise subprocess.CalledProcessError(os.waitstatus_to_exitcode(status), command)
    return took


def prints(
    command: list[str], environ: Mapping[str, str], line: str, stdin: str = os.devnull
) -> None:
    """See that `line` is in what a command prints: it should do what it is timed for."""
    with open(stdin, encoding="utf-8") as said:  # noqa: PTH123 - /dev/null, too
        done = subprocess.run(
            command, env=environ, stdin=said, capture_output=True, text=True, check=True
        )
    if line not in done.stdout:
        raise RuntimeError(f"{command} printed something else than what was stored")
