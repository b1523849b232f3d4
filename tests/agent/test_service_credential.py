"""A passphrase that the service manager hands over is read as the client reads the same file."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from tokenward.credentials.unlocking import passphrase_of
from tokenward.errors import CommandError
from tokenward_agent.arena import Arena
from tokenward_agent.failure import Failure
from tokenward_agent.store.key_files import CREDENTIAL, ServiceCredential

if TYPE_CHECKING:
    from pathlib import Path

PARTS = [b"a", b" ", b"\n", b"\r\n", b"\r", b"\xef\xbb\xbf", b"\xff\xfe", b"\0", b"\x0b", b"\xe4"]


def by_the_agent(folder: Path) -> bytes | None:
    try:
        with ServiceCredential(str(folder), Arena(1 << 16)).borrow() as found:
            return bytes(found)
    except Failure:
        return None


def by_the_client(folder: Path) -> bytes | None:
    try:
        return passphrase_of(str(folder / CREDENTIAL), "")
    except CommandError:
        return None


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.sampled_from(PARTS), max_size=6).map(b"".join))
@example(b"phrase\r\n")
@example(b"\xef\xbb\xbfphrase\n")
@example(b"first\nsecond\n")
@example("phrase\n".encode("utf-16"))
def test_whatever_bytes_are_in_it_both_read_the_same(tmp_path: Path, data: bytes) -> None:
    file = tmp_path / CREDENTIAL
    file.write_bytes(data)
    file.chmod(0o600)
    assert by_the_agent(tmp_path) == by_the_client(tmp_path)


@pytest.mark.parametrize(
    "data", [b"phrase", b"phrase\n", b"phrase\r\n", b"\xef\xbb\xbfphrase", b"phrase\n\n \n"]
)
def test_what_stands_around_the_line_is_no_part_of_it(tmp_path: Path, data: bytes) -> None:
    (tmp_path / CREDENTIAL).write_bytes(data)
    assert by_the_agent(tmp_path) == b"phrase"
