"""Which keeper of keys is taken, which is refused and why, and what is remembered of it."""

from __future__ import annotations

import os
import stat
import sys
from pathlib import Path

import pytest

from tokenward_agent.store.adopted import spellings
from tokenward_agent.store.keyring_program import program_objection
from tokenward_agent.store.providers import Probe, read_probe, write_probe

ME = os.getuid()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    bin_ = tmp_path / "bin"
    bin_.mkdir(mode=0o755)
    return bin_


def program(folder: Path, text: str = "#!/bin/sh\n") -> Path:
    path = folder / "keyring"
    path.write_text(text)
    path.chmod(0o755)
    return path


def why(path: Path) -> str:
    problem = program_objection(str(path), ME)
    assert problem is not None
    return problem


def test_the_real_program_is_found_through_a_link_as_pipx_makes_them(folder: Path) -> None:
    real = Path(sys.executable).with_name("keyring")
    (folder / "keyring").symlink_to(real)
    assert program_objection(str(folder / "keyring"), ME) is None


def test_a_program_of_a_virtual_environment_is_refused() -> None:
    real = Path(sys.executable).with_name("keyring")
    assert why(real) == "belongs to a virtual environment"


def test_a_program_that_others_may_write_is_refused(folder: Path) -> None:
    path = program(folder)
    path.chmod(0o757)
    assert why(path) == f"can be changed by others through {path}"


def test_a_program_in_a_folder_that_others_may_write_is_refused(folder: Path) -> None:
    path = program(folder)
    folder.chmod(0o777)
    assert why(path) == f"can be changed by others through {folder}"


def test_a_link_to_a_program_that_others_may_write_is_refused(folder: Path) -> None:
    real = program(folder)
    real.chmod(0o757)
    own = folder.parent / "own"
    own.mkdir(mode=0o755)
    (own / "keyring").symlink_to(real)
    assert "by others" in why(own / "keyring")


def test_a_group_of_ones_own_is_nobody_else_and_any_other_group_is(folder: Path) -> None:
    path = program(folder)
    path.chmod(0o775)
    if os.getuid() == 0:
        os.chown(path, 0, 1)
        assert "by others" in why(path)
        os.chown(path, 0, 0)
        assert program_objection(str(path), ME) is None
    else:
        expected = path.stat().st_gid in {0, ME}
        assert (program_objection(str(path), ME) is None) is expected


def test_a_program_of_another_user_is_refused(folder: Path) -> None:
    path = program(folder)
    other = program_objection(str(path), ME + 1)
    if ME == 0:
        assert other is None  # root can change everything anyway
        os.chown(path, 65534, 0)
        assert "another user" in why(path)
    else:
        assert other is not None
        assert "another user" in other


def test_our_own_program_is_never_a_foreign_one(folder: Path) -> None:
    path = program(
        folder, "#!/usr/bin/python3 -I\nfrom tokenward.keyring_program.on_path import main\n"
    )
    assert why(path) == "is tokenward's own"


def test_a_foreign_one_below_a_folder_named_after_us_is_foreign(folder: Path) -> None:
    path = program(folder, "#!/home/tokenward/tokenward/bin/python\nfrom keyring.cli import main\n")
    assert program_objection(str(path), ME) is None


def test_a_link_into_our_own_package_is_ours(folder: Path) -> None:
    import tokenward_agent

    (folder / "keyring").symlink_to(Path(tokenward_agent.__path__[0]) / "worker" / "main.py")
    assert why(folder / "keyring") == "is tokenward's own"


def test_a_program_that_has_gone_is_objected_to(folder: Path) -> None:
    assert why(folder / "keyring") == "does not exist any more"


def test_an_answer_is_remembered_in_a_private_file(tmp_path: Path) -> None:
    for probe in (Probe("KWallet", "", 1), Probe(None, "no D-Bus session", 2)):
        write_probe(str(tmp_path), probe)
        assert read_probe(str(tmp_path)) == probe
    (path,) = tmp_path.iterdir()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", "null", "{}", '{"backend": 1, "reason": "", "when": 1}', "\udcff",
     '{"backend": null, "reason": null, "when": 1}', '{"backend": "a", "reason": "", "when": "1"}'],
)  # fmt: skip
def test_a_damaged_answer_counts_as_none(text: str, tmp_path: Path) -> None:
    (tmp_path / "probe.json").write_bytes(text.encode(errors="surrogateescape"))
    assert read_probe(str(tmp_path)) is None


def test_without_a_file_nothing_is_remembered(tmp_path: Path) -> None:
    assert read_probe(str(tmp_path)) is None


def test_a_folder_that_cannot_be_written_is_no_error(tmp_path: Path) -> None:
    write_probe(str(tmp_path / "missing"), Probe(None, "x", 1))
    assert read_probe(str(tmp_path / "missing")) is None


def test_a_wrong_answer_is_asked_for_again_after_an_hour_or_a_clock_set_back() -> None:
    probe = Probe("KWallet", "", 10_000)
    assert [probe.is_stale(now) for now in (9_999, 10_000, 13_600, 13_601)] == [
        True,
        False,
        False,
        True,
    ]


def test_a_fall_back_is_one_sentence_with_its_reason() -> None:
    probe = Probe(None, "no system keyring answered (no D-Bus session)", 0)
    assert probe.fallback_sentence("disabled") == (
        "No system keyring answered (no D-Bus session), so credentials go into the file vault."
    )


def test_a_service_is_looked_for_as_typed_then_normalised_then_with_simple() -> None:
    assert spellings("https://Index.example/pypi/", "https://index.example/pypi") == [
        "https://Index.example/pypi/",
        "https://Index.example/pypi",
        "https://index.example/pypi",
        "https://index.example/pypi/",
        "https://Index.example/pypi/simple/",
        "https://Index.example/pypi/simple",
        "https://index.example/pypi/simple/",
        "https://index.example/pypi/simple",
    ]


def test_a_service_that_is_no_url_is_looked_for_without_simple() -> None:
    assert spellings("poetry-repository-x", "poetry-repository-x") == [
        "poetry-repository-x",
        "poetry-repository-x/",
    ]
