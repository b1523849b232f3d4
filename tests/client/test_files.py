"""Files that are not there, not files, not readable or endless."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from tokenward.errors import CommandError
from tokenward.files.reading import MAX_SIZE, parse_toml, read
from tokenward_protocol.toml_text import MAX_PARTS

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
    with pytest.raises(CommandError, match="not an ordinary file"):
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


@pytest.mark.parametrize("part", ["a", "tool-1_x", '"a b"', "'.'", '""'])
@pytest.mark.parametrize("dot", [".", " . ", "\t."])
def test_a_key_of_very_many_parts_is_refused_before_it_is_parsed(part: str, dot: str) -> None:
    for text in (f"[{dot.join([part] * 50_000)}]", f"x = {{{dot.join([part] * 50_000)} = 1}}"):
        with pytest.raises(CommandError, match=f"^f has a key of more than {MAX_PARTS} parts"):
            parse_toml(text.encode(), "f")
    assert parse_toml(f"[{dot.join([part] * MAX_PARTS)}]".encode(), "f")


@pytest.mark.parametrize(
    "text", ['a = "' + "1.2." * 15 + '"', "a = 1 # " + ". . ." * 50, "a = [" + "1.5, " * 500 + "]"]
)
def test_what_only_looks_like_a_long_key_is_read(text: str) -> None:
    assert "a" in parse_toml(text.encode(), "f")


def test_a_number_without_end_is_one_sentence() -> None:
    with pytest.raises(CommandError, match="not valid TOML"):
        parse_toml(b"a = " + b"9" * 10_000, "f")
