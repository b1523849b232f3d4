"""The life of a relay: its agent dies, the disk is full, the clock jumps, a lock comes between."""

from __future__ import annotations

import os
import socket
import subprocess
import threading
import time
from typing import TYPE_CHECKING, Any

import msgpack
import pytest

from support.relay_process.raw_index import RawIndex, Request, ok
from support.relay_process.served import (
    SECRET,
    RelayProcess,
    Tool,
    allow,
    grant_of,
    run_at,
)
from support.relay_process.uploads import form, upload
from support.waiting import PATIENCE, until
from tokenward_agent.relay.certificates import HOURS
from tokenward_relay import credentials
from tokenward_relay.credentials import Credentials

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Iterator
    from pathlib import Path


@pytest.fixture
def index() -> Iterator[RawIndex]:
    with RawIndex() as it:
        yield it


@pytest.fixture
def relay(index: RawIndex) -> Iterator[RelayProcess]:
    with run_at(index) as it:
        yield it


def got_nothing(tool: Tool) -> bool:
    """Tell whether a tool got no answer but interim ones, and the end of its connection."""
    return tool.answer() == (0, b"")


def refused(relay: RelayProcess) -> bool:
    """Tell whether the port is closed."""
    try:
        relay.tool().sock.close()
    except ConnectionRefusedError:
        return True
    return False


def test_an_agent_that_dies_while_an_upload_waits_takes_the_relay_with_it(
    relay: RelayProcess, index: RawIndex
) -> None:
    relay.reply = lambda _question: (threading.Event().wait(PATIENCE), ({"ok": False}, b""))[1]
    with relay.tool() as tool:
        tool.enter("127.0.0.1", index.port)
        tool.send(upload(index.port))
        relay.wait_for("publish")
        assert relay.hang_up() == 0
        assert got_nothing(tool)
    assert refused(relay)
    assert index.requests == []


def test_an_agent_that_dies_while_an_upload_is_sent_takes_the_relay_with_it(
    relay: RelayProcess, index: RawIndex
) -> None:
    begun = threading.Event()

    def begins(_sock: ssl.SSLSocket, head: bytes) -> bool:
        if head.startswith(b"POST"):
            begun.set()
            threading.Event().wait(1)  # the form does not go on meanwhile
        return False

    index.begin = begins
    with relay.tool() as tool:
        tool.enter("127.0.0.1", index.port)
        tool.send(upload(index.port, form(os.urandom(8 << 20))))
        assert begun.wait(PATIENCE)
        assert relay.hang_up() == 0
        assert got_nothing(tool)
    assert refused(relay)
    assert index.requests == []  # none that is whole


def test_a_relay_that_is_killed_leaves_requests_that_fail(
    relay: RelayProcess, index: RawIndex
) -> None:
    with relay.tool() as tool:
        tool.enter("127.0.0.1", index.port)
        relay.process.kill()
        tool.sock.settimeout(PATIENCE)
        assert tool.rest() == b""
    relay.process.wait(PATIENCE)
    assert refused(relay)
    assert index.requests == []


def test_an_upload_that_is_refused_by_the_agent_is_not_sent(
    relay: RelayProcess, index: RawIndex
) -> None:
    """As by a lock that came while the user was asked."""
    relay.reply = lambda _question: (
        {"ok": False, "status": 400, "text": "the vault is locked", "hint": "`auth unlock`"},
        b"",
    )
    with relay.tool() as tool:
        tool.enter("127.0.0.1", index.port)
        tool.send(upload(index.port))
        status, answer = tool.answer()
    assert status == 400
    assert b"the vault is locked" in answer
    assert index.requests == []
    assert relay.told == []


def test_the_agent_is_asked_again_once_it_has_made_the_relay_forget(
    relay: RelayProcess, index: RawIndex
) -> None:
    relay.still_serves(index.port)
    relay.still_serves(index.port)
    assert len(relay.asked) == 1
    relay.write({})
    relay.reply = lambda _question: (
        {"ok": False, "status": 403, "text": "the vault is locked", "hint": "`auth unlock`"},
        b"",
    )
    with relay.tool() as tool:
        tool.enter("127.0.0.1", index.port)
        assert tool.get(b"/simple/", index.port)[0] == 403
    relay.reply = allow
    relay.still_serves(index.port)


def test_a_tunnel_to_another_host_goes_on_while_the_relay_forgets(relay: RelayProcess) -> None:
    with RawIndex() as other, relay.tool() as tool:
        head = tool.connect("127.0.0.1", other.port)
        assert b" 200 " in head
        relay.write({})
        tool.send(b"hello")
        assert relay.process.poll() is None


class Link:
    """Answers as an agent would, in the same process."""

    def __init__(self) -> None:
        self.secrets: list[bytearray] = []
        self.told: list[dict[str, Any]] = []
        self.between: Callable[[], object] = lambda: None

    def ask(self, *_: object, **__: object) -> tuple[dict[str, Any], bytearray]:
        self.secrets.append(bytearray(SECRET))
        self.between()
        return {"ok": True, "username": "ana", "id": len(self.secrets)}, self.secrets[-1]

    def tell(self, event: str, **values: object) -> None:
        self.told.append({"tell": event, **values})


def buffers(held: Credentials) -> list[bytearray]:
    """Return every buffer of every credential that is kept."""
    return [
        value
        for each, _ in held._kept.values()
        for value in vars(each).values()
        if isinstance(value, bytearray)
    ]


def test_a_credential_of_a_read_is_wiped_after_a_while_without_another_read(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert credentials.READ_SECONDS == 60
    monkeypatch.setattr(credentials, "READ_SECONDS", 0.2)
    link, grant = Link(), grant_of(1)
    held = Credentials(link, (grant,))  # type: ignore[arg-type]
    assert SECRET in held.for_read(grant).needles
    kept = buffers(held)
    until(lambda: not held._kept)
    assert all(set(each) == {0} for each in [*kept, *link.secrets])


def test_a_credential_is_wiped_by_a_lock_by_a_401_and_behind_an_upload() -> None:
    link, grant = Link(), grant_of(1)
    held = Credentials(link, (grant,))  # type: ignore[arg-type]
    for forget in (held.forget, lambda: held.forget_read(grant)):
        held.for_read(grant)
        kept = buffers(held)
        assert len(kept) == 3
        forget()
        assert all(set(each) == {0} for each in [*kept, *link.secrets])
    with held.for_publish(grant, Facts(), print) as lent:  # type: ignore[arg-type]
        assert lent.header.startswith(b"Basic ")
        assert set(link.secrets[-1]) != {0}
    assert set(link.secrets[-1]) == {0}


class Facts:
    """An upload of which nothing is known."""

    def _asdict(self) -> dict[str, object]:
        return {}


def test_a_credential_that_comes_while_a_lock_does_is_not_kept() -> None:
    link, grant = Link(), grant_of(1)
    held = Credentials(link, (grant,))  # type: ignore[arg-type]
    link.between = held.forget
    assert SECRET in held.for_read(grant).needles  # for this one request, which was allowed
    assert held._kept == {}
    assert set(link.secrets[-1]) == {0}


def test_an_echo_is_found_after_a_lock_has_wiped_the_credential(
    relay: RelayProcess, index: RawIndex
) -> None:
    def echo(sock: ssl.SSLSocket, _request: Request) -> None:
        relay.write({})
        threading.Event().wait(0.3)  # it has forgotten by now
        sock.sendall(ok(b"you sent " + SECRET))

    index.answer = echo
    with relay.tool() as tool:
        tool.enter("127.0.0.1", index.port)
        status, answer = tool.get(b"/simple/", index.port)
    assert SECRET not in answer
    assert status == 502


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 2 MiB."""
    mount = ["mount", "-t", "tmpfs", "-o", "size=2m,nr_inodes=8", "none", str(tmp_path)]
    if subprocess.run(mount, check=False, capture_output=True).returncode:
        pytest.skip("nothing can be mounted here")
    yield tmp_path
    subprocess.run(["umount", str(tmp_path)], check=True)


@pytest.mark.root("mounts a disk")
@pytest.mark.parametrize("full", ["too-large", "bytes", "files"])
def test_an_upload_for_which_the_disk_has_no_room_is_refused(
    index: RawIndex, small_disk: Path, full: str
) -> None:
    with run_at(index, spool=str(small_disk)) as relay:
        with relay.tool() as tool:
            tool.enter("127.0.0.1", index.port)
            if full == "bytes":  # it fills while the file comes
                body = form(bytes(900_000))
                tool.send(upload(index.port, body)[:100_000])
                until(lambda: os.statvfs(small_disk).f_bfree < 2 << 20 >> 12)
                (small_disk / "fill").write_bytes(bytes(1_500_000))
                tool.send(upload(index.port, body)[100_000:])
            elif full == "files":
                for number in range(8):
                    try:
                        (small_disk / str(number)).touch()
                    except OSError:
                        break
                tool.send(upload(index.port))
            else:
                tool.send(upload(index.port, form(bytes(1_500_000))))
            status, answer = tool.answer()
        assert status == (413 if full == "too-large" else 507), answer
        assert index.requests == []
        for path in small_disk.iterdir():
            path.unlink()
        with relay.tool() as tool:
            tool.enter("127.0.0.1", index.port)
            tool.send(upload(index.port))
            assert tool.answer()[0] == 200
        assert list(small_disk.iterdir()) == []


def test_a_spool_that_is_gone_refuses_uploads_and_no_reads(
    relay: RelayProcess, index: RawIndex
) -> None:
    relay.folder.rename(f"{relay.folder}-away")
    try:
        with relay.tool() as tool:
            tool.enter("127.0.0.1", index.port)
            tool.send(upload(index.port))
            assert tool.answer()[0] == 507
        relay.still_serves(index.port)
    finally:
        relay.folder.with_name(f"{relay.folder.name}-away").rename(relay.folder)


@pytest.mark.parametrize("hours", [-HOURS - 1, 2])
def test_a_clock_that_left_the_time_of_the_certificates_is_told(
    index: RawIndex, hours: int
) -> None:
    """The relay's certificates were made at another time, as it seems to it now."""
    with run_at(index, now=time.time() + hours * 3600) as relay, relay.tool() as tool:
        head = tool.connect("127.0.0.1", index.port)
        assert head.startswith(
            b"HTTP/1.1 403 tokenward: the certificates of this run are not valid"
        )
        assert "start the command again" in relay.shown
        with RawIndex() as other, relay.tool() as second:  # other hosts are not concerned
            assert b" 200 " in second.connect("127.0.0.1", other.port)


def test_a_question_that_was_given_up_is_wiped_and_told() -> None:
    from tokenward_relay.agent_link import AgentLink

    agent, channel = socket.socketpair()
    link = AgentLink(channel)
    passed = threading.Event()
    reader = threading.Thread(
        target=link.read_answers, args=(passed.set, lambda *_: None), daemon=True
    )
    reader.start()

    def gone() -> None:
        raise ConnectionError

    kept: list[Any] = []

    def waits() -> None:
        kept.extend(link._waiting.values())
        gone()

    with pytest.raises(ConnectionError):
        link.ask("publish", waits)
    told = [message(agent), message(agent)]
    assert told == [
        {"id": 1, "ask": "publish"},
        {"tell": "given up", "upload": 1, "status": "not-sent"},
    ]
    for header, secret in ({"ok": True, "id": 1, "size": 6}, b"secret"), ({"size": 0}, b""):
        packed: bytes = msgpack.packb(header)  # pyright: ignore[reportAssignmentType] - never None here
        agent.sendall(len(packed).to_bytes(4, "big") + packed + secret)
    assert passed.wait(PATIENCE)  # so the answer before it was read
    (answer,) = kept
    assert bytes(answer.secret) == bytes(6)
    agent.close()
    reader.join(PATIENCE)
    channel.close()


def message(agent: socket.socket) -> dict[str, Any]:
    """Return one message of a relay to its agent."""
    length = int.from_bytes(agent.recv(4, socket.MSG_WAITALL), "big")
    return dict(msgpack.unpackb(agent.recv(length, socket.MSG_WAITALL)))
