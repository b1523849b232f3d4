"""A secret leaves a file or the file stays as it is: no state between, and no copy."""

from __future__ import annotations

import fcntl
import os
from typing import TYPE_CHECKING

import pytest

from tokenward import sources
from tokenward.errors import CommandError
from tokenward.sources.document import Document, remove_secrets
from tokenward.sources.found import KnownIndexes

if TYPE_CHECKING:
    from pathlib import Path

TEXT = "[pypi]\nusername = __token__\npassword = s3cret\n"
LEFT = "[pypi]\nusername = __token__\n"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / ".pypirc"
    path.write_text(TEXT)
    path.chmod(0o640)
    return path


def opened(path: Path, source: str = "pypirc") -> Document:
    look = sources.FILES[source].look
    return Document(source, str(path), path.read_bytes(), KnownIndexes(), look)


def refused(document: Document) -> str:
    with pytest.raises(CommandError) as error:
        remove_secrets(document, [found for found in document.found if not found.foreign])
    return str(error.value)


def test_the_mode_stays_and_whether_others_could_read_is_told(file: Path) -> None:
    assert remove_secrets(opened(file), opened(file).found[:0]) is True
    document = opened(file)
    assert remove_secrets(document, document.found) is True
    assert file.read_text() == LEFT
    assert file.stat().st_mode & 0o7777 == 0o640
    assert [path.name for path in file.parent.iterdir()] == [".pypirc"]


@pytest.mark.root("gives a file another group")
def test_the_group_stays(file: Path) -> None:
    os.chown(file, 0, 12345)
    document = opened(file)
    remove_secrets(document, document.found)
    assert file.stat().st_gid == 12345


def test_a_link_stays_a_link_to_the_file_that_was_changed(file: Path) -> None:
    real = file.rename(file.with_name("dotfiles"))
    file.symlink_to(real)
    document = opened(file)
    remove_secrets(document, document.found)
    assert file.is_symlink()
    assert real.read_text() == LEFT


@pytest.mark.root("gives files away")
@pytest.mark.parametrize("name", ["theirs", "theirs/file"])
def test_no_link_is_followed_to_what_is_somebody_elses(name: str, file: Path) -> None:
    folder = file.with_name("theirs")
    folder.mkdir()
    real = file.rename(folder / "file")
    file.symlink_to(real)
    os.chown(file.parent / name, 12345, -1)
    assert "belongs to another user" in refused(opened(file))
    assert real.read_text() == TEXT


def test_a_file_with_a_second_name_would_keep_the_secret_there(file: Path) -> None:
    file.with_name("other").hardlink_to(file)
    assert "has 2 names" in refused(opened(file))
    assert file.read_text() == TEXT


def test_a_file_that_was_changed_meanwhile_is_left(file: Path) -> None:
    document = opened(file)
    file.write_text(TEXT + "# new\n")
    assert "was changed meanwhile" in refused(document)
    assert file.read_text() == TEXT + "# new\n"
    assert [path.name for path in file.parent.iterdir()] == [".pypirc"]


def test_a_file_that_is_gone_is_said(file: Path) -> None:
    document = opened(file)
    file.unlink()
    assert "No such file" in refused(document)


def test_a_netrc_that_python_reads_is_left_such_that_it_does(tmp_path: Path) -> None:
    path = tmp_path / "netrc"
    text = (
        'machine x.example login a password "b"\n'
        "machine pypi.org login __token__ # a comment\npassword x\n"
    )
    path.write_text(text)
    assert "Python could not read the rest" in refused(opened(path, "netrc"))
    assert path.read_text() == text


def test_uvs_own_lock_is_waited_for_by_nobody(tmp_path: Path) -> None:
    store = tmp_path / "credentials.toml"
    text = '[[credential]]\nservice = "https://a.example/"\nusername = "u"\npassword = "p"\n'
    store.write_text(text)
    with (tmp_path / "credentials.toml.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert "is in use by uv" in refused(opened(store, "uv"))
    assert store.read_text() == text
    document = opened(store, "uv")
    remove_secrets(document, document.found)
    assert store.read_text() == ""
