"""A root file system for a container: a shell, Python with pip, and the libraries of both.

It is copied from this Debian's own Python, so that no image has to come from elsewhere.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pip

from support.waiting import PATIENCE

PYTHON = Path("/usr/bin/python3")
_PROGRAMS = ("/bin/sh", "/usr/bin/env")
_UNUSED = (
    "__pycache__",
    "test",
    "idlelib",
    "tkinter",
    "config-*",
    "ensurepip",
    "lib2to3",
    "turtle*",
)


def write_small_root(root: Path) -> None:
    """Write the file system into a folder, which is made."""
    for folder in ("bin", "dev", "etc", "proc", "sys", "tmp", "usr/bin"):
        (root / folder).mkdir(parents=True)
    (root / "tmp").chmod(0o1777)
    python = Path(os.path.realpath(PYTHON))
    library = Path("/usr/lib") / python.name
    unused = shutil.ignore_patterns(*_UNUSED)
    shutil.copytree(library, root / str(library)[1:], ignore=unused, symlinks=True)
    shutil.copytree(Path(pip.__file__).parent, root / str(library)[1:] / "pip", ignore=unused)
    programs = [str(python), *_PROGRAMS]
    for path in [*programs, *_libraries([*programs, *map(str, library.glob("lib-dynload/*.so"))])]:
        target = root / path[1:]
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(os.path.realpath(path), target)
    (root / "usr/bin/python3").symlink_to(python.name)


def _libraries(files: list[str]) -> set[str]:
    told = subprocess.run(
        ["ldd", *files], capture_output=True, text=True, check=False, timeout=PATIENCE
    )
    return set(re.findall(r"(/\S+) \(0x", told.stdout))
