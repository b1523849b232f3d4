"""Marks that distinguish this host, and this boot of it, from others. None of them is secret."""

from __future__ import annotations

import os
import sys


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
