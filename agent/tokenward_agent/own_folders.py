"""Folders of our own: judged before anything is made in them, and made for nobody else.

The rules are ground.py's, and the client keeps to them before it starts an agent; an agent that
somebody else starts (a service manager, a person) does so itself.
"""

from __future__ import annotations

import contextlib
import os
import sys

from tokenward_agent.user_namespace import ids
from tokenward_protocol.ground import Way, Who

TYPE_CHECKING = False
if TYPE_CHECKING:
    from tokenward_protocol.ground import Objection


def objection(*paths: str) -> Objection | None:
    """Return why nothing of ours is to lie at one of these absolute paths."""
    if sys.platform == "win32":
        return None
    overflow = 65534
    with (
        contextlib.suppress(OSError, ValueError),
        open("/proc/sys/kernel/overflowuid", encoding="ascii") as file,
    ):
        overflow = int(file.read())
    groups = frozenset({*os.getgroups(), os.getegid()})
    way = Way(Who(os.geteuid(), groups, ids(), overflow), os.lstat, os.readlink)
    return next(filter(None, map(way.objection, paths)), None)


def make(path: str) -> None:
    """Make a folder, and those above that are missing, for nobody else. Raises OSError."""
    missing: list[str] = []
    while path and not os.path.isdir(path) and path != os.path.dirname(path):
        missing.insert(0, path)
        path = os.path.dirname(path)
    for folder in missing:
        with contextlib.suppress(FileExistsError):
            os.mkdir(folder, 0o700)
