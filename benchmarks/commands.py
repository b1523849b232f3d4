"""`auth token SERVICE` as a whole process, beside the interpreter alone, uv and keyring.

All four answer for the same service with the same secret, uv from the plaintext file that it keeps
and keyring from a gnome-keyring of a private session, all in one private home.
"""

from __future__ import annotations

import sys
from functools import partial
from statistics import median
from typing import TYPE_CHECKING

from figures import Row, interleaved, milliseconds, noise
from system_keyring import missing, system_keyring
from whole_process import prints, seconds

from support.auth_commands import PROGRAMS
from support.home import Home

if TYPE_CHECKING:
    from collections.abc import Iterator

SERVICE = "https://pypi.example/team/"
SECRET = f"pypi-{'0' * 175}"

_BACKEND = "keyring.backends.SecretService.Keyring"  # without it, this project's would answer too
_WHAT = "`auth token SERVICE`, whole process, agent running"


def rows(rounds: int = 60) -> Iterator[Row]:
    """Yield what the command costs beside each of the others."""
    with Home() as home:
        home.done("login", SERVICE, "--token", "-", "--keyring-provider", "disabled", stdin=SECRET)
        uv = str(PROGRAMS / "uv")
        assert home.run(uv, "auth", "login", SERVICE, "--token", SECRET).returncode == 0
        auth = [str(PROGRAMS / "auth"), "token", SERVICE]
        commands = {
            "auth": (auth, home.environment),
            "uv": ([uv, "auth", "token", SERVICE], home.environment),
        }
        with system_keyring() as session:
            if session is not None:
                environ = home.environment | session | {"PYTHON_KEYRING_BACKEND": _BACKEND}
                keyring = str(PROGRAMS / "keyring")
                home.run(keyring, "set", SERVICE, "__token__", stdin=SECRET, **environ)
                commands["keyring"] = ([keyring, "get", SERVICE, "__token__"], environ)
            for command, environ in commands.values():
                prints(command, environ, SECRET)
            commands["bare python"] = ([sys.executable, "-c", "pass"], home.environment)
            measures = {name: partial(seconds, *command) for name, command in commands.items()}
            samples = interleaved(measures, rounds)
    yield from _judged(samples)


def _judged(samples: dict[str, list[float]]) -> Iterator[Row]:
    middle = {name: median(taken) for name, taken in samples.items()}
    own = middle["auth"]
    yield Row(
        _WHAT,
        "against `python -c pass`",
        1.25,
        "x",
        own / middle["bare python"],
        aside=milliseconds(samples),
        spread=noise(samples["bare python"]),
    )
    yield Row(_WHAT, "against `uv auth token`", 1.6, "x", own / middle["uv"])
    keyring = middle["keyring"] / own if "keyring" in middle else None
    yield Row(_WHAT, "`keyring get` against it", 8, "x", keyring, missing(), at_least=True)
