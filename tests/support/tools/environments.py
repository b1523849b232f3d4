"""The tools that people publish and install with, each in an environment of its own.

Made by uv at the versions of tests/tools/versions.toml when a test first asks, and kept in
build/tools under a name that says what is in it: a changed pin makes a new environment, and the
next run finds all of them there. Nothing of this project is installed into them, and none of them
is written to by a test.
"""

from __future__ import annotations

import fcntl
import hashlib
import shutil
import subprocess
import sys
import tomllib
from functools import cache
from pathlib import Path

from support import CHECKOUT

VERSIONS = CHECKOUT / "tests" / "tools" / "versions.toml"
PLACE = CHECKOUT / "build" / "tools"
COMPLETE = "complete"  # a file in an environment whose making was not interrupted


@cache
def programs(environment: str, python: str = sys.executable) -> Path:
    """Return the folder of the programs in `environment`, which is made if it is not there."""
    pins = tomllib.loads(VERSIONS.read_text())
    requirements = pins["environments"][environment]
    if python != sys.executable:
        environment = f"{environment}-{Path(python).name}"
    parts = [pins["as-of"], python, sys.version, *requirements]
    key = hashlib.sha256("\0".join(parts).encode()).hexdigest()[:12]
    place = PLACE / f"{environment}-{key}"
    PLACE.mkdir(parents=True, exist_ok=True)
    with (PLACE / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # two runs may want the same one
        if not (place / COMPLETE).exists():
            for older in PLACE.glob(f"{environment}-{'?' * len(key)}"):
                shutil.rmtree(older)
            _make(place, python, pins["as-of"], requirements)
    return place / "bin"


def _make(place: Path, python: str, as_of: str, requirements: list[str]) -> None:
    uv = str(Path(sys.executable).with_name("uv"))
    interpreter = ["--python", python, "--no-python-downloads"]
    subprocess.run([uv, "venv", "--quiet", "--no-project", *interpreter, str(place)], check=True)
    install = [uv, "pip", "install", "--quiet", "--exclude-newer", as_of, "--only-binary", ":all:"]
    subprocess.run([*install, "--python", str(place), *requirements], check=True)
    (place / COMPLETE).touch()
