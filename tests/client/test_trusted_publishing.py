"""Minting: what an index may answer, and what is said where it is not a token."""

from __future__ import annotations

import json
import sys
import time
from typing import TYPE_CHECKING, Any

import pytest

from support.servers.http_server import Loopback, Response
from support.servers.trusted_publishing import identity_token
from tokenward.errors import CommandError
from tokenward.indexes import trusted_publishing
from tokenward.indexes.web import Web
from tokenward_protocol.index_endpoint import WAREHOUSE, IndexEndpoint
from tokenward_protocol.index_reply import WebError

if TYPE_CHECKING:
    from collections.abc import Callable

IDENTITY = identity_token("pypi", "a job")


def said(status: int, answer: Any, ask: Callable[[Web, IndexEndpoint], object]) -> str:
    """Return what is said where an index answers so."""
    body = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
    with (
        Loopback(lambda _: Response(status, body)) as server,
        pytest.raises((CommandError, WebError)) as caught,
    ):
        ask(Web({}, time.time), IndexEndpoint(WAREHOUSE, server.url.rstrip("/")))
    failed = caught.value
    said = f"{failed} / {getattr(failed, 'hint', '')}"
    assert IDENTITY not in said
    return said


def mint(web: Web, endpoint: IndexEndpoint) -> trusted_publishing.MintedToken:
    return trusted_publishing.mint(web, endpoint, IDENTITY)


@pytest.mark.parametrize(
    ("status", "answer", "words"),
    [
        (403, {}, "is turned off at"),
        (404, {}, "has no trusted publishing"),
        (500, {}, "answered with the status 500"),
        (200, b"<html>", "not a JSON object"),
        (200, {"audience": 1}, "does not give the audience"),
        (200, {"audience": ""}, "does not give the audience"),
    ],
)
def test_an_index_without_trusted_publishing_is_said(status: int, answer: Any, words: str) -> None:
    assert words in said(status, answer, trusted_publishing.audience)


@pytest.mark.parametrize(
    ("status", "answer", "words"),
    [
        (
            422,
            {"errors": [{"code": "x", "description": "one."}, {"description": "two"}]},
            "one; two",
        ),
        (422, {"message": "Token request failed"}, "it does not say why"),
        (422, {"errors": ["x", 1, None]}, "it does not say why"),
        (
            422,
            {"errors": [{"code": "not-enabled", "description": "off"}]},
            "`auth login --token -`",
        ),
        (422, {"errors": [{"code": "invalid-reuse-token", "description": "x"}]}, "mints once"),
        (200, {"success": False}, "it does not say why"),
        (200, {"success": True}, "sends none"),
        (200, {"success": True, "token": ["x"]}, "sends none"),
        (200, {"success": True, "token": "x", "expires": 1}, "has expired already"),
        (502, b"", "answered with the status 502"),
        (200, b"", "not a JSON object"),
    ],
)
def test_an_index_that_mints_nothing_is_quoted(status: int, answer: Any, words: str) -> None:
    assert words in said(status, answer, mint)


def test_the_end_is_counted_by_the_clock_of_the_index() -> None:
    slow = "Thu, 01 Jan 1970 00:16:40 GMT"  # its clock, by which the token ends in ten minutes
    body = json.dumps({"success": True, "token": "pypi-x", "expires": 1600}).encode()
    with Loopback(lambda _: Response(200, body, {"Date": slow})) as server:
        web = Web({}, time.time)
        found = mint(web, IndexEndpoint(WAREHOUSE, server.url.rstrip("/")))
    assert found == ("pypi-x", 600)
    assert "ahead of" in web.notices()[0]


@pytest.mark.parametrize("end", [None, "soon", 1.5, True])
def test_an_index_that_does_not_say_when_a_token_ends_means_the_usual(end: Any) -> None:
    body = json.dumps({"success": True, "token": "pypi-x", "expires": end}).encode()
    with Loopback(lambda _: Response(200, body)) as server:
        found = mint(Web({}, time.time), IndexEndpoint(WAREHOUSE, server.url.rstrip("/")))
    assert found.seconds == trusted_publishing.USUAL_SECONDS


@pytest.mark.parametrize("token", ["", "x", "a.b.c", "a.e30.c", "a.WzFd.c", "a.bnVsbA.c"])
def test_an_identity_token_of_another_form_says_nothing(token: str) -> None:
    assert trusted_publishing.describe_claims(token) == ""


def test_an_identity_token_says_what_a_publisher_is_registered_by() -> None:
    found = trusted_publishing.describe_claims(IDENTITY)
    assert found == "sub repo:owner/project:ref:refs/heads/main and repository owner/project"


def test_a_package_that_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "id", None)
    with pytest.raises(CommandError, match="needs the package `id`") as caught:
        trusted_publishing.identity("pypi")
    assert caught.value.hint == "install `tokenward[trusted-publishing]`"
