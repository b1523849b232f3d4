"""Which files `auth exec` hashes before its command starts."""

from __future__ import annotations

import hashlib
import os
from typing import TYPE_CHECKING

import pytest

from tokenward.exec.named_files import MOST_BYTES, listing_of

if TYPE_CHECKING:
    from pathlib import Path

FILES = ("mine-1.0.tar.gz", "mine-1.0-py3-none-any.whl", "other-1.0.zip", "notes.txt")


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project with files in `dist`."""
    (tmp_path / "dist").mkdir()
    for name in FILES:
        (tmp_path / "dist" / name).write_bytes(name.encode())
    return tmp_path


def names(project: Path, *command: str) -> list[str]:
    return [line.split()[2] for line in listing_of(command, str(project)).splitlines()]


def test_a_line_has_digest_size_and_name(project: Path) -> None:
    listing = listing_of(["twine", "upload", f"dist/{FILES[0]}"], str(project))
    digest = hashlib.sha256(FILES[0].encode()).hexdigest()
    assert listing == f"{digest} {len(FILES[0])} {FILES[0]}\n"


@pytest.mark.parametrize(
    ("command", "found"),
    [
        (("twine", "upload", f"dist/{FILES[0]}", f"dist/{FILES[0]}"), FILES[:1]),
        (("twine", "upload", "dist/*"), sorted(FILES[:3])),
        (("sh", "-c", "twine upload dist/*.whl"), FILES[1:2]),
        (("uv", "publish"), sorted(FILES[:3])),
        (("uv", "publish", f"dist/{FILES[1]}"), FILES[1:2]),
        (("pip", "install", "mine"), ()),
        (("twine", "upload", "dist/missing-1.0.tar.gz", f"dist/{FILES[0]}"), FILES[:1]),
        (("twine", "upload", "a\0b.whl", f"dist/{FILES[0]}"), FILES[:1]),
    ],
)
def test_files_are_those_that_the_command_line_names(
    project: Path, command: tuple[str, ...], found: tuple[str, ...]
) -> None:
    assert names(project, *command) == list(found)


def test_what_is_no_plain_file_is_left_out_and_never_waited_for(project: Path) -> None:
    os.mkfifo(project / "pipe-1.0.tar.gz")
    (project / "folder-1.0.whl").mkdir()
    assert names(project, "twine", "upload", "pipe-1.0.tar.gz", "folder-1.0.whl", "/dev/null") == []


def test_a_listing_fits_into_a_request(project: Path) -> None:
    for number in range(700):
        (project / "dist" / f"mine-1.0-py3-none-tag{number}_{'x' * 100}.whl").touch()
    assert MOST_BYTES - 1000 < len(listing_of(["uv", "publish"], str(project))) <= MOST_BYTES
