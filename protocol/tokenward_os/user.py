"""The user and the host of this process, as both sides see them: home, groups, ids, marks.

The marks distinguish this host, and this boot of it, from others. None of them is secret.
"""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping


NEEDED = frozenset({"HOME", "USER", "LOGNAME", "PATH", "LANG", "TZ", "TMPDIR"})
"""Environment variables of every program that tokenward starts: it finds the user's files by them."""

if sys.platform == "win32":  # without these a program does not find Windows, or its user's folders
    NEEDED |= {
        *("SYSTEMROOT", "WINDIR", "COMSPEC", "PATHEXT", "TEMP", "TMP"),
        *("USERPROFILE", "USERNAME", "USERDOMAIN", "APPDATA", "LOCALAPPDATA", "PROGRAMDATA"),
    }


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


def boot_id() -> str:
    """Return the id of this boot; "" on systems other than Linux."""
    try:
        with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
            return file.read().strip()
    except OSError:
        return ""


def marks() -> tuple[str, str, str]:
    """Return the boot, the namespace of process ids (both "" if one is unknown), and the name."""
    if sys.platform == "win32":
        raise NotImplementedError
    try:
        boot, namespace = boot_id(), os.readlink("/proc/self/ns/pid")
    except OSError:
        boot = namespace = ""
    return boot, namespace, os.uname().nodename
