"""Which `keyring` program is the user's own."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tokenward.keyring_program import find

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a `keyring` program that may be used."""
    found = tmp_path / "local" / "bin"
    found.mkdir(parents=True, mode=0o755)
    (found / "keyring").write_text("#!/bin/sh\n")
    (found / "keyring").chmod(0o755)
    return found


def on_path(*folders: Path | str) -> dict[str, str]:
    return {"PATH": ":".join(map(str, folders))}


def test_the_first_one_on_path_is_it(folder: Path, tmp_path: Path) -> None:
    assert find(on_path(tmp_path, folder), "/") == f"{folder}/keyring"


def test_without_one_there_is_none(tmp_path: Path) -> None:
    assert find(on_path(tmp_path), "/") is None
    assert find({}, "/") is None


def test_one_in_a_virtual_environment_does_not_count(folder: Path) -> None:
    (folder.parent / "pyvenv.cfg").touch()
    assert find(on_path(folder), "/") is None


def test_one_in_or_below_the_working_directory_does_not_count(folder: Path) -> None:
    assert find(on_path(folder), str(folder)) is None
    assert find(on_path(folder), str(folder.parent)) is None


def test_a_link_into_the_working_directory_does_not_help(folder: Path, tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to(folder)
    assert find(on_path(link), str(folder)) is None


def test_a_relative_entry_of_path_does_not_count(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder.parent)
    assert find(on_path("bin", "."), "/") is None


@pytest.mark.parametrize("mode", [0o775, 0o757, 0o644])
def test_one_that_others_can_change_or_nobody_can_run_does_not_count(
    folder: Path, mode: int
) -> None:
    (folder / "keyring").chmod(mode)
    assert find(on_path(folder), "/") is None


def test_one_in_a_folder_that_others_can_change_does_not_count(folder: Path) -> None:
    folder.chmod(0o777)
    assert find(on_path(folder), "/") is None


def test_a_folder_of_that_name_is_no_program(tmp_path: Path) -> None:
    (tmp_path / "keyring").mkdir()
    assert find(on_path(tmp_path), "/") is None
