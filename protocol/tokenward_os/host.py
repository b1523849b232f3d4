"""Marks that distinguish this host, and this boot of it, from others. None of them is secret."""

from __future__ import annotations

import os
import sys
from contextlib import suppress


def boot_id() -> str:
    """Return the id of this boot; "" on systems other than Linux."""
    with suppress(OSError), open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
        return file.read().strip()
    return ""


def marks() -> tuple[str, str, str]:
    """Return the boot, the namespace of process ids (both "" if one is unknown), and the name."""
    if sys.platform == "win32":
        raise NotImplementedError
    boot = namespace = ""
    with suppress(OSError):
        boot, namespace = boot_id(), os.readlink("/proc/self/ns/pid")
    return boot, namespace, os.uname().nodename
