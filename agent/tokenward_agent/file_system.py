"""Whether a folder lies on a file system of this machine, which no other host can change.

It reads /proc/self/mountinfo (proc_pid_mountinfo(5)). Every file system that is not known to be
local counts as remote: network file systems, FUSE, folders that a virtual machine shares with its
host, and everything on systems other than Linux.
"""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

_LOCAL: Final = frozenset(
    {"bcachefs", "btrfs", "ext2", "ext3", "ext4", "f2fs", "jfs", "overlay", "ramfs", "tmpfs"}
    | {"xfs", "zfs"}
)


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
