"""The user of this process: home directory, groups, and the user ids that exist here."""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping


def home(environ: Mapping[str, str]) -> str | None:
    """Return the user's home directory, absolute, or None if it is unknown."""
    if sys.platform == "win32":
        return os.path.expanduser("~")
    found = environ.get("HOME", "")
    if os.path.isabs(found):
        return found
    import pwd

    try:
        return pwd.getpwuid(os.getuid()).pw_dir
    except KeyError:
        return None


def groups() -> frozenset[int]:
    """Return the groups whose rights this process has."""
    if sys.platform == "win32":
        return frozenset()
    return frozenset({*os.getgroups(), os.getegid()})


def uid_map() -> str | None:
    """Return the user ids that exist here, as in user_namespaces(7); None on other systems."""
    return _text("/proc/self/uid_map")


def overflow_uid() -> int:
    """Return the user id that stands for all that do not exist here."""
    try:
        return int(_text("/proc/sys/kernel/overflowuid") or "")
    except ValueError:
        return 65534


def _text(path: str) -> str | None:
    try:
        with open(path, "rb") as file:  # to open it as text would load a codec
            return file.read().decode("ascii")
    except (OSError, ValueError):
        return None
