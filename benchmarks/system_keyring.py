"""A real gnome-keyring in a private D-Bus session, where the machine has the programs for it."""

from __future__ import annotations

import shutil
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_PROGRAMS = ("dbus-daemon", "gnome-keyring-daemon")


def missing() -> str:
    """Return why there can be no session, or an empty string."""
    if sys.platform != "linux":
        return "not run: needs Linux"
    absent = [program for program in _PROGRAMS if shutil.which(program) is None]
    return f"not run: needs {' and '.join(absent)}" if absent else ""


@contextmanager
def system_keyring() -> Iterator[dict[str, str] | None]:
    """Run an unlocked keyring; the variables that lead to it, or None where there can be none."""
    if missing():
        yield None
        return
    from support.systems.desktop_keyrings import (
        gnome_keyring,  # it needs packages that only Linux has
    )

    with (
        tempfile.TemporaryDirectory(prefix="bench-", dir="/tmp") as folder,
        gnome_keyring(Path(folder).resolve() / "session") as session,
    ):
        name = "DBUS_SESSION_BUS_ADDRESS"
        yield {name: session.environ[name]}
