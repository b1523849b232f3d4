"""What another process of the same user can do to a real agent and to its workers: nothing.

Each attempt is made from outside, by a process of the agent's own user, and also on a process that
is not hardened: what fails there would say nothing. The tests run as root and become an ordinary
user, since to root everything is open.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import tokenward_agent
from support.auth_commands import PROGRAMS
from support.home import Home
from support.inspection.held_texts import paths_below
from support.inspection.outsiders import NEEDED, attempts_on
from support.inspection.process_memory import copies, dumped_copies, slices
from support.inspection.processes import children
from support.systems.other_users import become, give, other_users
from support.waiting import until
from tokenward_agent.worker.runner import worker_command
from tokenward_protocol.frames import make_frame
from tokenward_protocol.messages import make_request

if TYPE_CHECKING:
    from collections.abc import Iterator

    from support.agents.process import Agent

pytestmark = other_users


@pytest.fixture
def users_home() -> Iterator[Home]:
    """A home that is an ordinary user's; its agent is ended as that user."""
    home = Home()
    give(home.path)
    try:
        yield home
    finally:
        home.run(*become(), PROGRAMS / "auth", "agent", "stop")
        home.__exit__(None, None, None)


def test_the_attempts_succeed_on_a_process_that_is_not_hardened() -> None:
    with subprocess.Popen(
        [*become(), sys.executable, "-I", "-c", "print('ready', flush=True); input()"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as target:
        assert target.stdout is not None
        assert target.stdout.readline() == b"ready\n"
        got = attempts_on(target.pid)
        target.kill()
    assert got >= NEEDED


def test_an_agent_started_on_demand_is_closed_to_its_own_user(users_home: Home) -> None:
    auth = [*become(), str(PROGRAMS / "auth")]
    started = users_home.run(*auth, "list")
    assert started.returncode == 0, started.stderr
    status = users_home.run(*auth, "agent", "status", "--format", "json")
    assert attempts_on(int(json.loads(status.stdout)["pid"])) == set()


def test_an_agent_that_may_lock_no_memory_says_so_once_and_in_its_status(
    users_home: Home,
) -> None:
    auth = ["prlimit", "--memlock=4096:4096", *become(), str(PROGRAMS / "auth")]
    for _ in range(3):
        assert users_home.run(*auth, "list").returncode == 0
    status = users_home.run(*auth, "status", "--format", "json")
    assert json.loads(status.stdout)["protections"]["memory"].startswith("unlocked: ")
    (log,) = paths_below(users_home.path, "agent.log")
    assert log.read_text().count("Memory cannot be locked: ") == 1


@pytest.mark.parametrize("program", ["tokenward-agent", "auth agent run"])
def test_an_agent_in_the_foreground_is_closed_to_its_own_user(
    users_home: Home, program: str
) -> None:
    name, *arguments = program.split()
    with subprocess.Popen(
        [*become(), str(PROGRAMS / name), *arguments],
        env=users_home.environment,
        cwd=users_home.path,
        stdin=subprocess.DEVNULL,
    ) as agent:
        socket = Path(users_home.environment["XDG_RUNTIME_DIR"]) / "tokenward" / "agent.sock"
        until(socket.exists)
        assert attempts_on(agent.pid) == set()
        agent.terminate()


def test_a_worker_is_closed_to_its_own_user_before_it_reads_anything() -> None:
    with subprocess.Popen(
        [*become(), *worker_command("argon2id")], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        place = Path(f"/proc/{process.pid}")
        until(lambda: (place / "syscall").read_text().startswith("0 0x0 "))  # read(0, ...)
        assert "worker/main.py" in (place / "cmdline").read_text()
        assert attempts_on(process.pid) == set()
        assert "NoNewPrivs:\t1" in (place / "status").read_text()
        process.kill()


def test_a_passphrase_is_in_neither_the_arguments_nor_the_environment_of_its_worker(
    agent: Agent,
) -> None:
    passphrase = b"a marked passphrase that nobody else has"
    seen = b""
    wire = agent.wire()
    wire.send(
        make_frame(
            make_request("create", 1, {"provider": "disabled", "slot": "passphrase"}), passphrase
        )
    )

    def is_seen() -> bool:
        nonlocal seen
        for child in children(agent.pid):
            place = Path(f"/proc/{child}")
            seen = (place / "cmdline").read_bytes() + (place / "environ").read_bytes()
        return b"worker/main.py" in seen

    until(is_seen)
    assert wire.answer()[0]["ok"] is True
    wire.close()
    until(lambda: not children(agent.pid))  # a zombie would stay
    assert str(Path(tokenward_agent.__path__[0]).parent).encode() in seen
    assert b"marked" not in seen


def test_an_agent_knows_nothing_of_the_secrets_that_its_starter_had(tmp_path: Path) -> None:
    given = {
        name: f"pypi-{name.lower()}-{'marked' * 20}"
        for name in ("UV_PUBLISH_TOKEN", "UV_PUBLISH_PASSWORD", "UV_INDEX_TOKEN_TEAM")
    }
    given |= {"TWINE_PASSWORD": "twine-" + "marked" * 20, "SOMETHING": "else-" + "marked" * 20}
    passphrase = tmp_path / "passphrase"
    passphrase.write_text("a-passphrase-" + "marked" * 20)
    passphrase.chmod(0o600)
    with Home() as home:
        environ = given | {"TOKENWARD_PASSPHRASE_FILE": str(passphrase)}
        login = ["login", "https://index.example/", "-u", "ana", "--password", "-"]
        home.done(*login, stdin="stored-" + "marked" * 20, **environ)
        assert home.done("token", **environ) == given["UV_PUBLISH_TOKEN"] + "\n"
        home.auth("token", "https://none.example/", **environ)
        home.done("list", **environ)
        pid = home.agent_pid()
        assert pid is not None
        assert "marked" not in Path(f"/proc/{pid}/environ").read_text()
        assert copies(pid, [*slices(b"marked" * 20), str(passphrase).encode()]) == 0
        assert dumped_copies(pid, slices(b"marked" * 20), tmp_path) in {0, None}
        home.done("agent", "restart", **environ)
        pid = home.agent_pid()
        assert pid is not None
        assert copies(pid, slices(b"marked" * 20)) == 0
