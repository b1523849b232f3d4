"""Asking a host: what is refused, what is told, and what never is."""

from __future__ import annotations

import gc
import socket
import time
import warnings
from email.utils import formatdate
from math import floor
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.servers.http_server import Loopback, Response
from tokenward.indexes.web import SLOW_SECONDS, Web, clock_skew
from tokenward_protocol.index_reply import MOST_BYTES, WebError

if TYPE_CHECKING:
    from pathlib import Path

SECRET = "a-secret-that-nobody-may-see"
HEADERS = {"Authorization": f"Bearer {SECRET}"}


def web(**environ: str) -> Web:
    return Web(environ, time.time)


def failure(asking: Web, url: str, headers: dict[str, str] | None = None) -> str:
    """Return what is said where a host cannot be asked."""
    with pytest.raises(WebError) as caught:
        asking.ask("GET", url, headers or HEADERS, SECRET.encode())
    assert SECRET not in str(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None  # whatever went wrong may hold what was sent
    return str(caught.value)


def test_a_redirect_is_not_followed() -> None:
    with Loopback(lambda _: Response(200)) as elsewhere:
        moved = Response(307, headers={"Location": elsewhere.url})
        with Loopback(lambda _: moved) as server:
            assert web().ask("GET", server.url, HEADERS).status == 307
        assert elsewhere.requests == []


@pytest.mark.parametrize("status", [200, 204, 401, 404, 422, 500])
def test_every_status_is_an_answer(status: int) -> None:
    with Loopback(lambda _: Response(status)) as server:
        assert web().ask("GET", server.url).status == status


def test_a_certificate_that_nobody_vouches_for_is_not_taken() -> None:
    with Loopback(lambda _: Response(200), tls=True) as server:
        assert "its certificate is not trusted" in failure(web(), server.url)
        assert server.requests == []


@pytest.mark.parametrize("variable", ["REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE"])
@pytest.mark.parametrize("there", [True, False])
def test_a_bundle_that_cannot_be_used_is_named(tmp_path: Path, variable: str, there: bool) -> None:
    bundle = tmp_path / "bundle.pem"
    if there:
        bundle.touch()  # with no certificate in it
    with pytest.raises(WebError, match=f"{bundle}, which {variable} names, cannot be read: "):
        web(**{variable: str(bundle)}).ask("GET", "https://127.0.0.1:1/")


def test_what_goes_wrong_is_one_sentence_without_the_secret() -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{closed.getsockname()[1]}/"
        assert "Connection refused" in failure(web(), url)
    with Loopback(lambda _: Response(200)) as server:
        tls = server.url.replace("http:", "https:")
        assert "a known version of TLS" in failure(web(), tls)


@pytest.mark.parametrize("char", ["\n", "\r", "\0", "ä", "\N{SNOWMAN}", "\udc80"])
def test_a_secret_that_no_header_can_hold_is_not_sent(char: str) -> None:
    with Loopback(lambda _: Response(200)) as server:
        headers = {"PRIVATE-TOKEN": f"{SECRET}{char}X-Other: 1"}
        assert "cannot be sent" in failure(web(), server.url, headers)
        assert server.requests == []


def test_a_proxy_is_not_asked_for_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    with Loopback(lambda _: Response(500)) as proxy, Loopback(lambda _: Response(200)) as server:
        monkeypatch.setenv("http_proxy", proxy.url)
        assert web().ask("GET", server.url).status == 200
        assert proxy.requests == []


def test_a_proxy_of_the_environment_is_asked_for_others(monkeypatch: pytest.MonkeyPatch) -> None:
    with Loopback(lambda _: Response(502)) as proxy:
        monkeypatch.setenv("https_proxy", proxy.url)
        monkeypatch.delenv("no_proxy", raising=False)
        assert "h.example could not be asked" in failure(web(), "https://h.example/")
        (request,) = proxy.requests
        assert request.method == "CONNECT"
        assert SECRET not in str(request.headers)
    with warnings.catch_warnings(action="ignore", category=ResourceWarning):
        gc.collect()  # Python before 3.11.5 leaves the connection to a proxy open that has refused


@pytest.mark.parametrize("body", [b"", b"[1]", b"\xff", b"[" * 50_000, b'{"a":'])
def test_what_is_no_json_object_is_said(body: bytes) -> None:
    with (
        Loopback(lambda _: Response(200, body)) as server,
        pytest.raises(WebError, match="not a JSON object"),
    ):
        web().ask("GET", server.url).fields()


def test_no_more_than_a_limit_is_read() -> None:
    with Loopback(lambda _: Response(200, b"x" * (MOST_BYTES + 1000))) as server:
        assert len(web().ask("GET", server.url).body) == MOST_BYTES


@given(st.floats(-1e6, 1e6), st.floats(0, 2e9), st.floats(0, 2 * SLOW_SECONDS), st.floats(0, 1))
def test_a_clock_is_never_taken_for_more_ahead_than_it_is(
    ahead: float, began: float, took: float, part: float
) -> None:
    ended = began + took
    took = ended - began  # as far as floats have it
    shown = floor(began + part * took + ahead)  # a Date header has whole seconds
    found = clock_skew(shown, began, ended)
    if took > SLOW_SECONDS:
        assert found is None
    else:
        assert found is not None
        assert ahead - took - 2 - 1e-3 <= found <= ahead + 1e-3


def test_what_a_cache_answers_says_nothing_about_a_clock() -> None:
    old = Response(
        200, headers={"Date": formatdate(time.time() - 7200, usegmt=True), "Age": "7200"}
    )
    with Loopback(lambda _: old) as server:
        asking = web()
        asking.ask("GET", server.url)
    assert (asking.ahead, asking.has_skew, asking.notices()) == (None, False, [])


def dated(seconds: float) -> Response:
    """Return an answer of a host whose clock is so much ahead of ours."""
    return Response(200, headers={"Date": formatdate(time.time() + seconds, usegmt=True)})


@pytest.mark.parametrize(
    ("ahead", "said"),
    [
        (0, ""),
        (50, ""),
        (-50, ""),
        (290, "The clock here is 5 minutes behind that of"),
        (3600 - 0.4, "The clock here is 1 hour behind that of"),
        (-7300, "The clock here is 2 hours ahead of that of"),
    ],
)
def test_a_clock_that_differs_by_more_than_a_minute_is_said_once(ahead: float, said: str) -> None:
    with Loopback(lambda _: dated(ahead)) as server:
        asking = web()
        asking.ask("GET", server.url)
        asking.ask("GET", server.url)
        notices = asking.notices()
        assert [notice.startswith(said) for notice in notices] == ([True] if said else [])
        assert asking.notices() == []
