"""`auth token SERVICE` with no agent running: start one, open its vault, print the secret."""

from __future__ import annotations

import os
import signal
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from statistics import median
from time import sleep
from typing import TYPE_CHECKING

from commands import SECRET, SERVICE
from figures import Row, interleaved
from fill import fill
from served import FEW, MANY
from system_keyring import missing, system_keyring
from whole_process import prints, seconds

from support.auth_commands import PROGRAMS
from support.home import Home

if TYPE_CHECKING:
    from collections.abc import Iterator

_AUTH = str(PROGRAMS / "auth")
_COMMAND = [_AUTH, "token", SERVICE]
_WHAT = "the same with no agent running"
_LIMITS = {"key file": 0.3, "passphrase": 0.6, "system keyring": 1.0}


def rows(rounds: int = 15) -> Iterator[Row]:
    """Yield what each kind of vault costs."""
    with ExitStack() as stack:
        homes = {
            "key file": _home(stack, "disabled"),
            "passphrase": _home(stack, "disabled", passphrase=True),
            "10,000": _home(stack, "disabled", more=MANY),
        }
        session = stack.enter_context(system_keyring())
        if session is not None:
            homes["system keyring"] = _home(stack, "keyring", session)
        for home in homes.values():
            _stop(home)
            prints(_COMMAND, home.environment, SECRET)
        samples = interleaved({name: partial(_from_cold, homes[name]) for name in homes}, rounds)
    for name, limit in _LIMITS.items():
        if name not in samples:
            yield Row(_WHAT, name, limit, "s", None, missing())
            continue
        aside = {"slowest": max(samples[name]) * 1e3}
        if name == "key file":
            aside["with 10,000 credentials"] = median(samples["10,000"]) * 1e3
        yield Row(_WHAT, name, limit, "s", median(samples[name]), aside=aside)


def _home(
    stack: ExitStack,
    provider: str,
    variables: dict[str, str] | None = None,
    *,
    passphrase: bool = False,
    more: int = FEW,
) -> Home:
    """Make a home whose vault holds the secret, and others where it opens with a key file."""
    home = stack.enter_context(Home())
    home.environment |= variables or {}
    if passphrase:
        file = home.path / "passphrase"
        file.touch(mode=0o600)
        file.write_text("correct horse battery staple\n")
        home.environment["TOKENWARD_PASSPHRASE_FILE"] = str(file)
    home.done("login", SERVICE, "--token", "-", "--keyring-provider", provider, stdin=SECRET)
    if provider == "disabled" and not passphrase:
        _stop(home)
        data, state = (Path(home.environment[f"XDG_{name}_HOME"]) for name in ("DATA", "STATE"))
        fill(data / "tokenward", state / "tokenward", more)
    return home


def _stop(home: Home) -> None:
    """End the agent: by its pid, since not every machine's init is quick to say who has died."""
    pid = home.agent_pid()
    if pid is None:
        return
    os.kill(pid, signal.SIGTERM)
    while (Path(home.environment["XDG_RUNTIME_DIR"]) / "tokenward" / "agent.sock").exists():
        sleep(0.01)
    sleep(0.1)  # what is left of its end should not cost its successor time


def _from_cold(home: Home) -> float:
    _stop(home)
    return seconds(_COMMAND, home.environment)
