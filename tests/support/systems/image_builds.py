"""buildah, which builds and runs images for real, in a network namespace with loopback alone."""

from __future__ import annotations

import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest

from support.systems.real_names import can_part
from support.systems.small_root import PYTHON

if TYPE_CHECKING:
    from pathlib import Path

needs_buildah = pytest.mark.root(
    "builds an image",
    able=lambda: can_part() and shutil.which("buildah") is not None and PYTHON.exists(),
    needs="buildah, iproute2, namespaces and Debian's Python",
)

_ALONE = 'ip link set lo up; exec "$@"'


def buildah(home: Path, *command: str) -> str:
    """Run buildah with a storage of its own, without any network, and return what it tells."""
    store = ("--root", f"{home}/storage", "--runroot", f"{home}/runroot")
    done = subprocess.run(
        [
            *("unshare", "--net", "sh", "-c", _ALONE, "sh"),
            *("buildah", *store, "--storage-driver", "vfs", *command),
        ],
        env={"HOME": str(home), "PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "TMPDIR": "/tmp"},
        capture_output=True,
        text=True,
        check=False,
        timeout=500,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
