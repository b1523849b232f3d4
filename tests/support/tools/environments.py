"""The tools that people publish and install with, each in an environment of its own.

Made by uv at the versions of tests/tools/versions.toml when a test first asks, and kept in
build/tools under a name that says what is in it: a changed pin makes a new environment, and the
next run finds all of them there. Nothing of this project is installed into them, and none of them
is written to by a test.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import tomllib
from functools import cache
from pathlib import Path

import pytest

from support import CHECKOUT

VERSIONS = CHECKOUT / "tests" / "tools" / "versions.toml"
PLACE = CHECKOUT / "build" / "tools"
SYSTEM_CERTIFICATES = {"UV_SYSTEM_CERTS": "1", "UV_NATIVE_TLS": "1"}
"""For a network with an authority of its own, by the name of today's uv and by the older one."""
COMPLETE = "complete"  # a file in an environment whose making was not interrupted


def programs(environment: str, python: str = sys.executable) -> Path:
    """Return the folder of the programs in `environment`, which is made if it is not there.

    A test is skipped where PyPI cannot be reached; CI fails there.
    """
    place, problem = _made(environment, python)
    if problem and os.environ.get("CI"):
        raise RuntimeError(problem)
    if problem:
        pytest.skip(f"needs {environment} from PyPI ({problem})")
    return place / "bin"


@cache
def _made(environment: str, python: str) -> tuple[Path, str]:
    """Return where an environment is, and why it cannot be made, "" where it was."""
    pins = tomllib.loads(VERSIONS.read_text())
    requirements = pins["environments"][environment]
    if python != sys.executable:
        environment = f"{environment}-{Path(python).name}"
    parts = [pins["as-of"], python, sys.version, *requirements]
    key = hashlib.sha256("\0".join(parts).encode()).hexdigest()[:12]
    place, problem = PLACE / f"{environment}-{key}", ""
    PLACE.mkdir(parents=True, exist_ok=True)
    with (PLACE / f"{environment}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # several processes may want the same one
        if not (place / COMPLETE).exists():
            for older in PLACE.glob(f"{environment}-{'?' * len(key)}"):
                shutil.rmtree(older)
            problem = _make(place, python, pins["as-of"], requirements)
    return place, problem


def _make(place: Path, python: str, as_of: str, requirements: list[str]) -> str:
    """Make an environment; return what is wrong where that cannot be done."""
    uv = str(Path(sys.executable).with_name("uv"))
    interpreter = ["--python", python, "--no-python-downloads"]
    subprocess.run([uv, "venv", "--quiet", "--no-project", *interpreter, str(place)], check=True)
    install = [uv, "pip", "install", "--quiet", "--exclude-newer", as_of, "--only-binary", ":all:"]
    install += ["--python", str(place), *requirements]
    for certificates in ({}, SYSTEM_CERTIFICATES):
        variables = os.environ | certificates
        done = subprocess.run(install, env=variables, capture_output=True, text=True, check=False)
        if done.returncode == 0:
            (place / COMPLETE).touch()
            return ""
    return done.stderr.strip().replace("\n", " ")
