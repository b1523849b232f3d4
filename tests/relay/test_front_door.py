"""The relay's port, attacked: by other users, by what has no capability, and by a tool of the run.

What holds for the bytes of one request is in the attacks of this folder; here it is about
connections: how many, how long, and how they end. After each attack the run has to go on.
"""

from __future__ import annotations

import json
import select
import socket
import ssl
import subprocess
import sys
import threading
from typing import TYPE_CHECKING

import pytest

from support.inspection.processes import descriptors, settled_descriptors
from support.relay_process.raw_index import RawIndex, Request, ok
from support.relay_process.served import RelayProcess, Tool, grant_of, host_line, run_at
from support.relay_process.uploads import form, head, upload
from support.systems.other_users import SOMEBODY, become, other_users
from support.waiting import PATIENCE, until
from tokenward_relay.run_state import MOST_SERVED, MOST_TUNNELS
from tokenward_relay.server import MOST_WAITING
from tokenward_relay.tool_stream import FRONT_SECONDS

if TYPE_CHECKING:
    from collections.abc import Iterator

QUICK = (
    "import tokenward_relay.leaf as l, tokenward_relay.tool_stream as t\n"
    "t.FRONT_SECONDS = t.HEAD_SECONDS = l.HANDSHAKE_SECONDS = 0.5\n"
)
"import tokenward_relay.leaf as l; l.HANDSHAKE_SECONDS = 0.5\n"
"""Limits of time that a test can wait for."""


@pytest.fixture
def index() -> Iterator[RawIndex]:
    with RawIndex() as it:
        yield it


@pytest.fixture
def relay(index: RawIndex) -> Iterator[RelayProcess]:
    with run_at(index) as it:
        yield it


def served(relay: RelayProcess, index: RawIndex) -> None:
    """Check that the run goes on."""
    relay.still_serves(index.port)


def ended(tool: Tool) -> bool:
    """Tell whether the relay ended a connection without a word; wait for its end."""
    try:
        return tool.sock.recv(1) == b""
    except ConnectionError:
        return True


ASKS = """
import json, socket, sys
port, proof = int(sys.argv[1]), sys.stdin.read().encode()
sock = socket.create_connection(("127.0.0.1", port), 30)
got = b""
try:
    sock.sendall(b"CONNECT 127.0.0.1:%d HTTP/1.1\\r\\nHost: 127.0.0.1:%d\\r\\n" % (port, port) + proof + b"\\r\\n")
    got = sock.recv(1000)
except ConnectionError:
    pass
print(json.dumps(got.decode()))
"""


def asked_by(relay: RelayProcess, proof: bytes, uid: int) -> str:
    """Return what another user gets at the port with these headers."""
    command = [*become(uid), sys.executable, "-I", "-c", ASKS, str(relay.port)]
    said = subprocess.run(command, input=proof, capture_output=True, check=True, timeout=PATIENCE)
    answer: str = json.loads(said.stdout)
    return answer


@other_users
def test_another_user_is_hung_up_on_with_and_without_the_capability(
    relay: RelayProcess, index: RawIndex
) -> None:
    with relay.tool() as tool:
        proof = tool.proof()
    assert asked_by(relay, b"", SOMEBODY) == ""
    assert asked_by(relay, proof, SOMEBODY) == ""
    assert asked_by(relay, b"", 0).startswith("HTTP/1.1 407 ")  # root's own run: it is answered
    served(relay, index)


@other_users
def test_root_is_not_served_by_the_relay_of_a_user(index: RawIndex) -> None:
    with run_at(index, uid=SOMEBODY) as relay, relay.tool() as tool:
        assert ended(tool)
        proof = tool.proof()
        assert asked_by(relay, proof, 0) == ""
        assert asked_by(relay, b"", SOMEBODY).startswith("HTTP/1.1 407 ")


SENDS_AND_GOES = """
import os, socket, struct, sys
port, ways, data = int(sys.argv[1]), sys.argv[2], sys.stdin.buffer.read()
for _ in range(200):
    sock = socket.create_connection(("127.0.0.1", port), 30)
    sock.sendall(data)
    if ways == "reset":
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()
"""


@other_users
@pytest.mark.parametrize("way", ["reset", "close"])
def test_another_user_who_is_gone_before_it_is_known_is_not_taken_for_root(
    relay: RelayProcess, index: RawIndex, way: str
) -> None:
    """The kernel says 0, or nothing at all, of a socket that no process has open any more."""
    with relay.tool() as tool:
        proof = tool.proof()
    with socket.create_server(("127.0.0.1", 0)) as other:
        stolen = b"GET http://localhost:%d/ HTTP/1.1\r\n" % other.getsockname()[1]
        stolen += b"Host: x\r\n" + proof + b"\r\n"
        command = [*become(), sys.executable, "-I", "-c", SENDS_AND_GOES, str(relay.port), way]
        subprocess.run(command, input=stolen, check=True, timeout=2 * PATIENCE)
        served(relay, index)
        other.settimeout(0.2)
        with pytest.raises(TimeoutError):
            other.accept()


def test_a_connection_that_is_reset_at_once_does_not_end_the_run(
    relay: RelayProcess, index: RawIndex
) -> None:
    for _ in range(300):
        relay.tool().reset()
    served(relay, index)


def test_whoever_shows_no_capability_is_hung_up_on_after_a_while(index: RawIndex) -> None:
    with run_at(index, patch=QUICK) as relay:
        for beginning in (b"", b"G", b"GET / HTTP/1.1\r\nHost: x\r\n"):
            with relay.tool() as tool:
                tool.send(beginning)
                assert ended(tool)
        served(relay, index)
    assert FRONT_SECONDS == 5


def test_a_head_that_drips_has_the_same_limit(index: RawIndex) -> None:
    with run_at(index, patch=QUICK) as relay, relay.tool() as tool:
        drips = 0
        with pytest.raises(ConnectionError):
            while True:
                tool.send(b"GET / HTTP/1.1\r\nX: " if not drips else b"x")
                drips += 1
                threading.Event().wait(0.02)
        assert drips > 5
        served(relay, index)


def test_those_that_wait_for_nothing_keep_none_of_the_run_out(
    relay: RelayProcess, index: RawIndex
) -> None:
    crowd = [relay.tool() for _ in range(5 * MOST_WAITING)]
    for tool in crowd:
        tool.send(b"GET /")
    served(relay, index)
    assert relay.threads < MOST_WAITING + 10
    assert ended(crowd[0])
    for tool in crowd:
        tool.sock.close()


def test_of_a_hundred_connections_that_a_tool_opens_at_once_none_is_lost(
    relay: RelayProcess, index: RawIndex
) -> None:
    burst = [relay.tool() for _ in range(100)]
    for tool in burst:
        assert b" 200 " in tool.connect("127.0.0.1", index.port)
        tool.sock.close()


def test_one_that_has_shown_the_capability_is_not_pushed_out(
    relay: RelayProcess, index: RawIndex
) -> None:
    with relay.tool() as tool:
        tool.enter("127.0.0.1", index.port)
        crowd = [relay.tool() for _ in range(3 * MOST_WAITING)]
        served(relay, index)
        assert tool.get(b"/simple/", index.port)[0] == 200
        for each in crowd:
            each.sock.close()


def test_a_tunnel_in_which_no_handshake_comes_ends(index: RawIndex) -> None:
    with run_at(index, patch=QUICK) as relay, relay.tool() as tool:
        assert b" 200 " in tool.connect("127.0.0.1", index.port)
        assert ended(tool)
        served(relay, index)


@pytest.mark.root("counts the descriptors of a hardened process")
def test_a_tool_that_sends_half_a_request_or_form_and_goes_leaves_nothing(
    relay: RelayProcess, index: RawIndex
) -> None:
    served(relay, index)
    before = descriptors(relay.pid)
    whole = upload(index.port)
    for cut in (3, 40, len(whole) - len(form()), len(whole) - 400, len(whole) - 1):
        for how in ("close", "reset"):
            tool = relay.tool().enter("127.0.0.1", index.port)
            tool.send(whole[:cut])
            tool.reset() if how == "reset" else tool.sock.close()
    served(relay, index)
    assert settled_descriptors(relay.pid, before) <= before
    assert not [each for each in relay.asked if each["ask"] == "publish"]
    assert not [each for each in index.requests if each.line.startswith(b"POST")]


def test_a_tool_that_stops_within_a_body_is_hung_up_on(index: RawIndex) -> None:
    patch = "import tokenward_relay.tool_stream as t; t.BODY_SECONDS = 0.5\n"
    with run_at(index, patch=patch) as relay, relay.tool() as tool:
        tool.enter("127.0.0.1", index.port)
        tool.send(head(index.port, 10000) + form()[:200])
        assert tool.rest() == b""
        served(relay, index)


@pytest.mark.parametrize(
    "said",
    [
        b"GET /\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(300),
        b"\x00" * 500,
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"\x05\x01\x00",
        b"EHLO x\r\nMAIL FROM:<x>\r\n",
        b"GET / HTTP/1.1\r\n" + b"A: b\r\n" * 20000 + b"\r\n",
        b"A" * 200000,
    ],
    ids=["HTTP/0.9", "TLS", "zeros", "HTTP/2", "SOCKS", "SMTP", "headers", "no-end"],
)
def test_garbage_is_refused_and_told_to_no_terminal(
    relay: RelayProcess, index: RawIndex, said: bytes
) -> None:
    with relay.tool() as tool:
        tool.send(said)
        tool.sock.shutdown(socket.SHUT_WR)
        answer = tool.rest()
    assert answer == b"" or answer.startswith(b"HTTP/1.1 4")
    assert index.requests == []
    served(relay, index)
    assert relay.shown == ""


def test_a_tool_that_has_ended_its_side_is_answered_all_the_same(
    relay: RelayProcess, index: RawIndex
) -> None:
    """As `printf … | nc` does it; an upload from such a tool is another matter."""
    with socket.create_server(("127.0.0.1", 0)) as other, relay.tool() as tool:
        port = other.getsockname()[1]
        tool.send(b"GET http://localhost:%d/x HTTP/1.1\r\n" % port + host_line(port))
        tool.send(tool.proof() + b"\r\n")
        tool.sock.shutdown(socket.SHUT_WR)
        other.settimeout(PATIENCE)
        sock, _ = other.accept()
        with sock:
            asked = sock.recv(65536)
            assert asked.startswith(b"GET /x HTTP/1.1\r\n")
            assert relay.capability not in asked
            assert b"proxy-authorization" not in asked.lower()
            sock.sendall(ok(b"hello"))
        assert tool.answer() == (200, ok(b"hello"))


def test_two_requests_at_once_are_two_answers_in_their_order(
    relay: RelayProcess, index: RawIndex
) -> None:
    index.answer = lambda sock, request: sock.sendall(ok(request.line))
    with relay.tool() as tool:
        tool.enter("127.0.0.1", index.port)
        two = [
            b"GET /simple/%b HTTP/1.1\r\n" % each + host_line(index.port) for each in (b"a", b"b")
        ]
        tool.send(two[0] + b"\r\n" + two[1] + b"\r\n")
        assert tool.answer()[1].endswith(b"GET /simple/a HTTP/1.1")
        assert tool.answer()[1].endswith(b"GET /simple/b HTTP/1.1")


def test_a_second_request_behind_an_upload_takes_it_back(
    relay: RelayProcess, index: RawIndex
) -> None:
    with relay.tool() as tool:
        tool.enter("127.0.0.1", index.port)
        tool.send(upload(index.port) + upload(index.port))
        assert tool.rest() == b""
    until(lambda: relay.told)
    assert index.requests == []
    assert [each["status"] for each in relay.told] == ["not-sent"]


def test_a_tool_that_has_gone_while_the_user_was_asked_has_published_nothing(
    relay: RelayProcess, index: RawIndex
) -> None:
    answered = threading.Event()
    allow = relay.reply

    def slowly(question: dict[str, object]) -> tuple[object, bytes]:
        answered.wait(PATIENCE)
        return allow(question)

    relay.reply = slowly  # type: ignore[assignment]
    with relay.tool() as tool:
        tool.enter("127.0.0.1", index.port)
        tool.send(upload(index.port))
        relay.wait_for("publish")
    answered.set()
    until(lambda: relay.told)
    assert [each["status"] for each in relay.told] == ["not-sent"]
    assert index.requests == []


def test_a_tool_that_is_gone_long_before_the_answer_has_published_nothing_either(
    relay: RelayProcess, index: RawIndex
) -> None:
    """Interim answers find out that it is gone; the agent is told while the question is open."""
    answered = threading.Event()
    allow = relay.reply

    def slowly(question: dict[str, object]) -> tuple[object, bytes]:
        answered.wait(PATIENCE)
        return allow(question)

    relay.reply = slowly  # type: ignore[assignment]
    quiet = relay.threads
    tool = relay.tool().enter("127.0.0.1", index.port)
    tool.send(upload(index.port))
    relay.wait_for("publish")
    tool.reset()
    until(lambda: relay.threads <= quiet + 1)
    until(lambda: relay.told)
    answered.set()
    assert [each["status"] for each in relay.told] == ["not-sent"]
    assert index.requests == []


def test_bytes_before_the_tunnel_are_refused(relay: RelayProcess, index: RawIndex) -> None:
    with relay.tool() as tool:
        where = b"127.0.0.1:%d" % index.port
        head_ = b"CONNECT " + where + b" HTTP/1.1\r\nHost: " + where + b"\r\n"
        tool.send(head_ + tool.proof() + b"\r\n" + b"\x16\x03\x01")
        assert tool.rest().startswith(b"HTTP/1.1 400 ")


def test_a_tunnel_is_for_the_host_that_it_was_asked_for(relay: RelayProcess) -> None:
    with RawIndex() as other:  # a grant of its own, by name
        grants = (grant_of(other.port), grant_of(other.port, "localhost"))
        with run_at(other, *grants) as both, both.tool() as tool:
            head_ = tool.connect("127.0.0.1", other.port)
            assert b" 200 " in head_
            context = ssl.create_default_context(cadata=both.authority.decode())
            with pytest.raises(ssl.SSLError, match="UNRECOGNIZED_NAME"):
                context.wrap_socket(tool.sock, server_hostname="localhost")
        with run_at(other, *grants) as both, both.tool() as tool:
            tool.enter("127.0.0.1", other.port)
            tool.send(b"GET /simple/ HTTP/1.1\r\n" + host_line(other.port, "localhost") + b"\r\n")
            assert tool.answer()[0] == 421
        assert other.requests == []


@pytest.mark.parametrize(
    "name", ["127.0.0.1", "localhost", "127.1", "[::ffff:127.0.0.1]", "0.0.0.0"]
)
def test_no_tunnel_leads_to_the_relay_itself(
    relay: RelayProcess, index: RawIndex, name: str
) -> None:
    with relay.tool() as tool:
        head_ = tool.connect(name, relay.port)
        assert head_.startswith((b"HTTP/1.1 403 ", b"HTTP/1.1 400 ")), head_
    with relay.tool() as tool:
        tool.send(b"GET http://%b:%d/upload/legacy/ HTTP/1.1\r\n" % (name.encode(), relay.port))
        tool.send(host_line(relay.port, name) + tool.proof() + b"\r\n")
        assert tool.answer()[0] in {400, 403}
    served(relay, index)


def test_a_host_of_the_run_is_not_reached_without_tls(relay: RelayProcess, index: RawIndex) -> None:
    with relay.tool() as tool:
        tool.send(b"GET http://127.0.0.1:%d/simple/ HTTP/1.1\r\n" % index.port)
        tool.send(host_line(index.port) + tool.proof() + b"\r\n")
        assert tool.answer()[0] == 403
    assert index.requests == []


def test_a_tunnel_moves_both_ways_at_once_however_much(relay: RelayProcess) -> None:
    """Neither side reads before it has sent everything, as a server and a client may."""
    much = bytes(1 << 20) * 16
    with socket.create_server(("127.0.0.1", 0)) as other, relay.tool() as tool:
        assert b" 200 " in tool.connect("127.0.0.1", other.getsockname()[1])
        sock, _ = other.accept()
        with sock:
            sock.settimeout(PATIENCE)
            tool.sock.settimeout(PATIENCE)
            got: dict[str, int] = {}

            def send_then_read(name: str, end: socket.socket) -> None:
                sender = threading.Thread(target=end.sendall, args=(much,))
                sender.start()
                if name == "tool":  # it reads late, so the other way is full by then
                    threading.Event().wait(0.5)
                count = 0
                while count < len(much):
                    count += len(end.recv(1 << 20))
                sender.join(PATIENCE)
                got[name] = count

            ends = [
                threading.Thread(target=send_then_read, args=each)
                for each in (("tool", tool.sock), ("server", sock))
            ]
            for each in ends:
                each.start()
            for each in ends:
                each.join(PATIENCE)
            assert got == {"tool": len(much), "server": len(much)}


def test_the_one_way_of_a_tunnel_goes_on_while_the_other_is_full(relay: RelayProcess) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other, relay.tool() as tool:
        assert b" 200 " in tool.connect("127.0.0.1", other.getsockname()[1])
        sock, _ = other.accept()
        with sock:
            sock.setblocking(False)
            while select.select([], [sock], [], 1)[1]:  # the tool reads nothing
                sock.send(bytes(1 << 20))
            tool.send(b"hello")
            sock.settimeout(PATIENCE)
            assert sock.recv(5) == b"hello"


@pytest.mark.root("counts the descriptors of a hardened process")
def test_a_tool_that_is_killed_ends_its_tunnels(relay: RelayProcess, index: RawIndex) -> None:
    served(relay, index)
    before = descriptors(relay.pid)
    with socket.create_server(("127.0.0.1", 0), backlog=64) as other:
        tools, ends = [], []
        for _ in range(20):
            tool = relay.tool()
            assert b" 200 " in tool.connect("127.0.0.1", other.getsockname()[1])
            tools.append(tool)
            ends.append(other.accept()[0])
        for tool in tools:
            tool.reset()
        assert settled_descriptors(relay.pid, before) <= before
        for end in ends:
            end.close()


@pytest.mark.root("counts the descriptors of a hardened process")
def test_fifty_transfers_that_are_cancelled_leave_nothing(
    relay: RelayProcess, index: RawIndex
) -> None:
    def endless(sock: ssl.SSLSocket, _request: Request) -> None:
        sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100000000000\r\n\r\n")
        while True:
            sock.sendall(bytes(1 << 18))

    served(relay, index)
    until(lambda: relay.threads <= 3)
    before, threads = descriptors(relay.pid), relay.threads
    index.answer = endless
    tools = [relay.tool().enter("127.0.0.1", index.port) for _ in range(50)]
    for tool in tools:
        tool.send(b"GET /files/x HTTP/1.1\r\n" + host_line(index.port) + b"\r\n")
    for tool in tools:
        assert tool.sock.recv(1000)
    assert descriptors(relay.pid) >= before + 90
    for tool in tools:
        tool.reset()
    assert settled_descriptors(relay.pid, before) <= before
    until(lambda: relay.threads <= threads)
    index.answer = lambda sock, _: sock.sendall(ok())
    served(relay, index)


def test_there_are_places_for_so_many_and_one_more_is_told_so(
    relay: RelayProcess, index: RawIndex
) -> None:
    tools = []
    for _ in range(MOST_SERVED):
        tool = relay.tool()
        assert b" 200 " in tool.connect("127.0.0.1", index.port)
        tools.append(tool)
    with relay.tool() as one_more:
        assert one_more.connect("127.0.0.1", index.port).startswith(b"HTTP/1.1 503 ")
    for tool in tools:
        tool.sock.close()
    until(lambda: relay.threads < 10)
    served(relay, index)


def test_as_many_tunnels_as_there_are_places_fit_in_the_descriptors(index: RawIndex) -> None:
    before = ["prlimit", "--nofile=1024:8192"]
    with (
        run_at(index, before=before) as relay,
        socket.create_server(("127.0.0.1", 0), backlog=MOST_TUNNELS) as other,
    ):
        port = other.getsockname()[1]
        kept: list[object] = []
        for _ in range(MOST_TUNNELS):
            tool = relay.tool()
            assert b" 200 " in tool.connect("127.0.0.1", port)
            kept += [tool, other.accept()[0]]
        with relay.tool() as one_more:
            assert one_more.connect("127.0.0.1", port).startswith(b"HTTP/1.1 503 ")
        served(relay, index)
        for each in kept:
            (each.sock if isinstance(each, Tool) else each).close()  # type: ignore[attr-defined]


def test_without_descriptors_the_relay_waits_and_goes_on(index: RawIndex) -> None:
    with run_at(index, before=["prlimit", "--nofile=40:40"]) as relay:
        tools: list[socket.socket] = []
        for _ in range(60):
            sock = socket.create_connection(("127.0.0.1", relay.port), PATIENCE)
            tools.append(sock)
            sock.sendall(b"GET /")
        for sock in tools:
            sock.close()
        served(relay, index)


def test_without_threads_the_relay_goes_on(index: RawIndex) -> None:
    """As where the limit of processes, or of the unit's tasks, is reached for a while."""
    patch = (
        "import threading\n"
        "start, count = threading.Thread.start, [0]\n"
        "def refuse(self):\n"
        "    count[0] += 1\n"
        '    if 3 <= count[0] <= 6: raise RuntimeError("can\'t start new thread")\n'
        "    start(self)\n"
        "threading.Thread.start = refuse\n"
    )
    with run_at(index, patch=patch) as relay:
        for _ in range(8):
            with relay.tool() as tool:
                tool.send(b"x\r\n\r\n")
                ended(tool)
        served(relay, index)


def test_what_is_told_on_the_terminal_is_limited(relay: RelayProcess, index: RawIndex) -> None:
    with relay.tool() as tool:
        tool.enter("127.0.0.1", index.port)
        status, _ = tool.get(b"/secret/0", index.port)
        assert status == 403
    assert relay.shown.startswith("tokenward: this run may not read /secret/0 of corp")
    for number in range(1, 300):
        with relay.tool() as tool:
            tool.enter("127.0.0.1", index.port)
            assert tool.get(b"/secret/%d" % number, index.port)[0] == 403
    assert relay.shown.count("may not read") < 120
    assert relay.capability.decode() not in relay.shown
