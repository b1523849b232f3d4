"""Two hosts that have the same home: each has an agent, and neither hands out what is over.

The second host is a mount namespace in which the kernel says another boot id.
"""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from support.agents.process import COMMAND, Agent, NotDone
from support.waiting import PATIENCE, until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.root("mounts")
URL = "https://a.example/"
ELSEWHERE = 'mount --bind "$1" /proc/sys/kernel/random/boot_id; shift; exec "$@"'


@pytest.fixture
def hosts(tmp_path: Path) -> Iterator[tuple[Agent, Agent]]:
    """Two agents of one directory and one state folder, with a vault that a key file opens."""
    boot = tmp_path / "boot_id"
    boot.write_text("00000000-1111-2222-3333-444444444444\n")
    there = ("unshare", "--mount", "sh", "-c", ELSEWHERE, "sh", str(boot))
    if subprocess.run([*there, "true"], check=False).returncode:
        pytest.skip("this system does not let us mount")
    with Agent(tmp_path) as here:
        here.create_vault()
        here.log_in(URL, b"first")
        socket = here.socket.with_name("there.sock")
        with Other(tmp_path, socket, there) as other:
            assert other.pid != here.pid
            assert other.fetch(URL) == b"first"
            yield here, other


class Other(Agent):
    """An agent of the same directories at an address of its own."""

    def __init__(self, root: Path, socket: Path, before: tuple[str, ...]) -> None:
        self._socket = socket
        super().__init__(root, before=before)

    def start(self) -> None:
        self.socket = self._socket
        super().start()


def code_of(agent: Agent) -> object:
    with pytest.raises(NotDone) as caught:
        agent.fetch(URL)
    return caught.value.code


def test_a_second_agent_of_one_host_does_not_start(tmp_path: Path) -> None:
    with Agent(tmp_path) as here:
        options = ["--directory", str(here.directory), "--state", str(here.state)]
        options += ["--socket", str(here.socket.with_name("there.sock"))]
        done = subprocess.run(
            [*COMMAND, *options],
            env=here.environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=PATIENCE,
        )
        assert done.stderr == "tokenward-agent: Another agent serves this credentials directory.\n"
        assert done.returncode == 0


def test_a_lock_on_one_host_holds_on_the_other(hosts: tuple[Agent, Agent]) -> None:
    here, there = hosts
    there.ask("login", b"m", service="https://m.example/", username="u", lifetime=600, memory=True)
    here.ask("lock")
    assert code_of(there) == "locked"
    status = there.ask("status")
    assert (status["locked"], status["memory"]) == (True, 0)
    there.ask("unlock")
    assert here.fetch(URL) == there.fetch(URL) == b"first"


def test_its_keys_are_gone_there_even_if_nobody_asks(hosts: tuple[Agent, Agent]) -> None:
    """Seen in the log, which a lock of the second agent writes: to ask for its state would be asking."""
    here, there = hosts
    here.ask("lock")
    log = there.state
    until(lambda: any(b'"elsewhere"' in it.read_bytes() for it in log.rglob("audit/*")))


def test_what_one_host_replaced_or_removed_the_other_never_hands_out(
    hosts: tuple[Agent, Agent],
) -> None:
    here, there = hosts
    for number in range(20):
        secret = b"%d" % number
        hosts[number % 2].log_in(URL, secret)
        assert hosts[1 - number % 2].fetch(URL) == secret
    there.ask("logout", service=URL)
    assert code_of(here) == "not-found"


def test_a_vault_that_the_other_host_made_is_seen(hosts: tuple[Agent, Agent]) -> None:
    here, there = hosts
    for vault in here.directory.iterdir():
        vault.unlink()
    here.restart()
    there.restart()
    assert code_of(there) == "not-found"
    here.create_vault()
    here.log_in(URL, b"anew")
    assert there.fetch(URL) == b"anew"


def test_a_vault_that_got_a_passphrase_there_is_closed_here(hosts: tuple[Agent, Agent]) -> None:
    here, there = hosts
    here.ask("passphrase", b"phrase", action="set")
    assert code_of(there) == "locked"
    there.ask("unlock", b"phrase")
    assert there.fetch(URL) == b"first"


def test_a_vault_that_was_damaged_meanwhile_goes_on_answering(hosts: tuple[Agent, Agent]) -> None:
    here, there = hosts
    vault = here.directory / "disabled.vault"
    data = bytearray(vault.read_bytes())
    data[-1] ^= 1
    vault.write_bytes(data)
    assert here.fetch(URL) == there.fetch(URL) == b"first"


OPS = st.lists(
    st.tuples(st.integers(0, 1), st.sampled_from(["login", "logout", "lock", "unlock"])),
    min_size=1,
    max_size=12,
)


def test_whatever_two_hosts_do_in_turn_both_answer_alike(hosts: tuple[Agent, Agent]) -> None:
    @settings(max_examples=25, database=None)
    @given(OPS)
    def run(ops: list[tuple[int, str]]) -> None:
        hosts[0].ask("unlock")
        hosts[0].log_in(URL, b"0")
        stored: bytes | None = b"0"
        locked = False
        for number, (at, op) in enumerate(ops, 1):
            if op == "lock":
                hosts[at].ask("lock")
                locked = True
            elif op == "unlock":
                hosts[at].ask("unlock")
                locked = False
            elif locked:
                pass
            elif op == "login":
                hosts[at].log_in(URL, stored := b"%d" % number)
            elif stored is not None:
                hosts[at].ask("logout", service=URL)
                stored = None
            for agent in hosts:
                if locked:
                    assert code_of(agent) == "locked"
                elif stored is None:
                    assert code_of(agent) == "not-found"
                else:
                    assert agent.fetch(URL) == stored

    run()
