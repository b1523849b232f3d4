"""A relay, seen by the processes of its own user: what they get out of it, before and after a secret.

The tests run as root and become an ordinary user, since to root everything is open. What root finds
in a relay's memory is said in docs/THREATS.md: copies within the libraries end with the process.
"""

from __future__ import annotations

import os
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from support.inspection.outsiders import attempts_on
from support.inspection.process_memory import copies, slices
from support.inspection.processes import is_running
from support.relay_process.raw_index import RawIndex, Request, ok
from support.relay_process.served import SECRET, RelayProcess, allow, grant_of, host_line, run_at
from support.relay_process.uploads import upload
from support.systems.other_users import SOMEBODY, become, other_users
from support.waiting import PATIENCE, until

if TYPE_CHECKING:
    import ssl
    from collections.abc import Iterator

pytestmark = other_users


@pytest.fixture
def index() -> Iterator[RawIndex]:
    with RawIndex() as it:
        yield it


@pytest.fixture
def spool(tmp_path: Path) -> Path:
    os.chown(tmp_path, SOMEBODY, SOMEBODY)
    return tmp_path


def users_relay(index: RawIndex, spool: Path, **more: object) -> RelayProcess:
    """Return the relay of an ordinary user, which serves root: the test's own tool is that."""
    ca = spool / "ca.pem"
    ca.write_bytes(index.certificate)
    return RelayProcess(
        grant_of(index.port), before=become(), spool=str(spool), ca=str(ca), uid=0, **more
    )


def test_a_relay_is_closed_to_its_own_user_before_it_reads_anything(
    index: RawIndex, spool: Path
) -> None:
    relay = users_relay(index, spool)
    relay.start()
    try:
        place = Path(f"/proc/{relay.pid}")
        until(lambda: (place / "syscall").read_text().startswith("0 0x0 "))  # read(0, ...)
        assert attempts_on(relay.pid) == set()
    finally:
        relay.process.kill()
        relay.close()


def test_a_relay_is_closed_to_its_own_user_idle_in_an_upload_and_behind_it(
    index: RawIndex, spool: Path
) -> None:
    asked, go_on, sent, answer = (threading.Event() for _ in range(4))

    def reply(question: dict[str, object]) -> tuple[object, bytes]:
        asked.set()
        go_on.wait(PATIENCE)
        return allow(question)

    def slowly(sock: ssl.SSLSocket, _request: Request) -> None:
        sent.set()
        answer.wait(PATIENCE)
        sock.sendall(ok())

    index.answer = slowly
    with users_relay(index, spool, answer=reply) as relay, relay.tool() as tool:
        assert attempts_on(relay.pid) == set()
        tool.enter("127.0.0.1", index.port)
        tool.send(upload(index.port))
        assert asked.wait(PATIENCE)  # it waits for the user
        assert attempts_on(relay.pid) == set()
        go_on.set()
        assert sent.wait(PATIENCE)  # the index has the form, and thinks
        assert (
            copies(relay.pid, slices(SECRET)) > 0
        )  # root finds it: the others had to look closely
        assert attempts_on(relay.pid) == set()
        answer.set()
        assert tool.answer()[0] == 200
        assert attempts_on(relay.pid) == set()
        status = Path(f"/proc/{relay.pid}/status").read_text()
        assert "NoNewPrivs:\t1" in status
        limits = Path(f"/proc/{relay.pid}/limits").read_text()
        (core,) = [line.split() for line in limits.splitlines() if "core file" in line]
        assert core[4:6] == ["0", "0"]


def test_a_relay_that_crashes_in_an_upload_leaves_no_core(index: RawIndex, spool: Path) -> None:
    sent = threading.Event()

    def never(_sock: ssl.SSLSocket, _request: Request) -> None:
        sent.set()
        threading.Event().wait(PATIENCE)

    index.answer = never
    with users_relay(index, spool) as relay, relay.tool() as tool:
        tool.enter("127.0.0.1", index.port)
        tool.send(upload(index.port))
        assert sent.wait(PATIENCE)
        relay.process.send_signal(11)
        assert relay.process.wait(PATIENCE) == -11
        wstatus_core = [*spool.iterdir(), *Path("/").glob("core*")]
        assert [path for path in wstatus_core if "core" in path.name] == []
        assert b"".join(path.read_bytes() for path in spool.iterdir()).count(SECRET) == 0


def test_no_secret_is_in_the_arguments_or_the_environment_of_a_relay(index: RawIndex) -> None:
    with run_at(index, environ={"HOME": "/"}) as relay:
        relay.still_serves(index.port)
        place = Path(f"/proc/{relay.pid}")
        seen = (place / "cmdline").read_bytes() + (place / "environ").read_bytes()
        assert b"worker/main.py" in seen
        for secret in (SECRET, relay.capability, b"PRIVATE KEY"):
            assert secret not in seen


def test_the_relay_has_the_keys_of_its_hosts_and_none_that_could_sign(index: RawIndex) -> None:
    """The authority's key was dropped by the agent: a leaf for another host cannot be made."""
    with run_at(index) as relay:
        relay.still_serves(index.port)
        leaves = relay.header["leaves"]["127.0.0.1"]
        assert leaves.count(b"PRIVATE KEY-----") == 2  # one key, by its two lines
        assert leaves.count(b"BEGIN CERTIFICATE") == 1
        assert b"PRIVATE KEY" not in relay.authority


def test_a_relay_is_gone_with_all_that_it_had_once_the_agent_hangs_up(index: RawIndex) -> None:
    with run_at(index) as relay, relay.tool() as tool:
        tool.enter("127.0.0.1", index.port)
        tool.send(b"GET /simple/ HTTP/1.1\r\n" + host_line(index.port) + b"\r\n")
        assert tool.answer()[0] == 200
        assert relay.hang_up() == 0
        assert not is_running(relay.pid)
        assert tool.rest() == b""
