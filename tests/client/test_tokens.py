"""A token is judged before it is stored, with the reason and without the token."""

from __future__ import annotations

import base64
import hashlib
import hmac

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokenward.errors import CommandError
from tokenward.tokens import Checked, checked, maker
from tokenward_protocol.urls import PYPI, TESTPYPI

ELSEWHERE = "https://index.example/"


def varint(number: int) -> bytes:
    head = b""
    while number > 0x7F:
        head += bytes([number & 0x7F | 0x80])
        number >>= 7
    return head + bytes([number])


def macaroon(location: str | None, *caveats: str) -> bytes:
    """Make a real macaroon, v2 binary, of a made-up root key."""
    identifier = b"3b6a1c1e-6c52-4d0e-9f0a-0d1f5f3f1a10"
    signature = hmac.digest(b"k" * 32, identifier, hashlib.sha256)
    raw = b"\x02"
    if location is not None:
        raw += b"\x01" + varint(len(location.encode())) + location.encode()
    raw += b"\x02" + varint(len(identifier)) + identifier + b"\x00"
    for caveat in caveats:
        data = caveat.encode()
        raw += b"\x02" + varint(len(data)) + data + b"\x00"
        signature = hmac.digest(signature, data, hashlib.sha256)
    return raw + b"\x00\x06\x20" + signature


def token(location: str | None, *caveats: str) -> str:
    return "pypi-" + base64.urlsafe_b64encode(macaroon(location, *caveats)).decode().rstrip("=")


OF_PYPI = token("pypi.org", '[1,["project"]]', "[0,1900000000,0]")
OF_TESTPYPI = token("test.pypi.org")


def refused(key: str, secret: str) -> str:
    with pytest.raises(CommandError) as caught:
        checked(key, "__token__", secret)
    said = f"{caught.value} {caught.value.hint}"
    for start in range(0, len(secret) - 12, 4):
        assert secret[start : start + 12] not in said
    return said


@pytest.mark.parametrize(("key", "secret"), [(PYPI, OF_PYPI), (TESTPYPI, OF_TESTPYPI)])
def test_seed_api_token_of_the_right_index_is_stored_as_it_is(key: str, secret: str) -> None:
    assert checked(key, "__token__", secret) == Checked(secret, "")


def test_a_token_with_long_caveats_is_one() -> None:
    secret = token("pypi.org", '[1,["' + "x" * 5000 + '"]]')
    assert checked(PYPI, "__token__", secret).secret == secret


@pytest.mark.parametrize(
    ("secret", "reason"),
    [
        ("hunter2-hunter2-hunter2", "begins with pypi-, and this one does not"),
        ("PYPI-" + OF_PYPI[5:], "begins with pypi-, and this one does not"),
        ("ghp_0123456789abcdefghij", "a GitHub token"),
        ("glpat-0123456789abcdefghij", "a GitLab token"),
        ("devpi-0123456789abcdefghij", "a devpi token"),
        ("", "begins with pypi-"),
    ],
)
def test_seed_a_wrong_prefix_is_explained(secret: str, reason: str) -> None:
    assert reason in refused(PYPI, secret)


def test_seed_a_token_for_another_index_is_explained() -> None:
    assert "made by testpypi" in refused(PYPI, OF_TESTPYPI)
    assert "auth login testpypi" in refused(PYPI, OF_TESTPYPI)
    assert "made by pypi" in refused(TESTPYPI, OF_PYPI)
    assert "made by another index" in refused(PYPI, token("index.example"))
    assert "made by another index" in refused(PYPI, token(None))


@pytest.mark.parametrize(
    "secret",
    [
        "pypi-",
        OF_PYPI[:-1],
        OF_PYPI[:-20],
        OF_PYPI[:40],
        OF_PYPI + "AAAA",
        OF_PYPI + "\n",
        OF_PYPI + "=",
        OF_PYPI[:60] + " " + OF_PYPI[60:],
        OF_PYPI[:60] + "ä" + OF_PYPI[61:],
        "pypi-" + "A" * 200,
        "pypi-Ag" + "_" * 2000,
    ],
)
def test_a_truncated_or_damaged_token_is_refused(secret: str) -> None:
    assert "truncated or damaged" in refused(PYPI, secret)


def test_every_cut_of_a_token_is_noticed() -> None:
    assert all(maker(OF_PYPI[:length]) is None for length in range(len(OF_PYPI)))


def test_a_testpypi_prefix_is_taken_off_and_said() -> None:
    found = checked(TESTPYPI, "__token__", "testpypi-" + OF_TESTPYPI.removeprefix("pypi-"))
    assert found.secret == OF_TESTPYPI
    assert "testpypi-" in found.notice


def test_a_testpypi_prefix_before_anything_else_is_refused() -> None:
    assert "was not made by testpypi" in refused(TESTPYPI, "testpypi-" + "x" * 40)
    assert "was not made by testpypi" in refused(TESTPYPI, "testpypi-" + OF_PYPI[5:])
    assert "was not made by testpypi" in refused(TESTPYPI, "testpypi-" + OF_TESTPYPI)
    assert "made by testpypi" in refused(PYPI, "testpypi-" + OF_TESTPYPI[5:])


@pytest.mark.parametrize("key", [PYPI, TESTPYPI])
def test_a_user_and_password_is_stored_with_a_warning(key: str) -> None:
    found = checked(key, "alice", "hunter2")
    assert found.secret == "hunter2"
    assert "refuse" in found.notice


@pytest.mark.parametrize("secret", ["x", "", "pypi-short", "ghp_x", "\n", token("index.example")])
def test_elsewhere_any_secret_is_welcome(secret: str) -> None:
    assert checked(ELSEWHERE, "__token__", secret) == Checked(secret, "")


@pytest.mark.parametrize("username", ["__token__", "alice"])
def test_a_token_of_pypi_for_another_host_is_one_warning(username: str) -> None:
    assert "token of pypi" in checked(ELSEWHERE, username, OF_PYPI).notice
    assert "token of testpypi" in checked(ELSEWHERE, username, OF_TESTPYPI).notice
    assert checked(ELSEWHERE, username, OF_PYPI).secret == OF_PYPI


def test_the_repr_of_what_is_checked_holds_no_secret() -> None:
    assert OF_PYPI not in repr(checked(PYPI, "__token__", OF_PYPI))


@given(st.binary(max_size=300))
def test_any_bytes_are_a_macaroon_or_none_and_nothing_else_happens(raw: bytes) -> None:
    maker("pypi-" + base64.urlsafe_b64encode(raw).decode().rstrip("="))


@given(st.integers(0, 300), st.integers(0, 255))
def test_a_changed_byte_leaves_a_macaroon_or_none_and_nothing_else_happens(
    at: int, value: int
) -> None:
    raw = bytearray(macaroon("pypi.org", '[1,["project"]]'))
    raw[at % len(raw)] = value
    maker("pypi-" + base64.urlsafe_b64encode(raw).decode().rstrip("="))


@given(st.text(max_size=40), st.lists(st.text(max_size=200), max_size=4))
def test_the_maker_of_any_macaroon_is_its_location(location: str, caveats: list[str]) -> None:
    assert maker(token(location, *caveats)) == location
