"""The agent's own folders: whether they are safe, of this machine, and used outside of a namespace.

A folder is checked before anything is created in it, by the rules of folder_trust.py. A client
applies them before it starts an agent; an agent that a service manager or the user starts applies
them itself.

A folder is local if no other host can change it, by /proc/self/mountinfo (proc_pid_mountinfo(5)).
Every file system that is not known to be local counts as remote: network file systems, FUSE, folders
that a virtual machine shares with its host, and everything on systems other than Linux.

A mark in the state folder holds the number of user ids in the widest user namespace in which a
directory was used: all of them outside of every namespace (user_namespaces(7)), fewer in a container,
one in a namespace that any program can make for itself. A namespace never has more ids than the one
around it, and a container that is made anew has as many as before. So the number tells inside from
outside, although the kernel shows a process nothing of the namespaces around its own. A missing or
invalid mark says nothing. A mark that cannot be written stops no agent: then the file system is
read-only for the agents that it would refuse, too.
"""

from __future__ import annotations

import contextlib
import os
import sys
from typing import TYPE_CHECKING, Final

from tokenward_agent import files
from tokenward_os import user
from tokenward_os.files import uid
from tokenward_protocol.folder_trust import ALL_IDS, FolderTrust, Identity, count_known_ids

if TYPE_CHECKING:
    from tokenward_protocol.folder_trust import Objection


_LOCAL: Final = frozenset(
    {"bcachefs", "btrfs", "ext2", "ext3", "ext4", "f2fs", "jfs", "overlay", "ramfs", "tmpfs"}
    | {"xfs", "zfs"}
)
_NAME: Final = "namespace.json"


def objection(*paths: str) -> Objection | None:
    """Return why one of these absolute paths is not safe for our files, or None."""
    if sys.platform == "win32":
        return None
    who = Identity(uid(), user.groups(), count_known_ids(user.uid_map()), user.overflow_uid())
    way = FolderTrust(who, os.lstat, os.readlink)
    return next(filter(None, map(way.objection, paths)), None)


def is_local(folder: str, mounts: str = "/proc/self/mountinfo") -> bool:
    """Tell whether the file system of an absolute path is known to be local to this machine."""
    try:
        with open(mounts, encoding="utf-8", errors="surrogateescape") as file:
            lines = file.read().splitlines()
    except OSError:
        return False
    path, best, kind = os.path.realpath(folder), "", ""
    for line in lines:
        fields, _, more = line.partition(" - ")
        point = _unescape(fields.split()[4])
        above = f"{path}/".startswith(f"{point.rstrip('/')}/")
        if above and len(point) >= len(best):  # a later mount hides an earlier one
            best, kind = point, more.split()[0]
    return kind in _LOCAL


def _unescape(point: str) -> str:
    for code in ("040", "011", "012", "134"):
        point = point.replace(f"\\{code}", chr(int(code, 8)))
    return point


def read_mark(state: str) -> int:
    """Return the number of user ids of the widest namespace, 0 if it is not known."""
    ids = files.read_object(_mark_path(state)).get("ids")
    return min(ids, ALL_IDS) if isinstance(ids, int) else 0


def write_mark(state: str, ids: int) -> None:
    """Write the mark; ignore a failure."""
    with contextlib.suppress(OSError):
        files.replace(_mark_path(state), b'{"ids": %d}\n' % ids)


def _mark_path(state: str) -> str:
    return os.path.join(state, _NAME)
