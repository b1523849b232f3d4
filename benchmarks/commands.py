"""What users type and tools call as whole processes, beside the interpreter alone.

`auth token SERVICE` beside uv and keyring, too: all answer for the same service with the same secret,
uv from the plaintext file that it keeps and keyring from a gnome-keyring of a private session, all in
one private home.
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
_OTHERS = "against `python -c pass`, whole process, agent running"

_TYPED = {
    "`auth token URL -u NAME`": (["token", SERVICE, "-u", "__token__"], SECRET, 2.6),
    "`auth token URL --format json`": (["token", SERVICE, "--format", "json"], SECRET, 2.6),
    "`auth list`": (["list"], SERVICE, 2.6),
    "`auth status`": (["status"], "running", 2.6),
    "`auth --help`": (["--help"], "auth COMMAND", 1.3),
}
"""What is typed: its words, what it prints, and the target."""

_CALLED = {
    "git": (["get"], "protocol=https\nhost=pypi.example\npath=team\n", 1.7),
    "docker": (["get"], "pypi.example/team", 1.7),
    "cargo": (
        ["--cargo-plugin"],
        f'{{"v": 1, "kind": "get", "registry": {{"index-url": "sparse+{SERVICE}"}}}}\n',
        1.7,
    ),
}
"""Whose helper is called: its words, what the tool says, and the target."""


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


def other_rows(rounds: int = 40) -> Iterator[Row]:
    """Yield what the full commands and the helpers cost."""
    with Home() as home:
        home.done("login", SERVICE, "--token", "-", "--keyring-provider", "disabled", stdin=SECRET)
        limits = {name: limit for name, (_, _, limit) in _TYPED.items()}
        measures = {"bare python": partial(seconds, [sys.executable, "-c", "pass"], {})}
        for name, (words, printed, _) in _TYPED.items():
            command = [str(PROGRAMS / "auth"), *words]
            prints(command, home.environment, printed)
            measures[name] = partial(seconds, command, home.environment)
        for tool, (words, said, limit) in _CALLED.items():
            stdin = home.path / f"said-by-{tool}"
            stdin.write_text(said)
            program = f"{tool}-credential-tokenward"
            command = [str(PROGRAMS / program), *words]
            prints(command, home.environment, SECRET, str(stdin))
            measures[f"`{program}`"] = partial(seconds, command, home.environment, str(stdin))
            limits[f"`{program}`"] = limit
        samples = interleaved(measures, rounds)
    bare = median(samples["bare python"])
    for name, limit in limits.items():
        yield Row(_OTHERS, name, limit, "x", median(samples[name]) / bare)
