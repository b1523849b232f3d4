"""The negotiation with a SOCKS5 proxy, in whatever pieces it answers, and relays behind a real one."""

from __future__ import annotations

import socket

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.relay_process.raw_index import RawIndex
from support.relay_process.served import BASIC, run_at
from support.servers.socks_proxy import SocksProxy
from tokenward_protocol.proxy_url import ProxyUrl
from tokenward_relay.proxies import connect, open_socks
from tokenward_relay.refusal import Refusal

NAMED = b"\5\0\0\3\x0dbound.example\0\x50"
GOOD = [b"\5\0" + NAMED, b"\5\0\5\0\0\1\x7f\0\0\1\0\x50", b"\5\0\5\0\0\4" + bytes(16) + b"\0\x50"]
WITH_ACCOUNT = b"\5\2\1\0" + NAMED


def opened(
    answers: bytes, cuts: list[int], proxy: ProxyUrl, host: str = "index.example"
) -> tuple[bytes, bytes]:
    """Return what was sent to a proxy, and what is left to read of its answers."""
    sent: list[bytes] = []
    rest = bytearray(answers)
    sizes = iter(cuts)

    def receive(size: int) -> bytes:
        found = bytes(rest[: min(size, next(sizes, size))])
        del rest[: len(found)]
        return found

    open_socks(receive, sent.append, host, 443, proxy)
    return b"".join(sent), bytes(rest)


PLAIN = ProxyUrl("socks5h", "proxy.example", 1080)
ACCOUNT = ProxyUrl("socks5h", "proxy.example", 1080, b"ana", b"secret")
some_cuts = st.lists(st.integers(1, 5), max_size=40)


@given(st.sampled_from(GOOD), some_cuts, st.binary(max_size=8))
def test_answers_in_any_pieces_open_the_tunnel_and_nothing_behind_them_is_read(
    answers: bytes, cuts: list[int], behind: bytes
) -> None:
    sent, rest = opened(answers + behind, cuts, PLAIN)
    assert sent == b"\5\1\0" + b"\5\1\0\3\x0dindex.example\1\xbb"
    assert rest == behind


@given(some_cuts)
def test_user_name_and_password_are_shown_where_the_proxy_wants_them(cuts: list[int]) -> None:
    sent, rest = opened(WITH_ACCOUNT, cuts, ACCOUNT)
    assert sent == b"\5\2\0\2" + b"\1\3ana\6secret" + b"\5\1\0\3\x0dindex.example\1\xbb"
    assert rest == b""
    sent, _ = opened(GOOD[0], cuts, ACCOUNT)
    assert b"secret" not in sent  # not where nothing wants it


@pytest.mark.parametrize(
    ("host", "address"),
    [("127.0.0.1", b"\1\x7f\0\0\1"), ("::1", b"\4" + bytes(15) + b"\1"), ("a.b", b"\3\3a.b")],
)
def test_an_address_is_sent_as_one(host: str, address: bytes) -> None:
    assert opened(GOOD[0], [], PLAIN, host)[0].endswith(b"\5\1\0" + address + b"\1\xbb")


@given(
    st.binary(max_size=40)
    | st.sampled_from(GOOD).flatmap(
        lambda good: st.integers(0, len(good) - 1).map(lambda end: good[:end])
    ),
    some_cuts,
)
def test_whatever_a_proxy_answers_else_is_a_refusal(answers: bytes, cuts: list[int]) -> None:
    text = refusal_of(answers, cuts)
    assert text.startswith("the proxy proxy.example ") or (not text and answers[:1] == b"\5")


def refusal_of(answers: bytes, cuts: list[int]) -> str:
    """Return why a proxy with these answers opens no tunnel, "" if it does."""
    try:
        opened(answers, cuts, ACCOUNT)
    except Refusal as refusal:
        return refusal.text
    return ""


@pytest.mark.parametrize(
    ("answers", "proxy", "text"),
    [
        (b"HT", PLAIN, "does not speak SOCKS5"),
        (b"\5\xff", PLAIN, "asks for a user name and a password"),
        (b"\5\2", PLAIN, "asks for a user name and a password"),
        (b"\5\2\1\1", ACCOUNT, "does not accept the user name and the password"),
        (b"\5\0\5\2\0\1", PLAIN, "does not allow the connection"),
        (b"\5\0\5\4\0\1", PLAIN, "does not reach the host"),
        (b"\5\0\5\x63\0\1", PLAIN, "failed"),
        (b"\5\0\5\0\0\2", PLAIN, "does not speak SOCKS5"),
        (b"\5", PLAIN, "broke off"),
    ],
)
def test_a_refusal_says_why(answers: bytes, proxy: ProxyUrl, text: str) -> None:
    with pytest.raises(Refusal) as refused:
        opened(answers, [], proxy)
    assert refused.value.text == f"the proxy proxy.example {text}"


def test_a_name_that_is_too_long_is_refused_before_it_is_asked_for() -> None:
    with pytest.raises(Refusal, match="takes no name that is so long"):
        opened(GOOD[0], [], PLAIN, "x" * 256)


def test_socks5_looks_a_name_up_here_and_socks5h_has_the_proxy_do_it() -> None:
    with socket.create_server(("127.0.0.1", 0)) as there, SocksProxy() as proxy:
        port = there.getsockname()[1]
        connect("localhost", port, ProxyUrl("socks5", "127.0.0.1", proxy.port)).close()
        connect("no.example", port, ProxyUrl("socks5h", "127.0.0.1", proxy.port)).close()
        (looked_up, _), (named, _) = proxy.asked
        assert looked_up in {"127.0.0.1", "::1"}
        assert named == "no.example"
        with pytest.raises(Refusal, match=r"the name no\.example is not found"):
            connect("no.example", port, ProxyUrl("socks5", "127.0.0.1", proxy.port))


def test_a_relay_reaches_its_index_and_other_hosts_through_one() -> None:
    account = b"ana", b"p@ss"
    with RawIndex() as index, SocksProxy(account) as proxy, SocksProxy() as own:
        towards = f"socks5h://ana:p%40ss@127.0.0.1:{proxy.port}"
        tunnels = b"\nsocks5h://127.0.0.1:%d\n" % own.port
        with run_at(index, proxy=towards, proxies=tunnels) as relay:
            relay.still_serves(index.port)
            assert index.requests[0].authorization == BASIC
            assert proxy.asked == [("127.0.0.1", index.port)]
            with relay.tool() as tool:
                assert b" 200 " in tool.connect("elsewhere.example", index.port)
            assert own.asked == [("elsewhere.example", index.port)]


def test_a_proxy_that_refuses_is_named_to_the_tool_and_nothing_goes_around_it() -> None:
    with RawIndex() as index, SocksProxy((b"ana", b"other")) as proxy:
        towards = f"socks5h://ana:wrong@127.0.0.1:{proxy.port}"
        with run_at(index, proxy=towards) as relay, relay.tool() as tool:
            status, said = tool.enter("127.0.0.1", index.port).get(b"/simple/", index.port)
            assert status == 502
            assert b"does not accept the user name and the password" in said
            assert b"wrong" not in said
        assert index.requests == []
