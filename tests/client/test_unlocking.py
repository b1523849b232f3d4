"""Where a passphrase comes from when nobody is asked."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from tokenward.credentials import unlocking
from tokenward.credentials.unlocking import MAX_PASSPHRASE, given_passphrase
from tokenward.errors import CommandError
from tokenward.transport.connection import session_variables

if TYPE_CHECKING:
    from pathlib import Path


def private(path: Path, data: bytes, mode: int = 0o600) -> dict[str, str]:
    path.write_bytes(data)
    path.chmod(mode)
    return {"TOKENWARD_PASSPHRASE_FILE": str(path)}


def program(path: Path, text: str) -> dict[str, str]:
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o700)
    return {"TOKENWARD_ASKPASS": str(path)}


def test_without_variables_there_is_no_passphrase() -> None:
    assert given_passphrase({"TOKENWARD_PASSPHRASE_FILE": "", "TOKENWARD_ASKPASS": ""}) is None


@pytest.mark.parametrize(
    ("data", "passphrase"),
    [
        (b"phrase", b"phrase"),
        (b"phrase\n", b"phrase"),
        (b"phrase\r\n", b"phrase"),
        (b"\xef\xbb\xbfphrase\r\n", b"phrase"),
        (b" two words \n\n", b" two words "),
        ("pässwörd\n".encode(), "pässwörd".encode()),
    ],
)
def test_a_file_loses_the_end_of_its_line_and_no_blanks(
    tmp_path: Path, data: bytes, passphrase: bytes
) -> None:
    assert given_passphrase(private(tmp_path / "p", data)) == passphrase


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620])
def test_a_file_that_others_can_reach_is_refused(tmp_path: Path, mode: int) -> None:
    with pytest.raises(CommandError, match="Other users can read") as caught:
        given_passphrase(private(tmp_path / "p", b"phrase", mode))
    assert "chmod 600" in caught.value.hint


def test_a_file_that_only_its_owner_can_read_is_private(tmp_path: Path) -> None:
    assert given_passphrase(private(tmp_path / "p", b"phrase", 0o400)) == b"phrase"


def test_a_pipe_may_hold_the_passphrase(tmp_path: Path) -> None:
    reading, writing = os.pipe()
    os.write(writing, b"phrase\n")
    os.close(writing)
    try:
        assert given_passphrase({"TOKENWARD_PASSPHRASE_FILE": f"/dev/fd/{reading}"}) == b"phrase"
    finally:
        os.close(reading)


@pytest.mark.parametrize(
    "data",
    [
        *(b"", b"\n", b"\xef\xbb\xbf\r\n", b"x" * (MAX_PASSPHRASE + 1)),
        *(b"first\nsecond", b"first\r\nsecond\r\n", b"\nsecond"),
    ],
)
def test_a_file_without_a_usable_passphrase_is_an_error(tmp_path: Path, data: bytes) -> None:
    with pytest.raises(CommandError, match="holds"):
        given_passphrase(private(tmp_path / "p", data))


def test_a_missing_file_is_an_error_that_names_it(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match=r"nowhere cannot be read: No such file"):
        given_passphrase({"TOKENWARD_PASSPHRASE_FILE": str(tmp_path / "nowhere")})


def test_the_file_goes_before_the_program(tmp_path: Path) -> None:
    variables = private(tmp_path / "p", b"file") | program(tmp_path / "ask", "echo program")
    assert given_passphrase(variables) == b"file"


def test_a_program_is_told_what_is_asked_and_prints_it(tmp_path: Path) -> None:
    assert given_passphrase(program(tmp_path / "ask", 'echo "$#: $1"')) == (
        b"1: Passphrase for tokenward:"
    )


def test_a_program_that_fails_gives_no_passphrase(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="gave no passphrase"):
        given_passphrase(program(tmp_path / "ask", "echo s3cret; exit 1"))


def test_a_program_that_is_not_there_is_an_error_that_names_it(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="nowhere cannot be run"):
        given_passphrase({"TOKENWARD_ASKPASS": str(tmp_path / "nowhere")})


def test_the_agent_is_told_of_the_askers_session_and_nothing_else() -> None:
    environ = {"DISPLAY": ":1", "WAYLAND_DISPLAY": "", "HOME": "/h", "XAUTHORITY": "/x"}
    assert session_variables(environ) == {"display": ":1", "xauthority": "/x"}


@pytest.mark.parametrize("mode", [0o444, 0o440])
def test_a_file_that_a_container_engine_mounted_is_refused_with_what_helps_there(
    tmp_path: Path, mode: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its owner is root or another, so that a `chmod` would be refused."""
    monkeypatch.setattr(unlocking, "uid", lambda: os.geteuid() + 1000)
    with pytest.raises(CommandError, match="Other users can read") as caught:
        given_passphrase(private(tmp_path / "p", b"phrase", mode))
    assert "chmod" not in caught.value.hint
    assert f"mode 0400 for uid {os.geteuid() + 1000}" in caught.value.hint
    assert "`install -m 600 " in caught.value.hint
