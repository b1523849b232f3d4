"""Heads: what is refused, who holds the capability, and which headers go on in both directions."""

from __future__ import annotations

import base64

import pytest

from tokenward_relay.grants import Grant
from tokenward_relay.head import (
    MAX_HEAD,
    MAX_HEADERS,
    Head,
    check_head,
    headers_for_index,
    headers_for_tool,
    headers_to_pass,
    is_empty_body,
    parse_absolute,
    parse_connect,
    require_capability,
    require_host,
    reverse_capability,
    status_for_tool,
)
from tokenward_relay.refusal import Refusal

CORP = Grant("corp", "https", "index.example", 443)
CAPABILITY = b"tokenward-run-" + b"c" * 43
OURS = b"Basic b3VyczpzZWNyZXQ="


def head(*headers: tuple[bytes, bytes], method: bytes = b"GET", version: bytes = b"1.1") -> Head:
    return Head(method, b"/simple/", headers, version)


def status(head: Head, size: int = 0) -> int:
    with pytest.raises(Refusal) as caught:
        check_head(head, size)
    return caught.value.status


def basic(password: bytes, user: bytes = b"run") -> bytes:
    return b"Basic " + base64.b64encode(user + b":" + password)


@pytest.mark.parametrize(
    "headers",
    [
        [(b"content-length", b"5"), (b"transfer-encoding", b"chunked")],
        [(b"content-length", b"5"), (b"content-length", b"5")],
        [(b"transfer-encoding", b"chunked"), (b"transfer-encoding", b"chunked")],
        [(b"content-length", b"+5")],
        [(b"content-length", b"5, 5")],
        [(b"content-length", b"")],
        [(b"content-length", b"1" * 16)],
        [(b"transfer-encoding", b"gzip, chunked")],
        [(b"transfer-encoding", b"xchunked")],
        [(b"upgrade", b"h2c")],
        [(b"host", b"a"), (b"host", b"a")],
    ],
)
def test_a_head_that_can_be_read_in_two_ways_is_refused(headers: list[tuple[bytes, bytes]]) -> None:
    assert status(head(*headers)) == 400


@pytest.mark.parametrize("version", [b"0.9", b"1.2", b"2.0", b""])
def test_another_version_of_http_is_refused(version: bytes) -> None:
    assert status(head(version=version)) == 400


def test_chunks_are_of_http_1_1() -> None:
    chunks = (b"transfer-encoding", b"Chunked")
    check_head(head(chunks))
    assert status(head(chunks, version=b"1.0")) == 400


def test_a_tunnel_does_not_begin_with_a_body() -> None:
    check_head(head((b"content-length", b"0"), method=b"CONNECT"))
    assert status(head((b"content-length", b"5"), method=b"CONNECT")) == 400
    assert status(head((b"transfer-encoding", b"chunked"), method=b"CONNECT")) == 400


def test_a_head_has_its_limits_in_bytes_and_in_headers() -> None:
    check_head(head((b"x", b"a" * (MAX_HEAD - 20))), size=MAX_HEAD)
    assert status(head((b"x", b"a" * MAX_HEAD))) == 431
    assert status(head(), size=MAX_HEAD + 1) == 431
    check_head(head(*[(b"x", b"")] * MAX_HEADERS))
    assert status(head(*[(b"x", b"")] * (MAX_HEADERS + 1))) == 431


@pytest.mark.parametrize(
    ("headers", "empty"),
    [
        ([], True),
        ([(b"content-length", b"0")], True),
        ([(b"content-length", b"00")], True),
        ([(b"content-length", b"5")], False),
        ([(b"transfer-encoding", b"chunked")], False),
    ],
)
def test_a_body_is_empty_if_its_head_says_so(
    headers: list[tuple[bytes, bytes]], empty: bool
) -> None:
    assert is_empty_body(head(*headers)) is empty


@pytest.mark.parametrize(
    ("target", "place"),
    [
        (b"index.example:443", ("index.example", 443)),
        (b"INDEX.example.:443", ("index.example", 443)),
        (b"localhost:8080", ("localhost", 8080)),
        (b"my_host:1", ("my_host", 1)),
        (b"127.0.0.1:65535", ("127.0.0.1", 65535)),
        (b"[::1]:443", ("::1", 443)),
        (b"[0:0::0001]:443", ("::1", 443)),
        (b"xn--bcher-kva.example:443", ("xn--bcher-kva.example", 443)),
    ],
)
def test_a_tunnel_leads_to_a_host_and_a_port(target: bytes, place: tuple[str, int]) -> None:
    assert parse_connect(target) == place


@pytest.mark.parametrize(
    "target",
    [
        *(
            b"",
            b":443",
            b"index.example",
            b"index.example:",
            b"index.example:0",
            b"index.example:65536",
        ),
        *(
            b"index.example:0443",
            b"a@index.example:443",
            b"a:b@index.example:443",
            b"[::1%25lo]:443",
        ),
        *(b"index.example:443/", b"https://index.example:443", b"index..example:443", b"[::1:443"),
        *(
            b"127.1:443",
            b"0x7f.0.0.1:443",
            b"2130706433:443",
            b"b\xc3\xbccher.example:443",
            b"::1:443",
        ),
        *(
            b"index.example..:443",
            b"index.example\n:443",
            b"index.example:443\n",
            b"index%2eexample:443",
        ),
    ],
)
def test_a_tunnel_to_anything_else_is_refused(target: bytes) -> None:
    with pytest.raises(Refusal) as caught:
        parse_connect(target)
    assert caught.value.status == 400


@pytest.mark.parametrize(
    ("target", "found"),
    [
        (b"http://h.example/a?b", ("h.example", 80, b"/a?b")),
        (b"HTTP://H.example:8080", ("h.example", 8080, b"/")),
        (b"http://[::1]:8080//a//b", ("::1", 8080, b"//a//b")),
    ],
)
def test_an_absolute_target_names_host_and_path(
    target: bytes, found: tuple[str, int, bytes]
) -> None:
    assert parse_absolute(target) == found


@pytest.mark.parametrize(
    "target",
    [
        *(b"https://h.example/", b"ftp://h.example/", b"http:h.example", b"http://a@h.example/"),
        *(b"http:///a", b"http://h.example?a", b"http://h.example/a#b", b"http://h.example:/"),
        *(b"//h.example/", b"http://h.example\\a", b"http://1/"),
    ],
)
def test_another_absolute_target_is_refused(target: bytes) -> None:
    with pytest.raises(Refusal) as caught:
        parse_absolute(target)
    assert caught.value.status == 400


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
def test_who_holds_the_capability_is_let_in(
    kind: type[bytes | bytearray | memoryview],
) -> None:
    require_capability(head((b"proxy-authorization", basic(CAPABILITY))), kind(CAPABILITY))
    host = (b"host", b"127.0.0.1:4000")
    reverse_capability(
        head(host, (b"authorization", basic(CAPABILITY, b"__token__"))), kind(CAPABILITY), 4000
    )


@pytest.mark.parametrize(
    "values",
    [
        [],
        [basic(b"x" * len(CAPABILITY))],
        [basic(CAPABILITY + b"c")],
        [basic(CAPABILITY), basic(CAPABILITY)],
        [b"Bearer " + CAPABILITY],
        [b"Basic " + CAPABILITY],
        [b"Basic"],
        [b"Basic !" + basic(CAPABILITY)[6:]],
        [b"Basic " + base64.b64encode(CAPABILITY)],
    ],
)
def test_a_request_without_the_capability_is_refused(values: list[bytes]) -> None:
    with pytest.raises(Refusal) as caught:
        require_capability(head(*((b"proxy-authorization", v) for v in values)), CAPABILITY)
    assert caught.value.status == 407
    host = (b"host", b"127.0.0.1:4000")
    with pytest.raises(Refusal) as caught:
        reverse_capability(head(host, *((b"authorization", v) for v in values)), CAPABILITY, 4000)
    assert caught.value.status == 403


def test_an_empty_capability_lets_no_request_in() -> None:
    with pytest.raises(Refusal):
        require_capability(head((b"proxy-authorization", basic(b""))), b"")


@pytest.mark.parametrize(
    "hosts",
    [
        [],
        [b"localhost:4000"],
        [b"127.0.0.1"],
        [b"127.0.0.1:4001"],
        [b"evil.example"],
        [b"[::1]:4000"],
    ],
)
def test_the_loopback_url_is_for_its_own_name_alone(hosts: list[bytes]) -> None:
    with pytest.raises(Refusal) as caught:
        reverse_capability(
            head((b"authorization", basic(CAPABILITY)), *((b"host", h) for h in hosts)),
            CAPABILITY,
            4000,
        )
    assert caught.value.status == 421


@pytest.mark.parametrize(
    "host", [b"index.example", b"INDEX.example", b"index.example:443", b"index.example."]
)
def test_a_request_names_the_host_of_its_grant(host: bytes) -> None:
    require_host(head((b"host", host)), CORP)


@pytest.mark.parametrize(
    "hosts",
    [
        *(
            [],
            [b""],
            [b"index.example:80"],
            [b"devpi.example"],
            [b"index.example", b"index.example"],
        ),
        *([b"index.example,devpi.example"], [b"a@index.example"], [b"index.example/x"], [b"[::1]"]),
    ],
)
def test_a_request_for_another_host_is_refused(hosts: list[bytes]) -> None:
    with pytest.raises(Refusal) as caught:
        require_host(head(*((b"host", h) for h in hosts)), CORP)
    assert caught.value.status == 421


SENT = (
    (b"host", b"evil.example"),
    (b"user-agent", b"pip/26"),
    (b"accept", b"text/html"),
    (b"authorization", b"Basic dG9vbDp4"),
    (b"cookie", b"a=b"),
    (b"x-devpi-auth", b"x"),
    (b"proxy-authorization", basic(CAPABILITY)),
    (b"proxy-connection", b"keep-alive"),
    (b"connection", b"authorization, Host, x-drop"),
    (b"x-drop", b"x"),
    (b"range", b"bytes=0-1"),
    (b"te", b"trailers"),
    (b"expect", b"100-continue"),
    (b"forwarded", b"for=x"),
    (b"x-forwarded-host", b"x"),
    (b"x_forwarded_host", b"x"),
    (b"authorization_", b"x"),
    (b"x-http-method-override", b"DELETE"),
    (b"x-original-url", b"/admin"),
    (b"x-rewrite-url", b"/admin"),
    (b"via", b"x"),
    (b"private-token", b"x"),
    (b"sudo", b"root"),
)


def test_an_index_gets_what_is_listed_its_own_name_and_our_credential_last() -> None:
    assert headers_for_index(head(*SENT), CORP, OURS) == [
        (b"host", b"index.example"),
        (b"user-agent", b"pip/26"),
        (b"accept", b"text/html"),
        (b"range", b"bytes=0-1"),
        (b"authorization", OURS),
    ]


def test_a_publish_by_the_tools_own_credential_keeps_that_alone() -> None:
    sent = [pair for pair in SENT if pair[0] != b"connection"]
    assert headers_for_index(head(*sent), CORP, None)[-1] == (b"authorization", b"Basic dG9vbDp4")
    assert b"cookie" not in dict(headers_for_index(head(*sent), CORP, None))


def test_a_form_that_was_written_anew_brings_its_own_type_and_length() -> None:
    sent = (
        (b"content-type", b"x"),
        (b"content-length", b"9"),
        (b"content-md5", b"x"),
        (b"accept", b"y"),
    )
    assert headers_for_index(head(*sent), CORP, OURS, (b"multipart/form-data; boundary=b", 42)) == [
        (b"host", b"index.example"),
        (b"accept", b"y"),
        (b"content-type", b"multipart/form-data; boundary=b"),
        (b"content-length", b"42"),
        (b"authorization", OURS),
    ]


def test_a_request_that_passes_keeps_the_tools_own_credentials() -> None:
    sent = [(name, value) for name, value in SENT if name != b"connection"]
    passed = dict(headers_to_pass(head(*sent), CORP))
    assert passed.keys() == {
        *(b"host", b"user-agent", b"accept", b"authorization", b"cookie", b"x-devpi-auth"),
        *(b"x-drop", b"range", b"x_forwarded_host", b"authorization_", b"private-token", b"sudo"),
    }
    assert passed[b"host"] == b"index.example"


def test_the_capability_is_not_a_credential_of_the_tools_own() -> None:
    both = head((b"authorization", basic(CAPABILITY)), (b"accept", b"x"))
    assert headers_to_pass(both, CORP, CAPABILITY) == [
        (b"host", b"index.example"),
        (b"accept", b"x"),
    ]
    other = head((b"authorization", basic(b"own")))
    assert headers_to_pass(other, CORP, CAPABILITY)[1:] == [(b"authorization", basic(b"own"))]


ANSWER = [
    (b"Content-Type", b"text/html"),
    (b"Content-Length", b"3"),
    (b"Set-Cookie", b"session=x"),
    (b"WWW-Authenticate", b"Basic"),
    (b"Authentication-Info", b"x"),
    (b"Alt-Svc", b'h3=":443"'),
    (b"Strict-Transport-Security", b"max-age=1"),
    (b"Proxy-Authenticate", b"Basic"),
    (b"Connection", b"close, X-Drop"),
    (b"X-Drop", b"x"),
    (b"Keep-Alive", b"timeout=5"),
    (b"ETag", b"x"),
]


def test_a_tool_gets_no_cookie_and_no_challenge() -> None:
    assert headers_for_tool(ANSWER) == [
        (b"Content-Type", b"text/html"),
        (b"Content-Length", b"3"),
        (b"ETag", b"x"),
    ]


def test_the_answer_to_a_request_that_passed_keeps_both() -> None:
    names = dict(headers_for_tool(ANSWER, passed=True)).keys()
    assert {b"Set-Cookie", b"WWW-Authenticate"} <= names
    assert not {b"Proxy-Authenticate", b"Connection", b"X-Drop"} & names


def test_a_length_beside_chunks_does_not_reach_the_tool() -> None:
    both = [(b"Transfer-Encoding", b"chunked"), (b"Content-Length", b"3")]
    assert headers_for_tool(both) == []


@pytest.mark.parametrize("header", [(b"X-Echo", b"got " + OURS), (b"X-b3VyczpzZWNyZXQ=", b"")])
def test_an_answer_that_holds_the_credential_does_not_reach_the_tool(
    header: tuple[bytes, bytes],
) -> None:
    with pytest.raises(Refusal) as caught:
        headers_for_tool([header], [b"", OURS[6:]])
    assert caught.value.status == 502
    assert OURS[6:].decode() not in repr(caught.value)


def test_a_tool_sees_each_status_but_those_that_make_it_prompt() -> None:
    for number in (200, 206, 304, 400, 403, 404, 500):
        assert status_for_tool(number, CORP) == number
    with pytest.raises(Refusal) as caught:
        status_for_tool(401, CORP)
    assert caught.value.status == 403
    assert "`auth login https://index.example/`" in caught.value.hint
    with pytest.raises(Refusal) as caught:
        status_for_tool(407, CORP)
    assert caught.value.status == 502


def test_a_text_is_fit_for_a_status_line() -> None:
    refused = Refusal(400, "é\r\nX: y" + "a" * 500, "h\n")
    assert (refused.text[:7], len(refused.text), refused.hint) == ("???X: y", 200, "h?")
