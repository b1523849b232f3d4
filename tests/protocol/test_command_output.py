"""What programs print when they make a credential, and what is read of it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokenward_protocol.command_output import MAX_OUTPUT, Output, OutputError, read_output

NOW = 1_790_000_000
END = 1_790_003_600
RFC = "2026-09-21T15:13:20Z"  # END


@pytest.mark.parametrize(
    ("printed", "secret", "end"),
    [
        ("hunter2\n", "hunter2", None),
        ("hunter2\r\nlogin: bob\n", "hunter2", None),  # pass shows more below the first line
        (f'{{"credential": {{"access_token": "ya", "token_expiry": "{RFC}"}}}}', "ya", END),
        ('{"authorizationToken": "ca", "expiration": 1790003600.25}', "ca", END),
        ('{"authorizationToken": "ca", "expiration": "2026-09-21T17:13:20.5+02:00"}', "ca", END),
        (
            '{"accessToken": "az", "expiresOn": "2026-01-01 02:03:04", "expires_on": 1790003600}',
            "az",
            END,
        ),
        ('{"access_token": "oa", "expires_in": 3600, "token_type": "Bearer"}', "oa", END),
        ('{"access_token": "oa", "expires_in": "3600"}', "oa", END),
        ('{"ServerURL": "https://h.example", "Username": "u", "Secret": "do"}', "do", None),
        (
            f'{{"kind": "ExecCredential", "status": {{"token": "k8", "expirationTimestamp": "{RFC}"}}}}',
            "k8",
            END,
        ),
        (f'{{"headers": {{"Authorization": ["Bearer ba"]}}, "expires": "{RFC}"}}', "ba", END),
        ('{"headers": {"Authorization": ["Basic dTpwdw=="]}}', "pw", None),
        ('{"object": "item", "login": {"username": "u", "password": "bw"}}', "bw", None),
        ("protocol=https\nusername=u\npassword=gi\npassword_expiry_utc=1790003600\n", "gi", END),
        ('{"password": "Basic dTpwdw=="}', "Basic dTpwdw==", None),
        (
            '{"lease_duration": 0, "data": {"data": {"password": "kv"}, "metadata": {"version": 1}}}',
            "kv",
            None,
        ),
        ('{"lease_duration": 3600, "data": {"access_token": "lease", "role": "ci"}}', "lease", END),
        ('{"lease_duration": 0, "expires_in": 3600, "data": {"token": "kv"}}', "kv", END),
    ],
)
def test_each_format_is_recognised(printed: str, secret: str, end: int | None) -> None:
    assert read_output("auto", printed.encode(), NOW) == Output(secret.encode(), end)


@pytest.mark.parametrize(
    ("form", "printed"),
    [
        ("auto", ""),
        ("auto", " \n"),
        ("json", "{}"),
        ("json", '{"token": ""}'),
        ("git", "a=b\n"),
        ("json", '{"token": null, "status": {}}'),
    ],
)
def test_an_output_without_a_secret_is_a_miss(form: str, printed: str) -> None:
    assert read_output(form, printed.encode(), NOW) is None


@pytest.mark.parametrize(
    ("form", "printed", "wrong"),
    [
        ("json", "a token", "no object of JSON"),
        ("json", "[1]", "no object of JSON"),
        ("json", '{"token": 5}', "not text"),
        ("json", '{"token": ["a", "b"]}', "not text"),
        ("json", '{"token": "t", "expires": "soon"}', "not a time"),
        ("json", '{"token": "t", "expires": "2026-13-01T00:00:00Z"}', "not a time"),
        ("json", '{"token": "t", "expires_in": -5}', "not a time"),
        ("json", '{"token": "t", "expires_in": true}', "not a time"),
        ("json", '{"token": "a\\nb"}', "control character"),
        ("json", '{"headers": {"Authorization": "Basic ***"}}', "cannot be read"),
        ("git", "password=x\npassword_expiry_utc=never\n", "not a time"),
        ("text", "\x1b[31mred\n", "control character"),
        ("json", '{"token": "%s"}' % ("x" * (MAX_OUTPUT + 1)), "too long"),
    ],
)
def test_an_output_that_is_not_in_its_format_is_refused_without_being_quoted(
    form: str, printed: str, wrong: str
) -> None:
    with pytest.raises(OutputError, match=wrong) as refused:
        read_output(form, printed.encode(), NOW)
    assert printed.strip() not in str(refused.value)


def test_a_secret_that_looks_like_another_format_is_read_as_text_if_the_recipe_says_so() -> None:
    assert read_output("text", b'{"token": "x"}\n', NOW) == Output(b'{"token": "x"}')


@given(
    st.datetimes(datetime(1970, 1, 2), datetime(2200, 1, 1)),  # noqa: DTZ001 - the zone comes below
    st.integers(-14 * 60, 14 * 60),
)
def test_every_time_of_rfc_3339_is_the_one_that_datetime_reads(
    moment: datetime, minutes: int
) -> None:
    there = moment.replace(microsecond=0, tzinfo=timezone(timedelta(minutes=minutes)))
    if there < datetime(1970, 1, 1, tzinfo=UTC):
        return
    printed = f'{{"token": "t", "expires": "{there.isoformat()}"}}'
    assert read_output("json", printed.encode(), NOW) == Output(b"t", int(there.timestamp()))


def test_an_output_has_no_secret_in_its_repr() -> None:
    assert "hunter2" not in repr(read_output("text", b"hunter2", NOW))
