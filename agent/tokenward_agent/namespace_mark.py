"""The mark in a state folder that says from how wide a user namespace its directory was used.

It holds how many user ids there were: all of them outside of every namespace (user_namespaces(7)),
fewer in a container, one in what any program may make for itself. A namespace has never more than
the one around it, and a container that is made anew has as many as before: so a number tells what is
outside of what, where the kernel shows a process nothing of the namespaces around its own.

A mark that is missing or is no number says nothing. One that cannot be written keeps nobody from
work: then the file system is read-only for whoever would be refused, too.
"""

from __future__ import annotations

import contextlib
import os

from tokenward_agent.store import state_files
from tokenward_protocol.user_ids import ALL_IDS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

_NAME: Final = "namespace.json"


def widest(state: str) -> int:
    """Return how many user ids the widest namespace had, 0 where nothing is known."""
    ids = state_files.read_object(_path(state)).get("ids")
    return min(ids, ALL_IDS) if isinstance(ids, int) else 0


def leave(state: str, ids: int) -> None:
    """Write it down."""
    with contextlib.suppress(OSError):
        state_files.replace(_path(state), b'{"ids": %d}\n' % ids)


def _path(state: str) -> str:
    return os.path.join(state, _NAME)
