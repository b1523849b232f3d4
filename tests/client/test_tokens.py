"""A token is judged before it is stored, with the reason and without the token."""

from __future__ import annotations

import base64
import hashlib
import hmac
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokenward.credentials import storing
from tokenward.credentials.storing import CheckedSecret, ExpiredError
from tokenward.errors import CommandError
from tokenward_protocol.admission import ROOM, NotAdmitted, admit
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


def checked(key: str, username: str, secret: str) -> CheckedSecret:
    return storing.check_secret_for((key,), username, secret)


def said(found: CheckedSecret) -> str:
    return " ".join(found.notices)


def refused(key: str, secret: str) -> str:
    with pytest.raises(CommandError) as caught:
        checked(key, "__token__", secret)
    said = f"{caught.value} {caught.value.hint}"
    for start in range(0, len(secret) - 12, 4):
        assert secret[start : start + 12] not in said
    return said


@pytest.mark.parametrize(("key", "secret"), [(PYPI, OF_PYPI), (TESTPYPI, OF_TESTPYPI)])
def test_seed_api_token_of_the_right_index_is_stored_as_it_is(key: str, secret: str) -> None:
    assert checked(key, "__token__", secret) == CheckedSecret(secret.encode())


def test_a_token_with_long_caveats_is_one() -> None:
    secret = token("pypi.org", '[1,["' + "x" * 5000 + '"]]')
    assert checked(PYPI, "__token__", secret).body == secret.encode()


@pytest.mark.parametrize(
    ("secret", "reason"),
    [
        ("hunter2-hunter2-hunter2", "begins with pypi-, and this one does not"),
        ("PYPI-" + OF_PYPI[5:], "begins with pypi-, and this one does not"),
        ("ghp_0123456789abcdefghij", "a GitHub token"),
        ("glpat-0123456789abcdefghij", "a GitLab token"),
        ("devpi-0123456789abcdefghij", "a devpi token"),
        ("", "begins with pypi-"),
        (OF_PYPI[5:], "its beginning, pypi-, is missing"),
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
    for length in range(len(OF_PYPI)):
        with pytest.raises(CommandError):
            checked(PYPI, "__token__", OF_PYPI[:length])


def test_a_testpypi_prefix_is_taken_off_and_said() -> None:
    found = checked(TESTPYPI, "__token__", "testpypi-" + OF_TESTPYPI.removeprefix("pypi-"))
    assert found.body == OF_TESTPYPI.encode()
    assert "testpypi-" in said(found)


def test_a_testpypi_prefix_before_anything_else_is_refused() -> None:
    assert "testpypi did not make the rest" in refused(TESTPYPI, "testpypi-" + "x" * 40)
    assert "testpypi did not make the rest" in refused(TESTPYPI, "testpypi-" + OF_PYPI[5:])
    assert "testpypi did not make the rest" in refused(TESTPYPI, "testpypi-" + OF_TESTPYPI)
    assert "made by testpypi" in refused(PYPI, "testpypi-" + OF_TESTPYPI[5:])


@pytest.mark.parametrize("key", [PYPI, TESTPYPI])
def test_a_user_and_password_is_stored_with_a_warning(key: str) -> None:
    found = checked(key, "alice", "hunter2")
    assert found.body == b"hunter2"
    assert "refuse" in said(found)


@pytest.mark.parametrize("secret", ["x", "", "pypi-short", "ghp_x", "\n", token("index.example")])
def test_elsewhere_any_secret_is_welcome(secret: str) -> None:
    assert checked(ELSEWHERE, "__token__", secret) == CheckedSecret(secret.encode())


@pytest.mark.parametrize("username", ["__token__", "alice"])
def test_a_token_of_pypi_for_another_host_is_one_warning(username: str) -> None:
    assert "token of pypi" in said(checked(ELSEWHERE, username, OF_PYPI))
    assert "token of testpypi" in said(checked(ELSEWHERE, username, OF_TESTPYPI))
    assert checked(ELSEWHERE, username, OF_PYPI).body == OF_PYPI.encode()


def test_the_repr_of_what_is_checked_holds_no_secret() -> None:
    assert OF_PYPI not in repr(checked(PYPI, "__token__", OF_PYPI))


AROUND = [*" \t\r\n\"'`", "\ufeff", "\u200b", "\xa0", "\u201c", "\u201d", "' ", '"\r\n']


@pytest.mark.parametrize("key", [PYPI, ELSEWHERE])
@pytest.mark.parametrize("before", ["", *AROUND])
@pytest.mark.parametrize("behind", AROUND)
def test_what_was_copied_along_with_a_token_is_left_out_and_said(
    key: str, before: str, behind: str
) -> None:
    found = checked(key, "__token__", before + OF_PYPI + behind)
    assert found.body == OF_PYPI.encode()
    assert "were removed" in said(found)


@pytest.mark.parametrize("secret", [" a b ", '"quoted"', "'x'", "\u201cx\u201d", "\ta"])
def test_a_password_elsewhere_is_stored_to_the_byte_and_quotes_are_pointed_out(secret: str) -> None:
    found = checked(ELSEWHERE, "alice", secret)
    assert found.body == secret.encode()
    assert ("quote" in said(found)) is (secret[0] in "\"'")


NOW = 1_790_000_000


def jwt(payload: str) -> str:
    def letters(text: str) -> str:
        return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")

    return ".".join([letters('{"alg":"RS256"}'), letters(payload), letters("signature")])


ENDED = [
    (PYPI, token("pypi.org", "[0,1000000000,0]")),
    (TESTPYPI, "testpypi-" + token("test.pypi.org", '[1,["p"]]', "[0,1,0]")[5:]),
    (ELSEWHERE, token("pypi.org", "[0,1000000000,0]")),
    (ELSEWHERE, token("index.example", '{"nbf":0,"exp":5}')),
    (ELSEWHERE, "devpi-" + token(None, "expires=1000000000")[5:]),
    (ELSEWHERE, jwt('{"exp":1000000000}')),
    (ELSEWHERE, jwt('{"sub":"a","exp":1e9}')),
    (ELSEWHERE, '"' + jwt('{"exp":0}') + '"\n'),
    (ELSEWHERE, jwt('{"exp":-1.5}')),
]


@pytest.mark.parametrize(("key", "secret"), ENDED, ids=map(str, range(len(ENDED))))
@pytest.mark.parametrize("username", ["__token__", "alice", ""])
def test_what_has_expired_is_refused_wherever_it_is_for(
    key: str, secret: str, username: str
) -> None:
    if secret.startswith("testpypi-") and username != "__token__":
        return  # then it is a password
    with pytest.raises(ExpiredError, match="has expired"):
        checked(key, username, secret)


@pytest.mark.parametrize(
    "payload",
    [
        *('{"exp":99999999999}', "{}", "[]", '{"exp":null}', '{"exp":true}', '{"exp":"1"}'),
        *(
            '{"exp":NaN}',
            '{"exp":-Infinity}',
            '{"a":{"exp":1}}',
            "not json",
            '{"exp":1',
            "[" * 9000,
        ),
    ],
)
def test_a_jwt_that_does_not_say_that_it_is_over_is_stored(payload: str) -> None:
    assert checked(ELSEWHERE, "alice", jwt(payload)) == CheckedSecret(jwt(payload).encode())


def test_what_no_text_can_be_is_refused_without_a_traceback() -> None:
    for key in (PYPI, ELSEWHERE):
        for secret in ("\udcff", "pypi-\ud800", "a" * 70_000):
            assert refused(key, secret)


SECRETS = st.binary(max_size=300) | st.binary(max_size=200).map(
    lambda raw: b"pypi-" + base64.urlsafe_b64encode(raw).rstrip(b"=")
)


@given(st.sampled_from([PYPI, TESTPYPI, ELSEWHERE]), st.sampled_from(["__token__", "a"]), SECRETS)
def test_whatever_bytes_come_these_are_stored_or_a_sentence_says_otherwise(
    key: str, username: str, secret: bytes
) -> None:
    room = memoryview(bytearray(ROOM))
    try:
        found = admit(key, username, memoryview(secret), room, NOW)
    except NotAdmitted:
        return
    kept = secret[found.start : found.stop]
    assert kept == secret or found.changed
    again = admit(key, username, memoryview(kept), room, NOW)
    assert (again.start, again.stop, again.changed) == (0, len(kept), "")  # judged twice is once


@given(st.integers(0, 300), st.integers(0, 255), st.sampled_from([PYPI, TESTPYPI, ELSEWHERE]))
def test_a_changed_byte_leaves_a_token_or_none_and_nothing_else_happens(
    at: int, value: int, key: str
) -> None:
    raw = bytearray(macaroon("pypi.org", '[1,["project"]]'))
    raw[at % len(raw)] = value
    secret = "pypi-" + base64.urlsafe_b64encode(raw).decode().rstrip("=")
    with suppress(CommandError):
        assert checked(key, "__token__", secret).body == secret.encode()
