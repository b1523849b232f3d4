"""A mark in the state folder: the widest user namespace in which a directory was used.

It holds the number of user ids there: all of them outside of every namespace (user_namespaces(7)),
fewer in a container, one in a namespace that any program can make for itself. A namespace never has
more ids than the one around it, and a container that is made anew has as many as before. So the
number tells inside from outside, although the kernel shows a process nothing of the namespaces
around its own.

A missing or invalid mark says nothing. A mark that cannot be written stops no agent: then the file
system is read-only for the agents that it would refuse, too.
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


def read_mark(state: str) -> int:
    """Return the number of user ids of the widest namespace, 0 if it is not known."""
    ids = state_files.read_object(_mark_path(state)).get("ids")
    return min(ids, ALL_IDS) if isinstance(ids, int) else 0


def write_mark(state: str, ids: int) -> None:
    """Write the mark; ignore a failure."""
    with contextlib.suppress(OSError):
        state_files.replace(_mark_path(state), b'{"ids": %d}\n' % ids)


def _mark_path(state: str) -> str:
    return os.path.join(state, _NAME)
