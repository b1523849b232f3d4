"""An image is built from a private index by a relay share, and holds no credential anywhere.

buildah builds it for real, in a network namespace with loopback alone: what is installed comes by the
share's socket, which is mounted into the build.
"""

from __future__ import annotations

import gzip
import sys
import tarfile
from typing import TYPE_CHECKING

import pytest

from support.relay.shares import ACCOUNT, SECRET, SharedIndex
from support.servers.http_server import basic
from support.systems.image_builds import buildah, needs_buildah
from support.systems.small_root import write_small_root

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="a relay is for Linux"),
    needs_buildah,
]

_BUILD = """\
FROM scratch
COPY root /
RUN env > /before; TOKENWARD_SOCK=/job/tokenward.sock python3 /job/tokenward-exec \\
    sh -c 'env > /within; python3 -m pip install --no-cache-dir --no-deps --target /site one'
"""


@pytest.mark.timeout(600)
def test_an_image_is_built_from_a_private_index_and_has_no_credential() -> None:
    with SharedIndex() as corp:
        home = corp.home.path
        write_small_root(home / "root")
        job = home / "job"
        job.mkdir()
        (job / "tokenward-exec").write_text(corp.home.done("share", "--near-end"))
        corp.share("--read-only", "--at", str(job / "tokenward.sock"))
        (home / "Containerfile").write_text(_BUILD)
        options = ("--isolation", "chroot", "--network", "host", "--volume", f"{job}:/job:ro")
        file = ("--file", str(home / "Containerfile"))
        built = buildah(home, "build", *options, *file, "--tag", "built", str(home))
        assert "Successfully installed one-1.0" in built
        assert set(corp.index.seen()) == {basic(*ACCOUNT)}
        buildah(home, "push", "built", f"dir:{home}/image")
        image = list((home / "image").iterdir())
        history = buildah(home, "inspect", "--type", "image", "built").encode()
        files = {
            member.name: content
            for path in image
            if path.read_bytes()[:2] == b"\x1f\x8b"
            for member, content in contents(path)
        }
        everything = [history, *(path.read_bytes() for path in image), *files.values()]
        for secret in (SECRET, basic(*ACCOUNT).split()[1]):
            assert [each for each in everything if secret.encode() in each] == []
        assert b"tokenward-run-" in files["within"]  # it would have been found; it is worth nothing
        assert b"tokenward-run-" not in files["before"]
        assert any(name.startswith("site/one-1.0.dist-info/") for name in files)
        assert [name for name in files if name.startswith("tmp/")] == []


def contents(layer: Path) -> list[tuple[tarfile.TarInfo, bytes]]:
    """Return the files in a layer, and what they hold."""
    found = []
    with gzip.open(layer) as opened, tarfile.open(fileobj=opened) as archive:
        for member in archive:
            file = archive.extractfile(member) if member.isfile() else None
            if file is not None:
                found.append((member, file.read()))
    return found
