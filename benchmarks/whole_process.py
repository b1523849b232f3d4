"""Whole processes, timed from the spawn to the end, without the cost of a library around them."""

from __future__ import annotations

import os
import subprocess
from time import perf_counter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

_QUIET = [
    (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
    (os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0),
    (os.POSIX_SPAWN_OPEN, 2, os.devnull, os.O_WRONLY, 0),
]


def seconds(command: list[str], environ: Mapping[str, str]) -> float:
    """Run a command, whose program is an absolute path, and return how long it took.

    Raises CalledProcessError unless it exits with 0.
    """
    begun = perf_counter()
    process = os.posix_spawn(command[0], command, environ, file_actions=_QUIET)
    _, status, _ = os.wait4(process, 0)
    took = perf_counter() - begun
    if status:
        raise subprocess.CalledProcessError(os.waitstatus_to_exitcode(status), command)
    return took


def prints(command: list[str], environ: Mapping[str, str], line: str) -> None:
    """See that a command prints this one line: what is timed should do what it is timed for."""
    done = subprocess.run(
        command, env=environ, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=True
    )
    if done.stdout != f"{line}\n":
        raise RuntimeError(f"{command} printed something else than what was stored")
