"""Becoming another user, as root, with this interpreter: also where it lies in a closed home.

A user id that nobody has does as well as a real one. Where a directory above the interpreter is
closed to others, the new process gets a view of its own in which it is open; nothing else sees it.
"""

from __future__ import annotations

import os
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

SOMEBODY = 12345

other_users = pytest.mark.root("becomes another user")

OPENED = """
set -e
base=$1 cover=$2 aside=$(mktemp -d); shift 2
mount --bind "$base" "$aside"
mount -t tmpfs -o mode=755 none "$cover"
mkdir -p "$base"
mount --move "$aside" "$base"
rmdir "$aside"
exec "$@"
"""


@cache
def become(uid: int = SOMEBODY) -> tuple[str, ...]:
    """Return the beginning of a command that the user `uid` is to run."""
    setpriv = ["setpriv", f"--reuid={uid}", f"--regid={uid}", "--clear-groups"]
    if places := closed_above_interpreter():
        setpriv = ["unshare", "--mount", "sh", "-c", OPENED, "sh", *places, *setpriv]
    tried = subprocess.run([*setpriv, sys.executable, "-c", ""], check=False, capture_output=True)
    if tried.returncode:
        pytest.skip("another user cannot run this interpreter")
    return tuple(setpriv)


def closed_above_interpreter() -> list[str]:
    """Return the first two arguments of `OPENED`: [] where it need not be run."""
    base = Path(sys.base_prefix).resolve()
    closed = [folder for folder in reversed(base.parents) if not folder.stat().st_mode & 0o001]
    return [str(base), str(closed[0])] if closed else []


def give(root: Path, uid: int = SOMEBODY) -> None:
    """Make everything in `root` the user's."""
    for path in (root, *root.rglob("*")):
        os.chown(path, uid, uid, follow_symlinks=False)
