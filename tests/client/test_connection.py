"""Talking to agents that behave, that misbehave, and that belong to somebody else."""

from __future__ import annotations

import os
import signal
import socket
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from support.agents.reference import ReferenceAgent, done, refused
from tokenward.errors import CommandError
from tokenward.services import is_asleep
from tokenward.transport import connection, unix
from tokenward.transport.connect import (
    AgentAbsent,
    AgentError,
    AgentUnreachable,
    Connection,
    connect,
)
from tokenward.transport.unix import open_stream
from tokenward_protocol import VERSION, places
from tokenward_protocol.frames import make_frame
from tokenward_protocol.packing import pack

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Unix sockets")
SERVICE = "https://index.example/"
SECRETS = {(SERVICE, "alice"): b"made-up-secret"}
two_users = pytest.mark.root("is two users at once")


class Place:
    """A user's directories in a test's own folder."""

    def __init__(self, root: Path) -> None:
        self.environ = {"HOME": str(root), "XDG_RUNTIME_DIR": str(root / "run")}
        self.runtime = root / "run" / "tokenward"
        self.runtime.mkdir(mode=0o700, parents=True)
        data = places.data_directory(sys.platform, self.environ, str(root))
        self.directory = os.path.realpath(data)
        self.socket = self.runtime / "agent.sock"
        self.own_socket = self.runtime / f"{places.directory_tag(self.directory)}.sock"

    def connect(self, *, start: bool = False, replace: bool = False, **more: str) -> Connection:
        environ = self.environ | more
        return connect(
            self.directory, start=start, asleep=is_asleep, replace=replace, environ=environ
        )


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def test_an_answer_has_a_header_and_the_secret_as_its_body(place: Place) -> None:
    with (
        ReferenceAgent(place.socket, place.directory, SECRETS) as agent,
        place.connect() as found,
    ):
        answer = found.ask("fetch", service=SERVICE, username=None)
        assert answer.body == b"made-up-secret"
        assert answer.header["username"] == "alice"
        assert "made-up" not in repr(answer)
        assert agent.requests[-1] == {
            "v": 1,
            "id": 2,
            "op": "fetch",
            "service": SERVICE,
            "dir": place.directory,
        }


def test_a_body_goes_along_and_many_requests_share_a_connection(place: Place) -> None:
    with ReferenceAgent(place.socket, place.directory) as agent:
        with place.connect() as found:
            for _ in range(3):
                found.ask("login", b"x" * 65536, service=SERVICE, username="a")
        assert agent.bodies[1:] == [b"x" * 65536] * 3
        assert agent.connections == 1


def test_an_answer_that_is_not_ok_is_raised_with_code_message_hint_and_header(place: Place) -> None:
    def instead(request: dict[str, Any]) -> bytes | None:
        if request["op"] != "fetch":
            return None
        return refused(request, "ambiguous", "Two.", usernames=["a", "b"])

    with (
        ReferenceAgent(place.socket, place.directory, instead=instead),
        place.connect() as found,
    ):
        with pytest.raises(AgentError, match="Two") as caught:
            found.ask("fetch", service=SERVICE)
        assert (caught.value.code, caught.value.hint) == ("ambiguous", "h")
        assert caught.value.header["usernames"] == ["a", "b"]
        assert found.ask("status").header["ok"]  # and the connection goes on


def test_a_value_too_large_for_a_frame_is_refused_before_anything_is_sent(place: Place) -> None:
    with (
        ReferenceAgent(place.socket, place.directory) as agent,
        place.connect() as found,
    ):
        with pytest.raises(CommandError, match="too large"):
            found.ask("login", b"x" * 65537, service=SERVICE, username="a")
        found.ask("status")
        assert agent.ops == ["hello", "status"]


def header(**values: Any) -> bytes:
    return make_frame(pack(values))


BROKEN: dict[str, Callable[[dict[str, Any]], bytes]] = {
    "another id": lambda r: header(id=r["id"] + 1, ok=True),
    "id 0 that is ok": lambda _: header(id=0, ok=True),
    "no id": lambda _: header(ok=True),
    "no ok": lambda r: header(id=r["id"]),
    "an ok that is no boolean": lambda r: header(id=r["id"], ok=1),
    "two answers": lambda r: done(r) + done(r),
    "no msgpack": lambda _: make_frame(b"\xc1"),
    "an array": lambda _: make_frame(b"\x90"),
    "a frame past the limit": lambda _: b"\xff" * 6,
    "HTTP": lambda _: b"HTTP/1.1 400 Bad Request\r\n\r\n",
}


@pytest.mark.parametrize("kind", BROKEN)
def test_a_server_that_breaks_the_protocol_is_given_up(place: Place, kind: str) -> None:
    def instead(request: dict[str, Any]) -> bytes | None:
        return BROKEN[kind](request) if request["op"] == "fetch" else None

    with (
        ReferenceAgent(place.socket, place.directory, SECRETS, instead=instead),
        place.connect() as found,
    ):
        with pytest.raises(AgentUnreachable, match="does not speak the agent's protocol"):
            found.ask("fetch", service=SERVICE)
        with pytest.raises(AgentUnreachable):  # nothing more is asked on this connection
            found.ask("status")


def test_the_agents_word_on_unreadable_bytes_has_id_0(place: Place) -> None:
    def instead(request: dict[str, Any]) -> bytes | None:
        return refused(request | {"id": 0}, "bad-frame", "Bad.") if request["id"] > 1 else None

    with (
        ReferenceAgent(place.socket, place.directory, instead=instead),
        place.connect() as found,
        pytest.raises(AgentError, match="Bad") as caught,
    ):
        found.ask("status")
    assert caught.value.code == "bad-frame"


class HalfAnswer:
    """Sends the start of an answer and then nothing more, or hangs up."""

    def __init__(self, path: Path, count: int, *, hang_up: bool) -> None:
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(path))
        self._listener.listen()
        self._count = count
        self._hang_up = hang_up
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self) -> None:
        client, _ = self._listener.accept()
        with client:
            client.recv(65536)
            client.sendall(header(id=1, ok=True)[: self._count])
            if not self._hang_up:
                self._over.wait()

    def end(self) -> None:
        self._over.set()
        self._thread.join()
        self._listener.close()


@pytest.fixture
def half(place: Place) -> Iterator[Callable[..., Connection]]:
    ends: list[HalfAnswer] = []

    def start(count: int, *, hang_up: bool) -> Connection:
        ends.append(HalfAnswer(place.socket, count, hang_up=hang_up))
        return Connection(open_stream(str(place.socket)), None)

    yield start
    for each in ends:
        each.end()


@pytest.mark.parametrize("count", [0, 1, 5, 6, 10])
def test_silence_ends_at_the_deadline(half: Callable[..., Connection], count: int) -> None:
    with (
        half(count, hang_up=False) as found,
        pytest.raises(AgentUnreachable, match="did not answer in time"),
    ):
        found.ask("status", timeout=0.1)


@pytest.mark.parametrize("count", [0, 1, 5, 6, 10])
def test_half_an_answer_and_a_hang_up_is_said(half: Callable[..., Connection], count: int) -> None:
    with half(count, hang_up=True) as found, pytest.raises(AgentUnreachable, match="hung up"):
        found.ask("status")


def test_an_agent_that_lets_nobody_in_is_given_up(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(unix, "CONNECT_SECONDS", 0.1)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(place.socket))
        listener.listen(0)
        waiting = []
        with pytest.raises(AgentUnreachable, match="accepts no connection") as caught:
            for _ in range(10):
                waiting.append(open_stream(str(place.socket)))  # noqa: PERF401 - those so far stay
        assert not isinstance(caught.value, AgentAbsent)
        for each in waiting:
            each.close()


# Which agent, and whether one is started.


def test_no_agent_and_no_wish_for_one_is_absent(place: Place) -> None:
    with pytest.raises(AgentAbsent, match="No agent is running"):
        place.connect()


def test_autostart_can_be_forbidden(place: Place) -> None:
    with pytest.raises(AgentAbsent, match="TOKENWARD_NO_AUTOSTART"):
        place.connect(start=True, TOKENWARD_NO_AUTOSTART="1")


def test_another_directory_has_a_socket_of_its_own(place: Place, tmp_path: Path) -> None:
    other = str(tmp_path / "other")
    path = place.runtime / f"{places.directory_tag(other)}.sock"
    with (
        ReferenceAgent(place.socket, place.directory) as ordinary,
        ReferenceAgent(path, other) as agent,
    ):
        connect(other, start=False, asleep=is_asleep, environ=place.environ).close()
        assert (ordinary.connections, agent.ops) == (0, ["hello"])


def test_where_another_home_has_the_plain_name_ours_is_found_by_its_tag(place: Place) -> None:
    with (
        ReferenceAgent(place.socket, "/another/home"),
        ReferenceAgent(place.own_socket, place.directory, SECRETS),
        place.connect() as found,
    ):
        assert found.ask("fetch", service=SERVICE).body == b"made-up-secret"


def test_our_agent_is_found_by_its_tag_when_the_plain_name_is_free(place: Place) -> None:
    with ReferenceAgent(place.own_socket, place.directory), place.connect(start=True) as found:
        assert found.ask("status").header["ok"]


def test_the_named_socket_is_asked_without_a_directory(place: Place, tmp_path: Path) -> None:
    with ReferenceAgent(tmp_path / "mine", "/whatever") as agent:
        with place.connect(start=True, TOKENWARD_SOCK=str(tmp_path / "mine")) as found:
            found.ask("status")
        assert all("dir" not in request for request in agent.requests)


def test_nothing_is_started_where_a_socket_is_named(place: Place, tmp_path: Path) -> None:
    with pytest.raises(AgentAbsent, match="TOKENWARD_SOCK") as caught:
        place.connect(start=True, TOKENWARD_SOCK=str(tmp_path / "mine"))
    assert "unset TOKENWARD_SOCK" in caught.value.hint


# Versions.


@pytest.fixture
def starts(monkeypatch: pytest.MonkeyPatch, place: Place) -> Iterator[list[ReferenceAgent]]:
    """Let a start bring up a reference agent instead of a process."""
    from tokenward.transport import autostart

    found: list[ReferenceAgent] = []

    def start(directory: str, path: str, *_: object) -> str:
        found.append(ReferenceAgent(Path(path), directory, SECRETS))
        return autostart.READY

    monkeypatch.setattr(autostart, "start", start)
    yield found
    for agent in found:
        agent.__exit__(None, None, None)


def test_an_agent_of_our_version_gives_nothing_to_say(place: Place) -> None:
    with ReferenceAgent(place.socket, place.directory), place.connect() as found:
        assert found.notice == ""


@pytest.mark.parametrize("version", ["0.0.9", "99.0"])
def test_another_version_is_spoken_to_and_said(place: Place, version: str) -> None:
    with (
        ReferenceAgent(place.socket, place.directory, SECRETS, version=version),
        place.connect() as found,
    ):
        assert version in found.notice
        assert VERSION in found.notice
        assert found.ask("fetch", service=SERVICE).body == b"made-up-secret"


@pytest.mark.parametrize("code", ["unknown-op", "bad-request"])
@pytest.mark.parametrize(
    ("version", "told"),
    [
        ("0.0.9", f"Unknown in the agent's version 0.0.9; this command's is {VERSION}."),
        (VERSION, "Unknown."),
        ("99.0", "Unknown."),
    ],
)
def test_what_an_older_agent_does_not_know_is_laid_to_its_version(
    place: Place, code: str, version: str, told: str
) -> None:
    def instead(request: dict[str, Any]) -> bytes | None:
        return refused(request, code, "Unknown.", hint="") if request["op"] == "grant" else None

    with (
        ReferenceAgent(place.socket, place.directory, version=version, instead=instead),
        place.connect() as found,
        pytest.raises(AgentError) as caught,
    ):
        found.ask("grant")
    assert str(caught.value) == told
    assert caught.value.hint == ("`auth agent restart`" if version == "0.0.9" else "")


def test_an_older_agent_that_loses_nothing_makes_way(
    place: Place, starts: list[ReferenceAgent]
) -> None:
    with (
        ReferenceAgent(place.socket, place.directory, version="0.0.9", replaceable=True) as old,
        place.connect(start=True, replace=True) as found,
    ):
        assert old.ops == ["hello", "stop"]
        assert len(starts) == 1
        assert found.notice == ""


@pytest.mark.parametrize(
    ("version", "replaceable", "replace", "more"),
    [
        ("0.0.9", False, True, {}),
        ("0.0.9", True, False, {}),
        ("99.0", True, True, {}),
        (VERSION, True, True, {}),
        ("0.0.9", True, True, {"TOKENWARD_NO_AUTOSTART": "1"}),
    ],
    ids=["holds something", "not wished", "newer", "same", "nothing may be started"],
)
def test_every_other_agent_stays(
    place: Place,
    starts: list[ReferenceAgent],
    version: str,
    replaceable: bool,
    replace: bool,
    more: dict[str, str],
) -> None:
    with ReferenceAgent(
        place.socket, place.directory, version=version, replaceable=replaceable
    ) as agent:
        place.connect(start=True, replace=replace, **more).close()
        assert agent.ops == ["hello"]
        assert starts == []


def test_a_free_address_gets_an_agent(place: Place, starts: list[ReferenceAgent]) -> None:
    with place.connect(start=True) as found:
        assert found.ask("fetch", service=SERVICE).body == b"made-up-secret"
    assert [agent.path for agent in starts] == [place.socket]


def test_where_another_home_has_the_plain_name_a_new_agent_gets_the_tag(
    place: Place, starts: list[ReferenceAgent]
) -> None:
    with ReferenceAgent(place.socket, "/another/home"):
        place.connect(start=True).close()
    assert [agent.path for agent in starts] == [place.own_socket]


def test_a_start_that_comes_to_nothing_ends(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    from tokenward.transport import autostart

    monkeypatch.setattr(autostart, "start", lambda *_: autostart.READY)
    with pytest.raises(AgentUnreachable, match="cannot be reached"):
        place.connect(start=True)


# Somebody else's agent.


@pytest.fixture
def stranger(tmp_path: Path) -> Iterator[tuple[Path, Path]]:
    """An agent of uid 4242, in a process of its own: its socket, and what it was sent."""
    tmp_path.chmod(0o755)
    for parent in tmp_path.parents[:3]:
        parent.chmod(parent.stat().st_mode | 0o011)
    folder = tmp_path / "theirs"
    folder.mkdir(mode=0o755)
    os.chown(folder, 4242, 4242)
    path, seen = folder / "s", folder / "seen"
    ready, told = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.setgroups([])
            os.setgid(4242)
            os.setuid(4242)

            def note(request: dict[str, Any]) -> None:
                with seen.open("a") as file:
                    file.write(request["op"] + "\n")

            seen.touch()
            with ReferenceAgent(path, None, SECRETS, instead=note):
                os.write(told, b"x")
                signal.pause()
        finally:
            os._exit(0)
    os.close(told)
    os.read(ready, 1)
    os.close(ready)
    yield path, seen
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)


@two_users
def test_another_users_agent_at_the_named_socket_is_asked_to_fetch_and_nothing_else(
    place: Place, stranger: tuple[Path, Path]
) -> None:
    path, seen = stranger
    with place.connect(TOKENWARD_SOCK=str(path)) as found:
        assert "uid 4242" in found.notice
        assert found.ask("fetch", service=SERVICE).body == b"made-up-secret"
        for op, body in (("login", b"made-up-secret"), ("unlock", b"pass"), ("status", b"")):
            with pytest.raises(AgentError, match="another user") as caught:
                found.ask(op, body)
            assert caught.value.code == "refused"
    assert seen.read_text().split() == ["fetch"]


@two_users
def test_another_users_agent_at_our_own_address_is_sent_nothing(
    place: Place, stranger: tuple[Path, Path]
) -> None:
    path, seen = stranger
    place.socket.symlink_to(path)
    with pytest.raises(AgentUnreachable, match="nothing was sent") as caught:
        place.connect(start=True)
    assert not isinstance(caught.value, AgentAbsent)
    assert seen.read_text() == ""


def test_versions_are_compared_by_their_numbers() -> None:
    assert connection._version_numbers("0.9.1") < connection._version_numbers("0.10.0")
    assert connection._version_numbers("1.0") < connection._version_numbers("1.0.1")
