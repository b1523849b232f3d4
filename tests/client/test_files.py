"""Files that are not there, not files, not readable or endless."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from tokenward.errors import CommandError
from tokenward.files import MAX_SIZE, parse_toml, read

if TYPE_CHECKING:
    from pathlib import Path


def test_what_is_not_there_is_none(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert read(str(tmp_path / "no")) is None
    assert read(str(tmp_path / "file" / "below")) is None


def test_the_null_device_is_an_empty_file() -> None:
    assert read("/dev/null") == b""


def test_a_fifo_is_refused_instead_of_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    with pytest.raises(CommandError, match="no ordinary file"):
        read(str(tmp_path / "fifo"))


def test_a_directory_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match=str(tmp_path)):
        read(str(tmp_path))


def test_an_endless_file_is_refused() -> None:
    with pytest.raises(CommandError, match=f"larger than {MAX_SIZE} bytes"):
        read("/dev/zero")


def test_a_path_with_a_nul_is_one_sentence() -> None:
    with pytest.raises(CommandError, match="cannot be read"):
        read("a\0b")


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_an_unreadable_file_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").touch(mode=0)
    with pytest.raises(CommandError, match="Permission denied"):
        read(str(tmp_path / "file"))


def test_toml_nested_without_end_is_one_sentence() -> None:
    with pytest.raises(CommandError, match="not valid TOML"):
        parse_toml(b"a = " + b"[" * 100_000, "f")
