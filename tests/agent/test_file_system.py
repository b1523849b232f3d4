"""Which folders lie on file systems that no other host changes: a made-up mountinfo, and the real one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tokenward_agent.own_folders import is_local

if TYPE_CHECKING:
    from pathlib import Path

MOUNTS = """\
22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw
23 22 0:21 / /nohome rw shared:2 - nfs4 server:/home rw
24 23 0:22 / /nohome/local rw - tmpfs tmpfs rw
25 22 0:23 / /no\\040blank rw master:1 - fuse.sshfs host:/ rw
26 22 0:24 / /twice rw - ext4 /dev/sdb rw
27 26 0:25 / /twice rw - cifs //server/share rw
28 22 0:26 / /odd rw - whatever x rw
"""


@pytest.mark.parametrize(
    ("folder", "local"),
    [
        ("/", True),
        ("/nowhere/at/all", True),
        ("/nohome", False),
        ("/nohome/me/.local", False),
        ("/nohomes", True),
        ("/nohome/local/x", True),
        ("/no blank/x", False),
        ("/twice/x", False),
        ("/odd", False),
    ],
)
def test_the_last_mount_on_the_way_decides(folder: str, local: bool, tmp_path: Path) -> None:
    mounts = tmp_path / "mountinfo"
    mounts.write_text(MOUNTS)
    assert is_local(folder, str(mounts)) is local


def test_what_is_not_known_is_not_local(tmp_path: Path) -> None:
    assert is_local(str(tmp_path), str(tmp_path / "missing")) is False
