"""Who is meant and where the secret comes from."""

from __future__ import annotations

import pytest
from hypothesis import given as given_any
from hypothesis import strategies as st

from tokenward.errors import CommandError
from tokenward.ui.secret_input import (
    MAX_SECRET,
    GivenCredential,
    check_secret,
    chosen_username,
    given_credential,
    line_of,
    text_of,
)


def given(
    *,
    u: str | None = None,
    p: str | None = None,
    t: str | None = None,
    url_u: str | None = None,
    url_p: str | None = None,
) -> GivenCredential:
    return given_credential(
        username_flag=u, password_flag=p, token_flag=t, url_username=url_u, url_password=url_p
    )


def test_a_token_has_the_user_name_that_tokens_have() -> None:
    found = given(t="pypi-x")
    assert (found.username, found.secret, found.stdin) == ("__token__", "pypi-x", False)


def test_a_token_may_stand_beside_its_user_name_in_the_url() -> None:
    assert given(t="x", url_u="__token__").username == "__token__"


@pytest.mark.parametrize("other", [{"u": "a"}, {"p": "b"}, {"u": "__token__"}])
def test_a_token_excludes_user_name_and_password(other: dict[str, str]) -> None:
    with pytest.raises(CommandError, match="exclude each other"):
        given(t="x", **other)


@pytest.mark.parametrize("other", [{"url_u": "a"}, {"url_u": "__token__", "url_p": "b"}])
def test_a_token_beside_a_credential_in_the_url_is_an_error(other: dict[str, str]) -> None:
    with pytest.raises(CommandError, match="in the URL"):
        given(t="x", **other)


def test_user_name_and_password_may_come_from_the_url() -> None:
    found = given(url_u="a", url_p="b")
    assert (found.username, found.secret) == ("a", "b")


def test_the_url_may_have_the_one_and_the_flags_the_other() -> None:
    found = given(url_u="a", p="b")
    assert (found.username, found.secret) == ("a", "b")


def test_a_user_name_given_twice_is_an_error_even_if_it_is_the_same() -> None:
    with pytest.raises(CommandError, match="both in the URL and by `--username`"):
        given(u="a", url_u="a", p="b")
    with pytest.raises(CommandError, match="both in the URL and by `--username`"):
        chosen_username("a", "a")


def test_a_password_given_twice_is_an_error() -> None:
    with pytest.raises(CommandError, match="both in the URL and by `--password`"):
        given(u="a", p="b", url_p="b")


def test_no_error_shows_a_secret() -> None:
    for arguments in ({"t": "s3cret", "u": "a"}, {"u": "a", "p": "s3cret", "url_p": "s3cret"}):
        with pytest.raises(CommandError) as caught:
            given(**arguments)
        assert "s3cret" not in str(caught.value) + caught.value.hint


def test_a_dash_is_stdin_for_a_secret_and_itself_for_a_user_name() -> None:
    found = given(u="-", p="-")
    assert (found.username, found.secret, found.stdin) == ("-", None, True)
    assert given(t="-").stdin


def test_a_dash_as_the_password_of_a_url_is_a_password() -> None:
    found = given(url_u="a", url_p="-")
    assert (found.secret, found.stdin) == ("-", False)


def test_a_value_on_the_command_line_is_kept_as_it_is() -> None:
    assert given(u="a", p=" b\n").secret == " b\n"


@pytest.mark.parametrize(
    "data", [b"sec ret\n", b"  sec ret \r\n\r\n \n", b"sec ret", b"\xef\xbb\xbfsec ret\r\n"]
)
def test_stdin_is_one_line_trimmed(data: bytes) -> None:
    assert line_of(data) == "sec ret"


@pytest.mark.parametrize(
    "data",
    [
        *(b"", b"\n", b"  \nsecond\n", b"\xff\xfe\n", b"p\xe4ss\n", b"\xef\xbb\xbf\n"),
        *("secret\n".encode(each) for each in ("utf-16", "utf-16-le", "utf-16-be", "utf-32")),
        *(b"first\nsecond\n", b"first\n\nsecond", b"first\rsecond", b"\r\n\r\nsecond"),
    ],
)
def test_stdin_without_a_secret_or_with_two_is_an_error(data: bytes) -> None:
    with pytest.raises(CommandError) as caught:
        line_of(data)
    assert caught.value.__context__ is None
    assert "second" not in str(caught.value)


@given_any(st.binary(max_size=60))
def test_whatever_bytes_come_exactly_the_one_line_of_them_is_read_or_none(data: bytes) -> None:
    try:
        text = text_of(data)
    except CommandError:
        return
    assert text.encode() in data
    without = data.replace(text.encode(), b"", 1)
    assert not without.removeprefix(b"\xef\xbb\xbf").strip(b"\r\n \t\v\f")
    assert not {"\r", "\n"} & {*text}


def test_the_longest_secret_fits_and_a_longer_one_is_an_error() -> None:
    assert len(check_secret("x" * MAX_SECRET)) == MAX_SECRET
    with pytest.raises(CommandError, match="longer than"):
        check_secret("x" * MAX_SECRET + "x")


def test_a_secret_that_is_no_unicode_is_an_error_without_it() -> None:
    with pytest.raises(CommandError, match="not valid Unicode") as caught:
        check_secret("secret\udcff")
    assert caught.value.__context__ is None
