"""What tells this host, and this boot of it, from another: nothing of it is a secret."""

from __future__ import annotations

import os
import sys
from contextlib import suppress


def boot_id() -> str:
    """Return the number of this boot; "" for another system than Linux."""
    with suppress(OSError), open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
        return file.read().strip()
    return ""


def marks() -> tuple[str, str, str]:
    """Return the boot, the namespace of process ids (both "" where one is unknown), and the name."""
    if sys.platform == "win32":
        raise NotImplementedError
    boot = namespace = ""
    with suppress(OSError):
        boot, namespace = boot_id(), os.readlink("/proc/self/ns/pid")
    return boot, namespace, os.uname().nodename
