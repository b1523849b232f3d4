"""No trace: a look from outside finds no copy of a secret in the agent, whatever it just did.

Each count of nothing is worth only as much as the scanner; so the same scanner must find the same
secret in a process that handles it without care.
"""

from __future__ import annotations

import os
import secrets
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from agents import Agent, NotDone
from memory import copies, slices

from tokenward_protocol.frames import frame
from tokenward_protocol.messages import request
from tokenward_protocol.packing import pack

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = [
    pytest.mark.root,
    pytest.mark.skipif(os.geteuid() != 0, reason="only root can look into a hardened process"),
    pytest.mark.skipif(sys.platform != "linux", reason="reads /proc/PID/mem"),
]

URL = "https://index.example/team/"
CARELESS = """
import sys
kept = sys.stdin.buffer.readline()
print("ready", flush=True)
sys.stdin.buffer.readline()
"""


@pytest.fixture
def agent(tmp_path: Path) -> Iterator[Agent]:
    agent = Agent(tmp_path)
    yield agent
    agent.end()


def token() -> bytes:
    return b"pypi-" + secrets.token_urlsafe(150).encode()


def test_the_scanner_finds_a_secret_in_a_careless_process() -> None:
    secret = token()
    command = [sys.executable, "-I", "-c", CARELESS]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0
    ) as careless:
        assert careless.stdin is not None
        assert careless.stdout is not None
        careless.stdin.write(secret + b"\n")
        assert careless.stdout.readline() == b"ready\n"
        for each in slices(secret):
            assert copies(careless.pid, [each]) >= 1
        careless.kill()


def test_nothing_that_the_agent_does_leaves_a_copy_of_a_token(agent: Agent) -> None:
    secret = token()
    needles = slices(secret)

    def none_after(what: str) -> None:
        assert copies(agent.pid, needles) == 0, f"a copy was left after {what}"

    assert copies(agent.pid, [b"tokenward_agent"]) >= 1
    agent.ask("create", provider="disabled", slot="key-file")
    agent.ask("login", secret, service=URL, username="__token__", provider="disabled")
    none_after("login")
    wire = agent.wire()
    for _ in range(20):
        assert wire.ask_whole("fetch", service=URL)[1] == secret
    none_after("20 fetches")
    with pytest.raises(NotDone):
        agent.fetch("https://other.example/")
    none_after("a miss")
    with pytest.raises(NotDone):
        agent.ask("fetch", secret, service=URL)
    none_after("a body where none belongs")
    for header in (
        pack({"v": 1, "id": 1, "op": "login", secret.decode(): "x"}),
        pack({"v": 1, "id": 1, "op": secret.decode()}),
        pack(
            {"v": 1, "id": 1, "op": "login", "service": f"https://u:{secret.decode()}@a.example/"}
        ),
        pack({"v": 1, "id": 1, "op": "login", "lifetime": secret.decode()}),
        secret,
    ):
        wire.send(frame(header, secret))
        assert wire.answer()[0]["ok"] is False
        none_after(f"a header with the token in a wrong place: {header[:20]!r}")
    wire.send(b"\xff\xff\xff\xff\x00\x10" + secret)
    assert wire.answer()[0]["code"] == "too-large"
    none_after("a malformed frame")
    wire.close()
    agent.ask("lock")
    none_after("lock")
    with pytest.raises(NotDone):
        agent.fetch(URL)
    agent.ask("unlock")
    assert agent.fetch(URL) == secret
    none_after("unlock")
    agent.ask("logout", service=URL)
    none_after("logout")


def test_a_client_that_leaves_or_does_not_listen_leaves_no_copy(agent: Agent) -> None:
    secret = token()
    needles = slices(secret)
    agent.ask("create", provider="disabled", slot="key-file")
    agent.ask("login", secret, service=URL, username="__token__", provider="disabled")
    half = agent.wire()
    whole = frame(request("login", 1, {"service": URL, "username": "u"}), secret)
    half.send(whole[:-1])
    agent.ask("hello")
    half.close()
    agent.ask("hello")
    assert copies(agent.pid, needles) == 0
    deaf = agent.wire()
    for number in range(2000):
        deaf.sock.settimeout(0.05)
        try:
            deaf.send(frame(request("fetch", number, {"service": URL})))
        except TimeoutError:
            break
    agent.ask("hello")
    assert copies(agent.pid, needles) == 0
    deaf.close()
    agent.ask("hello")
    assert copies(agent.pid, needles) == 0


def test_neither_a_passphrase_nor_a_key_file_leaves_a_copy(agent: Agent) -> None:
    passphrase, secret = secrets.token_urlsafe(60).encode(), token()
    agent.ask("create", provider="disabled", slot="key-file")
    agent.ask("login", secret, service=URL, username="__token__", provider="disabled")
    (path,) = agent.state.glob("*/*.key")
    key = path.read_bytes()
    needles = [key[:16], key[-16:], *slices(passphrase), *slices(secret)]
    assert copies(agent.pid, needles) == 0
    agent.ask("lock")
    agent.ask("unlock")
    assert copies(agent.pid, needles) == 0
    agent.ask("passphrase", passphrase, action="set")
    assert copies(agent.pid, needles) == 0
    agent.ask("lock")
    with pytest.raises(NotDone):
        agent.ask("unlock", passphrase[::-1])
    agent.ask("unlock", passphrase)
    assert agent.fetch(URL) == secret
    assert copies(agent.pid, [*needles, *slices(passphrase[::-1])]) == 0


def test_a_secret_that_is_over_leaves_no_copy(agent: Agent) -> None:
    secret = token()
    agent.ask("create", provider="disabled", slot="key-file")
    agent.ask("login", secret, service=URL, username="__token__", provider="disabled", lifetime=1)
    wire = agent.wire()
    code = None
    while code is None:  # two seconds at most, by the agent's own clocks
        try:
            wire.ask("fetch", service=URL)
        except NotDone as error:
            code = error.code
    wire.close()
    assert code == "not-found"
    assert copies(agent.pid, slices(secret)) == 0
