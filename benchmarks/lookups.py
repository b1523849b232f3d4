"""How tools ask: the `keyring` program as a whole process, and a lookup inside a tool.

The program is the script that `auth setup keyring` writes, beside the interpreter alone and the real
`keyring get`, which asks a gnome-keyring of a private session. The lookup is the first of its
process, in one that has imported keyring and is told its backend: loading the backend's file,
compiled before, is in it.
"""

from __future__ import annotations

import subprocess
import sys
from functools import partial
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

from figures import Row, interleaved, milliseconds, noise, percentile
from system_keyring import missing, system_keyring
from whole_process import prints, seconds

import tokenward
from support.auth_commands import PROGRAMS
from support.home import Home
from tokenward.keyring_program.standalone import MODULE, module, program

if TYPE_CHECKING:
    from collections.abc import Iterator

SERVICE = "https://pypi.example/team/"
SECRET = f"pypi-{'0' * 175}"

_SYSTEM = "keyring.backends.SecretService.Keyring"
_PROGRAM = "`keyring get URL USER`, whole process, agent running"
_LOOKUP = "a tool's first lookup through the backend, agent running"
_TOOL = f"""
import keyring, sys, time
begun = time.perf_counter()
keyring.core.set_keyring(keyring.core.load_keyring("{MODULE}.Keyring"))
found = keyring.get_credential("{SERVICE}simple/", None)
print(time.perf_counter() - begun)
assert found.username == "__token__"
"""


def rows(rounds: int = 60) -> Iterator[Row]:
    """Yield what both ways cost."""
    with Home() as home:
        home.done("login", SERVICE, "--token", "-", "--keyring-provider", "disabled", stdin=SECRET)
        ours = home.path / "keyring"
        ours.write_text(program(sys.executable, str(Path(tokenward.__file__).parent.parent)))
        ours.chmod(0o755)
        words = ["get", SERVICE, "__token__"]
        commands = {"ours": ([str(ours), *words], home.environment)}
        with system_keyring() as session:
            if session is not None:
                environ = home.environment | session | {"PYTHON_KEYRING_BACKEND": _SYSTEM}
                real = str(PROGRAMS / "keyring")
                home.run(real, "set", *words[1:], stdin=SECRET, **environ)
                commands["real"] = ([real, *words], environ)
            for command, environ in commands.values():
                prints(command, environ, SECRET)
            commands["bare python"] = ([sys.executable, "-c", "pass"], home.environment)
            measures = {name: partial(seconds, *command) for name, command in commands.items()}
            samples = interleaved(measures, rounds)
        yield from _of_program(samples)
        yield from _of_lookup(home, rounds)


def _of_program(samples: dict[str, list[float]]) -> Iterator[Row]:
    middle = {name: median(taken) for name, taken in samples.items()}
    yield Row(
        _PROGRAM,
        "against `python -c pass`",
        1.15,
        "x",
        middle["ours"] / middle["bare python"],
        aside=milliseconds(samples),
        spread=noise(samples["bare python"]),
    )
    real = middle["real"] / middle["ours"] if "real" in middle else None
    yield Row(_PROGRAM, "the real one against it", 6, "x", real, missing(), at_least=True)


def _of_lookup(home: Home, rounds: int) -> Iterator[Row]:
    folder = home.path / "backend"
    folder.mkdir()
    (folder / f"{MODULE}.py").write_text(module(sys.executable))
    environ = home.environment | {"PYTHONPATH": str(folder)}
    taken = []
    for _ in range(rounds + 1):
        done = subprocess.run(
            [sys.executable, "-c", _TOOL], env=environ, capture_output=True, text=True, check=True
        )
        taken.append(float(done.stdout) * 1e3)
    del taken[0]  # it compiled the file
    slow = {"slow tenth": percentile(taken, 0.9)}
    yield Row(_LOOKUP, "with its import", 3, "ms", median(taken), aside=slow)
