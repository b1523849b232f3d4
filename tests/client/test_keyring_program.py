"""Which `keyring` program is the user's own."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

from tokenward.keyring_program.on_path import find_program, none_found_sentence

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


def why(environ: dict[str, str], cwd: str = "/") -> str:
    """Return why the only program is passed over."""
    program, (refused,) = find_program(environ, cwd)
    assert program is None
    assert refused in none_found_sentence([refused])
    return refused


def on_path(*folders: Path | str) -> dict[str, str]:
    return {"PATH": ":".join(map(str, folders))}


def test_the_first_one_on_path_is_it(folder: Path, tmp_path: Path) -> None:
    assert find_program(on_path(tmp_path, folder), "/") == (f"{folder}/keyring", [])


def test_without_one_there_is_none(tmp_path: Path) -> None:
    assert find_program(on_path(tmp_path), "/") == find_program({}, "/") == (None, [])
    assert none_found_sentence([]) == "There is no `keyring` program on PATH."


def test_one_in_a_virtual_environment_does_not_count(folder: Path) -> None:
    (folder.parent / "pyvenv.cfg").touch()
    assert "belongs to a virtual environment" in why(on_path(folder))


def test_one_in_or_below_the_working_directory_does_not_count(folder: Path) -> None:
    assert "in the working directory" in why(on_path(folder), str(folder))
    assert "in the working directory" in why(on_path(folder), str(folder.parent))


def test_a_home_is_no_checkout(folder: Path, tmp_path: Path) -> None:
    environ = on_path(folder) | {"HOME": str(tmp_path)}
    for cwd in tmp_path, tmp_path.parent:
        assert find_program(environ, str(cwd)) == (f"{folder}/keyring", [])
    assert find_program(environ, str(folder.parent))[0] is None


def test_a_link_into_the_working_directory_does_not_help(folder: Path, tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to(folder)
    assert "in the working directory" in why(on_path(link), str(folder))


def test_a_relative_entry_of_path_does_not_count(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder.parent)
    assert find_program(on_path("bin", "."), "/") == (None, [])


def test_one_that_others_can_change_does_not_count(folder: Path) -> None:
    (folder / "keyring").chmod(0o757)
    assert "can be changed by others" in why(on_path(folder))


def test_one_that_nobody_can_run_is_no_program(folder: Path) -> None:
    (folder / "keyring").chmod(0o644)
    assert find_program(on_path(folder), "/") == (None, [])


def test_a_refused_program_does_not_hide_a_good_one_behind_it(folder: Path, tmp_path: Path) -> None:
    bad = tmp_path / "bad"
    bad.mkdir()
    shutil.copy(folder / "keyring", bad)
    bad.chmod(0o777)
    program, refused = find_program(on_path(bad, folder), "/")
    assert program == f"{folder}/keyring"
    assert refused == [f"{bad}/keyring can be changed by others through {bad}"]


def test_our_own_does_not_count(folder: Path) -> None:
    (folder / "keyring").write_text("#!/bin/sh\n# The `keyring` of tokenward\n")
    assert "is tokenward's own" in why(on_path(folder))


def test_one_in_a_folder_that_others_can_change_does_not_count(folder: Path) -> None:
    folder.chmod(0o777)
    assert "can be changed by others" in why(on_path(folder))


def test_a_folder_of_that_name_is_no_program(tmp_path: Path) -> None:
    (tmp_path / "keyring").mkdir()
    assert find_program(on_path(tmp_path), "/") == (None, [])
