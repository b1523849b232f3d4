"""The agent as a process: its start, its end, and what it stands in between."""

from __future__ import annotations

import os
import resource
import shutil
import signal
import socket
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from support.agents.process import COMMAND, Agent, NotDone, Wire
from support.inspection.processes import (
    anonymous_memory,
    children,
    descriptors,
    settled_descriptors,
)
from support.waiting import PATIENCE, until
from tokenward_agent.harden import DEAF
from tokenward_protocol.frames import make_frame
from tokenward_protocol.messages import make_request

URL = "https://index.example/team/"
LINUX = pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")


def stored(agent: Agent, secret: bytes = b"secret") -> None:
    agent.create_vault()
    agent.log_in(URL, secret)


def start(root: Path, *wrapper: str) -> tuple[subprocess.Popen[bytes], int]:
    """Start another agent; return it and the descriptor on which it says what it is."""
    ready, theirs = os.pipe()
    process = subprocess.Popen(
        [
            *wrapper,
            *COMMAND,
            *("--directory", str(root / "credentials"), "--state", str(root / "state")),
            *("--socket", str(root / "run" / "agent.sock"), "--ready-fd", str(theirs)),
        ],
        env={"HOME": str(root), "PATH": os.environ["PATH"]},
        pass_fds=[theirs],
        stdin=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )
    os.close(theirs)
    return process, ready


def said(ready: int) -> bytes:
    with os.fdopen(ready, "rb") as file:
        return file.readline()


# Start.


def test_a_second_agent_says_that_one_is_running_and_leaves(agent: Agent, tmp_path: Path) -> None:
    second, ready = start(tmp_path)
    assert said(ready) == b"running\n"
    assert second.wait(PATIENCE) == 0
    second.communicate()
    assert agent.ask("hello")["pid"] == agent.pid


def test_of_agents_started_at_the_same_instant_exactly_one_serves(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir(mode=0o700)
    for _ in range(10):
        started = [start(tmp_path) for _ in range(2)]
        words = [said(ready) for _, ready in started]
        assert sorted(words) == [b"ready\n", b"running\n"]
        (serving,) = (p for (p, _), word in zip(started, words, strict=True) if word == b"ready\n")
        wire = Wire(tmp_path / "run" / "agent.sock")
        assert wire.ask("hello")["pid"] == serving.pid
        wire.close()
        serving.kill()
        for process, _ in started:
            process.communicate(timeout=PATIENCE)


def test_whoever_is_told_that_one_is_running_is_answered(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir(mode=0o700)
    first, first_ready = start(tmp_path)
    until(lambda: (tmp_path / "run" / "agent.sock").exists() or first.poll() is not None)
    assert first.poll() is None
    second, second_ready = start(tmp_path)
    assert said(second_ready) == b"running\n"
    wire = Wire(tmp_path / "run" / "agent.sock")
    assert wire.ask("hello")["pid"] == first.pid
    wire.close()
    assert said(first_ready) == b"ready\n"
    first.kill()
    for process in (first, second):
        process.communicate(timeout=PATIENCE)


@LINUX
@pytest.mark.root("looks into a hardened process")
def test_nothing_of_its_starter_hangs_on_to_the_agent(agent: Agent) -> None:
    agent.ask("hello")  # it has said that it is ready, and closed what it said it on
    place = Path(f"/proc/{agent.pid}")
    environ = {line.partition(b"=")[0] for line in (place / "environ").read_bytes().split(b"\0")}
    assert environ <= {b"", b"HOME", b"PATH", b"LC_CTYPE", b"DBUS_SYSTEM_BUS_ADDRESS"}
    assert (place / "cwd").readlink() == Path("/")
    status = (place / "status").read_text()
    assert "NoNewPrivs:\t1" in status
    assert "TracerPid:\t0" in status
    limits = (place / "limits").read_text()
    assert any(line.split()[4:6] == ["0", "0"] for line in limits.splitlines() if "core" in line)
    open_ = {str(fd.readlink()) for fd in (place / "fd").iterdir() if int(fd.name) > 2}
    assert not [name for name in open_ if name.startswith("pipe:")]  # the ready one is closed


@LINUX
def test_the_agent_has_nothing_in_it_that_could_open_a_network_connection(
    agent: Agent, tmp_path: Path
) -> None:
    stored(agent)
    agent.ask("status")
    agent.ask("passphrase", b"some passphrase", action="set")
    program = "import sys; sys.modules['ssl'] = None; import tokenward_agent.lifecycle; print(*sys.modules)"
    listed = subprocess.run(
        [sys.executable, "-I", "-c", program], capture_output=True, text=True, check=True
    ).stdout.split()
    for name in ("_ssl", "keyring", "http", "http.client", "urllib.request", "requests"):
        assert name not in listed
    if os.geteuid() == 0:
        maps = Path(f"/proc/{agent.pid}/maps").read_text()
        assert "/_ssl." not in maps
        assert "libssl" not in maps


def test_another_credentials_directory_is_not_this_agents(agent: Agent, tmp_path: Path) -> None:
    stored(agent)
    with pytest.raises(NotDone) as error:
        agent.ask("logout", service=URL, dir=str(tmp_path / "other"))
    assert error.value.code == "other-directory"
    with pytest.raises(NotDone):
        agent.ask("stop", dir=str(tmp_path / "other"))
    assert agent.fetch(URL) == b"secret"
    assert agent.ask("hello", dir=str(agent.directory.resolve()))["ok"] is True


@pytest.mark.root("becomes another user")
def test_another_user_is_not_answered_even_where_all_doors_stand_open(
    agent: Agent, tmp_path: Path
) -> None:
    stored(agent)
    for path in (tmp_path, tmp_path / "run"):
        path.chmod(0o777)
    agent.socket.chmod(0o777)
    asking = make_frame(make_request("fetch", 1, {"service": URL}))
    program = (
        "import os, socket, sys\n"
        "os.setgroups([]); os.setgid(12345); os.setuid(12345)\n"
        f"s = socket.socket(socket.AF_UNIX); s.settimeout(60); s.connect({str(agent.socket)!r})\n"
        "try:\n"
        f"    s.sendall({asking!r}); sys.stdout.buffer.write(s.recv(100))\n"
        "except (BrokenPipeError, ConnectionResetError):\n"
        "    pass\n"
        "print('turned away')\n"
    )
    done = subprocess.run(
        [sys.executable, "-I", "-c", program], capture_output=True, check=True, timeout=PATIENCE
    )
    assert done.stdout == b"turned away\n"
    assert agent.fetch(URL) == b"secret"


AS_ANOTHER_USER = """
import os, sys
sys.modules["ssl"] = None
import argparse, gettext, hashlib, shutil, encodings.ascii, encodings.idna
import tokenward_agent.lifecycle, tokenward_agent.settings, tokenward_agent.__main__
os.setgroups([])
os.setgid(12345)
os.setuid(12345)
tokenward_agent.__main__.main()
"""


@pytest.mark.root("becomes another user")
def test_root_is_not_answered_by_an_agent_of_a_user(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    for name in ("run", "home"):
        (tmp_path / name).mkdir(mode=0o700)
        os.chown(tmp_path / name, 12345, 12345)
    ready, theirs = os.pipe()
    path = tmp_path / "run" / "agent.sock"
    with subprocess.Popen(
        [
            # With what it would begin anew for, in a process that has become another user.
            *(sys.executable, "-I", "-X", DEAF, "-c", AS_ANOTHER_USER),
            *("--directory", str(tmp_path / "home/c"), "--state", str(tmp_path / "home/s")),
            *("--socket", str(path), "--ready-fd", str(theirs)),
        ],
        env={"HOME": str(tmp_path / "home"), "PATH": os.environ["PATH"]},
        pass_fds=[theirs],
        stdin=subprocess.DEVNULL,
    ) as process:
        os.close(theirs)
        assert said(ready) == b"ready\n"
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(PATIENCE)
            client.connect(str(path))
            heard = b""
            with suppress(BrokenPipeError, ConnectionResetError):
                client.sendall(make_frame(make_request("hello", 1, {})))
                heard = client.recv(100)
            assert heard == b""
        process.kill()


# End.


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_and_takes_the_socket_away(number: int, agent: Agent) -> None:
    stored(agent)
    idle = agent.wire()
    assert agent.end(number) == 0
    assert not agent.socket.exists()
    assert idle.read(1) == b""
    idle.close()
    agent.start()
    assert agent.fetch(URL) == b"secret"
    assert agent.errors.read_text() == ""


def test_a_stop_is_answered_before_the_end(agent: Agent) -> None:
    assert agent.ask("stop")["pid"] == agent.pid
    assert agent.ended() == 0
    assert not agent.socket.exists()
    agent.start()


def test_after_a_kill_the_next_one_starts_and_answers(agent: Agent) -> None:
    stored(agent)
    for _ in range(3):
        agent.restart(signal.SIGKILL)
        assert agent.fetch(URL) == b"secret"


def test_agents_that_nobody_would_find_end(tmp_path: Path) -> None:
    agents: dict[str, Agent] = {}
    for what in ("socket removed", "socket replaced", "directory removed", "directory replaced"):
        place = tmp_path / what.replace(" ", "-")
        place.mkdir()
        agents[what] = agent = Agent(place)
        stored(agent)
        agent.restart()
        agent.fetch(URL)
    for what, agent in agents.items():
        if what.startswith("socket"):
            agent.socket.unlink()
        else:
            shutil.rmtree(agent.directory)
        if what == "socket replaced":
            with socket.socket(socket.AF_UNIX) as other:
                other.bind(str(agent.socket))
        elif what == "directory replaced":
            agent.directory.mkdir(mode=0o700)
    for what, agent in agents.items():
        try:
            assert agent.ended() == 0, what
            assert agent.socket.exists() == (what == "socket replaced")
        finally:
            agent.end(signal.SIGKILL)


def test_an_agent_without_standard_streams_works(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir(mode=0o700)
    ready, theirs = os.pipe()
    number = theirs + 20
    os.dup2(theirs, number)
    quoted = " ".join(f"'{part}'" for part in COMMAND)
    with subprocess.Popen(
        [
            "/bin/sh",
            "-c",
            (
                f"exec {quoted} --directory {tmp_path}/credentials --state {tmp_path}/state"
                f" --socket {tmp_path}/run/agent.sock --ready-fd {number} 0<&- 1>&- 2>&-"
            ),
        ],
        env={"HOME": str(tmp_path), "PATH": os.environ["PATH"]},
        pass_fds=[number],
    ) as process:
        os.close(theirs)
        os.close(number)
        assert said(ready) == b"ready\n"
        wire = Wire(tmp_path / "run" / "agent.sock")
        wire.ask("create", b"some passphrase", provider="disabled", slot="passphrase")
        wire.ask("login", b"secret", service=URL, username="ana")
        assert wire.ask_whole("fetch", service=URL)[1] == b"secret"
        wire.close()
        process.terminate()
        assert process.wait(PATIENCE) == 0


# What it stands.


def mount(path: Path, *options: str) -> None:
    subprocess.run(["mount", *options, str(path), str(path)], check=True, capture_output=True)


@LINUX
@pytest.mark.root("mounts a directory read-only")
def test_from_a_read_only_directory_it_fetches_and_says_why_it_cannot_store(
    agent: Agent,
) -> None:
    stored(agent)
    try:
        mount(agent.directory, "--bind")
    except subprocess.CalledProcessError:
        pytest.skip("this machine lets nobody mount")
    try:
        subprocess.run(
            ["mount", "-o", "remount,ro,bind", str(agent.directory)],
            check=True,
            capture_output=True,
        )
        agent.restart()
        assert agent.fetch(URL) == b"secret"
        with pytest.raises(NotDone) as error:
            agent.ask("login", b"other", service=URL, username="ana")
        assert error.value.code == "read-only"
        assert "read-only file system" in str(error.value.header["message"])
        assert error.value.header["hint"]
        assert agent.fetch(URL) == b"secret"
    finally:
        subprocess.run(["umount", str(agent.directory)], check=True)


def test_a_state_directory_that_vanished_keeps_no_fetch_from_being_answered(agent: Agent) -> None:
    stored(agent)
    shutil.rmtree(agent.state)
    assert agent.fetch(URL) == b"secret"
    agent.ask("login", b"other", service=URL, username="ana")
    with pytest.raises(NotDone) as error:
        agent.ask("lock")
    assert error.value.code == "vault"
    answer: dict[str, Any] = agent.ask("unlock")
    assert answer["opened"] == []
    assert "key file" in answer["closed"][0]["note"]


@LINUX
@pytest.mark.parametrize("option", ["--directory", "--state", "--socket"])
def test_a_place_whose_name_is_no_utf_8_is_refused_before_anything_is_made(
    option: str, tmp_path: Path
) -> None:
    places = {it: tmp_path / it[2:] / "x" for it in ("--directory", "--state", "--socket")}
    places[option] = tmp_path / os.fsdecode(b"caf\xe9")
    options = [text for name, path in places.items() for text in (name, str(path))]
    done = subprocess.run(
        [*COMMAND, *options], env={"HOME": str(tmp_path)}, capture_output=True, check=False
    )
    assert b"/caf\\xe9" in done.stderr
    assert b"is not valid UTF-8" in done.stderr
    if option != "--socket":
        assert list(tmp_path.iterdir()) == []


@pytest.mark.root("counts the descriptors of a hardened process")
def test_three_thousand_connections_are_taken_and_a_good_client_is_answered(agent: Agent) -> None:
    stored(agent)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 8192), hard))
    crowd = []
    before = descriptors(agent.pid)
    try:
        for _ in range(3000):
            client = socket.socket(socket.AF_UNIX)
            crowd.append(client)
            client.connect(str(agent.socket))
        assert agent.fetch(URL) == b"secret"
        agent.ask("login", b"other", service=URL, username="bob")
        agent.ask("passphrase", b"some passphrase", action="set")  # a worker needs pipes
        assert descriptors(agent.pid) <= before + 2048 + 8
    finally:
        for client in crowd:
            client.close()
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert settled_descriptors(agent.pid, before) <= before


@LINUX
def test_with_few_descriptors_the_longest_idle_give_way_and_it_can_still_store(
    tmp_path: Path,
) -> None:
    (tmp_path / "run").mkdir(mode=0o700)
    path = tmp_path / "run" / "agent.sock"
    process, ready = start(tmp_path, "prlimit", "--nofile=160:160")
    assert said(ready) == b"ready\n"
    crowd = []
    for _ in range(300):
        client = socket.socket(socket.AF_UNIX)
        crowd.append(client)
        client.connect(str(path))
    wire = Wire(path)
    wire.create_vault()
    wire.ask("login", b"secret", service=URL, username="ana")
    wire.ask("passphrase", b"some passphrase", action="set")  # a worker needs pipes
    late = Wire(path)
    assert late.ask_whole("fetch", service=URL)[1] == b"secret"
    for each in (wire.sock, late.sock, *crowd):
        each.close()
    process.kill()
    process.communicate(timeout=PATIENCE)


@pytest.mark.root("counts the descriptors of a hardened process")
def test_neither_memory_nor_descriptors_nor_processes_grow_with_use(agent: Agent) -> None:
    stored(agent)
    wire = agent.wire()

    def round_of_everything() -> None:
        asking = b"".join(
            make_frame(make_request("fetch", n, {"service": URL})) for n in range(100)
        )
        for _ in range(100):
            wire.send(asking)
            for _ in range(100):
                assert wire.answer()[1] == b"secret"
        for _ in range(20):
            agent.ask("login", b"secret", service=URL, username="ana")
            with pytest.raises(NotDone):
                agent.fetch("https://other.example/")
            half = agent.wire()
            half.send(asking[:-1])
            half.close()
        agent.ask("lock")
        agent.ask("unlock")
        agent.ask("list")

    round_of_everything()
    memory_before, before = anonymous_memory(agent.pid), descriptors(agent.pid)
    round_of_everything()
    agent.ask("passphrase", b"some passphrase", action="set", keep=True)
    agent.ask("hello")
    assert anonymous_memory(agent.pid) - memory_before <= 4
    assert settled_descriptors(agent.pid, before) <= before
    until(lambda: not children(agent.pid))
    wire.close()


SLEEPER = """
import time, keyring.backend
class Vault(keyring.backend.KeyringBackend):
    priority = 9
    def get_password(self, *arguments):
        time.sleep(3600)
    set_password = delete_password = get_password
"""


def test_a_stuck_keyring_keeps_nobody_else_waiting(tmp_path: Path) -> None:
    config = tmp_path / "config" / "python_keyring"
    config.mkdir(parents=True)
    (tmp_path / "sleeper.py").write_text(SLEEPER)
    (config / "keyringrc.cfg").write_text(
        f"[backend]\ndefault-keyring=sleeper.Vault\nkeyring-path={tmp_path}\n"
    )
    agent = Agent(tmp_path, {"XDG_CONFIG_HOME": str(config.parent)})
    stored(agent)
    asking = agent.wire()
    asking.send(make_frame(make_request("create", 1, {"provider": "keyring", "slot": "keyring"})))
    waiting = agent.wire()
    waiting.send(make_frame(make_request("prepare", 1, {"provider": "keyring", "probe": True})))
    for number in range(20):
        assert agent.fetch(URL) == b"secret"
        agent.ask("login", b"secret", service=URL, username=f"user{number}", provider="disabled")
        agent.ask("logout", service=URL, username=f"user{number}")
    header, _ = waiting.answer()
    assert (header["ok"], header["code"]) == (False, "provider")
    assert "did not answer within 3 seconds" in str(header["message"])
    asking.sock.setblocking(False)
    with pytest.raises(BlockingIOError):
        asking.sock.recv(1)  # it has a minute, since it may be asking a person
    status: dict[str, Any] = agent.ask("status")
    assert [vault["state"] for vault in status["vaults"]] == ["absent", "open"]
    assert agent.end() == 0
    for each in (asking, waiting):
        each.close()
