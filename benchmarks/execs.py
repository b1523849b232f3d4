"""`auth exec -- python -c pass` as a whole process, beside the same `python -c pass` without it.

The credential comes from a running agent, by a URL and by the name of an index in `config.toml`,
which has to be read; with two such names there are four of them to fetch.
"""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

from figures import Row, interleaved, milliseconds, noise
from whole_process import prints, seconds

from support.auth_commands import PROGRAMS
from support.home import Home

if TYPE_CHECKING:
    from collections.abc import Iterator

SECRET = f"pypi-{'0' * 175}"
_WHAT = "`auth exec -- python -c pass`, agent running"
_LIMIT = 40
_BARE = [sys.executable, "-c", "pass"]
_SHOW = [sys.executable, "-c", "import os; print(os.environ['TWINE_PASSWORD'])"]


def rows(rounds: int = 40) -> Iterator[Row]:
    """Yield the milliseconds that it adds to a program."""
    ways = {
        "by a URL": ["--index", "https://one.example/"],
        "by a configured name": ["--index", "one"],
        "two indexes by name": ["--index", "one", "--index", "two"],
    }
    with Home() as home:
        _configure(home)
        for name in ("one", "two"):
            home.done("login", name, "--token", "-", stdin=SECRET)
        measures = {"bare python": partial(seconds, _BARE, home.environment)}
        for way, options in ways.items():
            command = [str(PROGRAMS / "auth"), "exec", "--env", *options, "--"]
            prints([*command, *_SHOW], home.environment, SECRET)
            measures[way] = partial(seconds, [*command, *_BARE], home.environment)
        samples = interleaved(measures, rounds)
    bare = median(samples["bare python"])
    for way in ways:
        yield Row(
            _WHAT,
            f"adds, {way}",
            _LIMIT,
            "ms",
            (median(samples[way]) - bare) * 1e3,
            aside=milliseconds({name: samples[name] for name in ("bare python", way)}),
            spread=noise(samples["bare python"]),
        )


def _configure(home: Home) -> None:
    settings = Path(home.environment["XDG_CONFIG_HOME"]) / "tokenward" / "config.toml"
    settings.parent.mkdir()
    settings.write_text(
        "".join(
            f'[services.{name}]\nurl = "https://{name}.example/simple/"\n'
            f'publish-url = "https://{name}.example/legacy/"\n'
            for name in ("one", "two")
        )
    )
