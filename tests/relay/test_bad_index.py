"""An index that does what no index should: the relay keeps the credential from the tool all the same.

Each test has a real relay and an index whose bytes are the test's own.
"""

from __future__ import annotations

import gzip
import ssl
import threading
from typing import TYPE_CHECKING

import pytest

from support.relay_process.raw_index import RawIndex, Request, ok
from support.relay_process.served import BASIC, SECRET, RelayProcess, grant_of, host_line, run_at
from support.relay_process.uploads import form, upload
from support.servers.http_server import Loopback, Response
from support.waiting import PATIENCE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Script = Callable[[ssl.SSLSocket, Request], None]

WINDOW = 64 * 1024
CODED = BASIC.removeprefix(b"Basic ")


@pytest.fixture(scope="module")
def run() -> Iterator[tuple[RelayProcess, RawIndex]]:
    with RawIndex() as index, run_at(index) as relay:
        yield relay, index


@pytest.fixture
def index(run: tuple[RelayProcess, RawIndex]) -> RawIndex:
    """The index of the run that serves most tests, with nothing seen and nothing odd about it."""
    _, index = run
    index.forget()
    return index


@pytest.fixture
def relay(run: tuple[RelayProcess, RawIndex], index: RawIndex) -> RelayProcess:
    relay, _ = run
    relay.asked.clear()
    relay.told.clear()
    return relay


def sends(*pieces: bytes) -> Script:
    """Answer with these bytes, each in a record of its own."""

    def answer(sock: ssl.SSLSocket, _request: Request) -> None:
        for piece in pieces:
            sock.sendall(piece)

    return answer


def then_ends(*pieces: bytes) -> Script:
    """Answer so and hang up."""

    def answer(sock: ssl.SSLSocket, _request: Request) -> None:
        for piece in pieces:
            sock.sendall(piece)
        raise ConnectionError

    return answer


def read(relay: RelayProcess, index: RawIndex, path: bytes = b"/simple/") -> bytes:
    """Return all that a tool gets for one read, until the connection ends or the answer does."""
    with relay.tool() as tool:
        tool.enter("127.0.0.1", index.port)
        tool.send(b"GET " + path + b" HTTP/1.1\r\n" + host_line(index.port))
        tool.send(b"Connection: close\r\n\r\n")
        return tool.rest()


def published(relay: RelayProcess, index: RawIndex) -> bytes:
    """Return all that a tool gets for one upload."""
    with relay.tool() as tool:
        tool.enter("127.0.0.1", index.port)
        tool.send(upload(index.port, more=b"Connection: close\r\n"))
        return tool.rest()


def statuses(relay: RelayProcess) -> list[str]:
    """Return what the agent was told of uploads, once it was told of one."""
    relay.wait_for("published")
    return [each["status"] for each in relay.told]


def chunked(*pieces: bytes) -> bytes:
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    return head + b"".join(b"%x\r\n%b\r\n" % (len(each), each) for each in pieces) + b"0\r\n\r\n"


@pytest.mark.parametrize("needle", [SECRET, CODED, BASIC], ids=["secret", "base64", "header"])
@pytest.mark.parametrize(
    "made",
    [
        lambda needle: ok(b"fine", b"X-Debug: " + needle),
        lambda needle: ok(b"fine", b"Link: <https://ana:" + needle + b"@x.example/>"),
        lambda needle: ok(b"you sent " + needle + b", thank you"),
        lambda needle: ok(b"x" * (WINDOW - 20 - 50) + needle + b"x" * 19),
        lambda needle: ok(b"x" * WINDOW + needle),
        lambda needle: ok(b"x" * (WINDOW - len(needle) // 2) + needle + b"x" * 10),
        lambda needle: ok(b"x" * (5 * WINDOW + 7) + needle + b"x" * WINDOW),
        lambda needle: chunked(needle[:9], needle[9:]),
        lambda needle: chunked(*(bytes([each]) for each in needle)),
        lambda needle: chunked(b"x" * (WINDOW - 5), needle[:5], needle[5:], b"x" * 10),
        lambda needle: chunked(b"x" * 3 * WINDOW, needle, b"x" * 3 * WINDOW),
        lambda needle: b"HTTP/1.0 200 OK\r\n\r\n" + needle,
        lambda needle: b"HTTP/1.1 404 Not " + needle + b"\r\nContent-Length: 0\r\n\r\n",
    ],
    ids=[
        *("header", "link", "body", "end-of-window", "behind-window", "across-window", "far"),
        *("chunks", "single-bytes", "chunks-across-window", "chunks-far", "until-close", "reason"),
    ],
)
def test_the_credential_does_not_come_back(
    relay: RelayProcess, index: RawIndex, made: Callable[[bytes], bytes], needle: bytes
) -> None:
    index.answer = then_ends(made(needle))
    for got in (read(relay, index), published(relay, index)):
        assert SECRET not in got
        assert CODED not in got
    assert index.requests[0].authorization == BASIC


def test_nor_does_it_come_back_in_one_byte_at_a_time(relay: RelayProcess, index: RawIndex) -> None:
    body = b"a" * 100 + SECRET + b"b" * 100
    index.answer = sends(
        b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body),
        *(bytes([each]) for each in body),
    )
    got = read(relay, index)
    assert SECRET not in got


def test_what_is_almost_the_credential_comes_whole(relay: RelayProcess, index: RawIndex) -> None:
    """What is held back to look at it is not lost, wherever the answer ends."""
    for size in (1, len(SECRET) - 1, len(SECRET), WINDOW - 1, WINDOW, WINDOW + 1, 5 * WINDOW + 3):
        body = ((SECRET[:-1] + b"?") * (size // len(SECRET) + 1))[:size]
        index.answer = then_ends(ok(body))
        assert read(relay, index).partition(b"\r\n\r\n")[2] == body
        index.answer = then_ends(chunked(*(body[at : at + 999] for at in range(0, size, 999))))
        assert body_of(read(relay, index)) == body


def body_of(answer: bytes) -> bytes:
    """Return the body of an answer in chunks."""
    rest, body = answer.partition(b"\r\n\r\n")[2], b""
    while True:
        size, _, rest = rest.partition(b"\r\n")
        if not int(size, 16):
            return body
        body += rest[: int(size, 16)]
        rest = rest[int(size, 16) + 2 :]


def test_a_compressed_answer_is_passed_as_it_is(relay: RelayProcess, index: RawIndex) -> None:
    """A limit: an index that compresses the credential it was sent can have the tool read it."""
    body = gzip.compress(b"you sent " + SECRET)
    index.answer = sends(ok(body, b"Content-Encoding: gzip"))
    assert body in read(relay, index)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_the_tools_to_follow_without_the_credential(
    relay: RelayProcess, index: RawIndex, status: int
) -> None:
    with Loopback(lambda _: Response(200, b"yours"), tls=True) as other:
        where = b"Location: " + other.url.encode() + b"elsewhere"
        index.answer = sends(
            b"HTTP/1.1 %d Go\r\n" % status + where + b"\r\nContent-Length: 0\r\n\r\n"
        )
        for got in (read(relay, index), published(relay, index)):
            assert got.startswith(b"HTTP/1.1 %d " % status)
            assert where in got
        assert statuses(relay) == [str(status)]
        assert other.requests == []
        # The tool follows: it gets there by a tunnel, with what it has itself.
        with relay.tool() as tool:
            head = tool.connect("localhost", int(other.netloc.rpartition(":")[2]))
            assert b" 200 " in head
            tool.sock = ssl._create_unverified_context().wrap_socket(tool.sock)
            tool.send(b"POST /elsewhere HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n")
            assert tool.answer()[0] == 200
        assert other.seen() == [None]


def test_an_index_that_answers_before_the_form_has_come_is_heard(
    relay: RelayProcess, index: RawIndex
) -> None:
    def at_once(sock: ssl.SSLSocket, head: bytes) -> bool:
        if head.startswith(b"POST"):
            sock.sendall(
                b"HTTP/1.1 413 Too large\r\nConnection: close\r\nContent-Length: 3\r\n\r\nbig"
            )
            threading.Event().wait(0.5)
            return True
        return False

    index.begin = at_once
    with relay.tool() as tool:
        tool.enter("127.0.0.1", index.port)
        tool.send(upload(index.port, form(bytes(20 << 20)), b"Connection: close\r\n"))
        got = tool.rest()
    assert got.startswith((b"HTTP/1.1 413 ", b"HTTP/1.1 502 "))
    assert statuses(relay)[0] in {"413", "unknown"}


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"HTTP/1.1 200",
        b"HTTP/1.1 200 OK\r\nX: y\r\n",
        b"\x00\x01\x02\r\n\r\n",
        b"\xff" * 70000,
    ],
    ids=["nothing", "status", "half-head", "zeros", "bytes"],
)
def test_an_index_that_ends_before_its_answer_is_told_of(
    relay: RelayProcess, index: RawIndex, answer: bytes
) -> None:
    index.answer = then_ends(answer)
    assert read(relay, index).startswith(b"HTTP/1.1 502 ")
    assert published(relay, index).startswith(b"HTTP/1.1 502 ")
    assert statuses(relay) == ["unknown"]
    assert len([each for each in index.requests if each.line.startswith(b"POST")]) == 1


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf",
        b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n" + b"x" * (WINDOW + 5),
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nhello\r\n",
    ],
    ids=["short", "long", "chunked", "broken-chunk"],
)
def test_an_answer_that_is_cut_off_is_cut_off_for_the_tool(
    relay: RelayProcess, index: RawIndex, answer: bytes
) -> None:
    index.answer = then_ends(answer)
    got = read(relay, index)
    assert not got.endswith(b"0\r\n\r\n")
    assert got.startswith(b"HTTP/1.1 502 ") or len(got) < len(answer) + 200
    if b"Content-Length: 100" in got:
        assert len(got.partition(b"\r\n\r\n")[2]) < 100000
    published(relay, index)
    assert statuses(relay) == ["200"]


def test_interim_answers_of_the_index_do_not_reach_the_tool(
    relay: RelayProcess, index: RawIndex
) -> None:
    early = b"HTTP/1.1 103 Early Hints\r\nLink: <https://x.example/" + SECRET + b">\r\n\r\n"
    index.answer = sends(b"HTTP/1.1 100 Continue\r\n\r\n", early * 3, ok())
    for got in (read(relay, index), published(relay, index)):
        assert got.endswith(b"\r\n\r\nfine")
        assert b"Early" not in got
        assert SECRET not in got


def test_a_switch_of_protocols_is_refused(relay: RelayProcess, index: RawIndex) -> None:
    index.answer = sends(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\nhello")
    got = read(relay, index)
    assert got == b"" or got.startswith(b"HTTP/1.1 502 ")
    published(relay, index)
    assert statuses(relay)[0] in {"101", "unknown"}


def test_of_two_lengths_the_tool_sees_one(relay: RelayProcess, index: RawIndex) -> None:
    index.answer = then_ends(
        b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"
    )
    got = read(relay, index).lower()
    assert b"content-length" not in got
    assert b"hello" in got
    index.answer = then_ends(
        b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 5\r\n\r\nhello"
    )
    assert read(relay, index).startswith(b"HTTP/1.1 502 ")


def test_a_head_without_end_is_not_read_for_ever(relay: RelayProcess, index: RawIndex) -> None:
    def endless(sock: ssl.SSLSocket, _request: Request) -> None:
        sock.sendall(b"HTTP/1.1 200 OK\r\n")
        while True:
            sock.sendall(b"X-More: " + b"y" * 1000 + b"\r\n")

    index.answer = endless
    assert read(relay, index).startswith(b"HTTP/1.1 502 ")


@pytest.mark.parametrize(("status", "seen"), [(401, 403), (407, 502)])
def test_a_challenge_does_not_reach_the_tool(
    relay: RelayProcess, index: RawIndex, status: int, seen: int
) -> None:
    challenge = b"WWW-Authenticate: Basic realm=x\r\nProxy-Authenticate: Basic realm=x\r\n"
    index.answer = sends(
        b"HTTP/1.1 %d No\r\n" % status + challenge + b"Content-Length: 2\r\n\r\nno"
    )
    for got in (read(relay, index), published(relay, index)):
        assert int(got.split()[1]) in {seen, 400}
        assert b"realm" not in got
    assert statuses(relay) == [str(status)]


def test_a_credential_that_was_not_accepted_is_not_kept(index: RawIndex) -> None:
    with run_at(index) as relay:
        index.answer = sends(b"HTTP/1.1 401 No\r\nContent-Length: 0\r\n\r\n")
        read(relay, index)
        index.answer = sends(ok())
        assert read(relay, index).startswith(b"HTTP/1.1 200 ")
        assert read(relay, index).startswith(b"HTTP/1.1 200 ")
        assert [each["ask"] for each in relay.asked] == ["read", "read"]


def test_an_index_that_never_answers_is_given_up(index: RawIndex) -> None:
    patch = "import tokenward_relay.upstream as u; u.READ_SECONDS = u.ANSWER_SECONDS = 1\n"
    never = threading.Event()
    index.answer = lambda _sock, _request: (never.wait(PATIENCE), None)[1]
    with run_at(index, patch=patch) as relay:
        assert read(relay, index).startswith(b"HTTP/1.1 502 ")
        assert published(relay, index).startswith((b"HTTP/1.1 502 ", b"HTTP/1.1 100 "))
        assert statuses(relay) == ["unknown"]
    never.set()


def test_a_kept_connection_that_the_index_has_closed_costs_no_read(
    relay: RelayProcess, index: RawIndex
) -> None:
    """The index hangs up just when the next request comes, as after its own idle time."""
    seen: list[ssl.SSLSocket] = []

    def every_second_hangs_up(sock: ssl.SSLSocket, _head: bytes) -> bool:
        seen.append(sock)
        return seen.count(sock) > 1  # a second request on this connection

    index.begin = every_second_hangs_up
    for _ in range(3):
        assert read(relay, index).startswith(b"HTTP/1.1 200 ")


def test_an_upload_is_never_sent_twice(relay: RelayProcess, index: RawIndex) -> None:
    assert read(relay, index).startswith(b"HTTP/1.1 200 ")
    index.answer = then_ends()
    assert published(relay, index).startswith(b"HTTP/1.1 502 ")
    assert len([each for each in index.requests if each.line.startswith(b"POST")]) == 1
    assert statuses(relay) == ["unknown"]


def test_a_certificate_that_is_not_trusted_gets_nothing(index: RawIndex) -> None:
    with RawIndex() as other, run_at(other, grant_of(index.port)) as relay:
        got = read(relay, index)
        assert got.startswith(b"HTTP/1.1 502 ")
        assert b"certificate is not trusted" in got
        assert published(relay, index).startswith(b"HTTP/1.1 502 ")
        assert statuses(relay) == ["not-sent"]
    assert index.requests == []


def test_a_certificate_for_another_name_gets_nothing(index: RawIndex) -> None:
    with run_at(index, grant_of(index.port, "localhost")) as relay, relay.tool() as tool:
        tool.enter("localhost", index.port)
        tool.send(b"GET /simple/ HTTP/1.1\r\n" + host_line(index.port, "localhost") + b"\r\n")
        status, got = tool.answer()
        assert status == 502
        assert b"certificate is for another name" in got
    assert index.requests == []


def test_no_proxy_of_its_environment_is_used_towards_an_index(index: RawIndex) -> None:
    proxies = dict.fromkeys(("https_proxy", "HTTPS_PROXY", "ALL_PROXY"), "http://127.0.0.1:9/")
    with run_at(index, environ=proxies) as relay:
        assert read(relay, index).startswith(b"HTTP/1.1 200 ")


def test_a_grant_for_a_host_that_is_this_machine_goes_there_and_no_further(
    index: RawIndex,
) -> None:
    """A name that leads to 127.0.0.1 is a place like any other; the certificate decides."""
    with run_at(index) as relay:
        assert read(relay, index).startswith(b"HTTP/1.1 200 ")
        with relay.tool() as tool, RawIndex() as other:  # another port is another origin
            tool.connect("127.0.0.1", other.port)
            context = ssl.create_default_context(cadata=other.certificate.decode())
            tool.sock = context.wrap_socket(tool.sock, server_hostname="127.0.0.1")
            tool.send(b"GET /simple/ HTTP/1.1\r\nHost: x\r\n\r\n")
            assert tool.answer()[0] == 200
            assert other.requests[0].authorization == b""
