"""Two agents where one would do: one address has one agent, one vault may have two."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import threading
from typing import TYPE_CHECKING

import pytest

from support.agents.process import COMMAND, Agent, NotDone, Wire
from support.waiting import PATIENCE
from tokenward_protocol.places import directory_tag

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tokenward_protocol.packing import Value

ROUNDS = 50
LOGINS = 30


class Starting:
    """An agent that was started and not waited for."""

    def __init__(self, root: Path) -> None:
        self._said, theirs = os.pipe()
        options = ["--directory", str(root / "credentials"), "--state", str(root / "state")]
        options += ["--socket", str(root / "run" / "agent.sock"), "--ready-fd", str(theirs)]
        self.process = subprocess.Popen(
            [*COMMAND, *options], pass_fds=[theirs], env={"HOME": str(root)}
        )
        os.close(theirs)

    def said(self) -> str:
        with os.fdopen(self._said) as pipe:
            return pipe.readline().strip()


def test_of_two_agents_started_at_the_same_instant_exactly_one_serves(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir(mode=0o700)
    for number in range(ROUNDS):
        both = [Starting(tmp_path), Starting(tmp_path)]
        said = {agent.said(): agent.process for agent in both}
        assert set(said) == {"ready", "running"}, (number, said)
        assert said["running"].wait(PATIENCE) == 0
        wire = Wire(tmp_path / "run" / "agent.sock")
        assert wire.ask("hello")["pid"] == said["ready"].pid
        wire.close()
        # Every other one leaves its socket behind, for the next two to find.
        said["ready"].send_signal(signal.SIGKILL if number % 2 else signal.SIGTERM)
        said["ready"].wait(PATIENCE)


def listed(agent: Agent) -> set[str]:
    entries: list[Value] = []
    after: Value = 0
    while after is not None:
        answer = agent.ask("list", after=after)
        assert isinstance(answer["entries"], list)
        entries += answer["entries"]
        after = answer["next"]
    return {str(entry["service"]) for entry in entries if isinstance(entry, dict)}


def linked(directory: Path, other: Path) -> None:
    other.rmdir()
    other.symlink_to(directory)


def bound(directory: Path, other: Path) -> None:
    subprocess.run(["mount", "--bind", directory, other], check=True)


OTHER_BOOT = 'mount --bind "$1" /proc/sys/kernel/random/boot_id; shift; exec "$@"'
"""The second agent is one of another host: on one host the first keeps it from serving."""


@pytest.fixture(
    params=[
        pytest.param(how, marks=pytest.mark.root("mounts")) for how in ("a link", "a bind mount")
    ]
)
def both(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[Agent, Agent]]:
    """Two agents of two homes on one vault, which the second one sees at another path."""
    homes = [tmp_path / "one", tmp_path / "two"]
    for home in homes:
        home.mkdir(mode=0o700)
    with contextlib.ExitStack() as stack:
        first = stack.enter_context(Agent(homes[0]))
        first.create_vault()
        other = homes[1] / "credentials"
        other.mkdir(mode=0o700)
        if request.param == "a link":
            linked(first.directory, other)
        else:
            bound(first.directory, other)
            stack.callback(lambda: subprocess.run(["umount", other], check=True))
        (key,) = first.state.rglob("*.key")
        folder = homes[1] / "state" / directory_tag(str(other.resolve()))
        folder.mkdir(mode=0o700, parents=True)
        folder.parent.chmod(0o700)
        shutil.copy(key, folder)
        boot = tmp_path / "boot_id"
        boot.write_text("00000000-1111-2222-3333-444444444444\n")
        there = ("unshare", "--mount", "sh", "-c", OTHER_BOOT, "sh", str(boot))
        second = stack.enter_context(Agent(homes[1], before=there))
        assert first.pid != second.pid
        yield first, second


def test_two_agents_on_one_vault_lose_no_write_of_each_other(both: tuple[Agent, Agent]) -> None:
    failed: list[BaseException] = []

    def write(number: int) -> None:
        try:
            for at in range(LOGINS):
                both[number].log_in(f"https://{number}-{at}.example/", b"%d" % at)
                if at % 3 == 0:
                    both[number].ask("logout", service=f"https://{number}-{at}.example/")
        except BaseException as error:  # noqa: BLE001 - told by the thread that waits
            failed.append(error)

    threads = [threading.Thread(target=write, args=[number]) for number in (0, 1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    expected = {f"https://{n}-{at}.example/" for n in (0, 1) for at in range(LOGINS) if at % 3}
    for agent in both:
        agent.restart()
        assert listed(agent) == expected
        assert agent.fetch("https://1-10.example/") == b"10"


def test_an_agent_whose_vault_got_another_key_writes_nothing_over_it(
    both: tuple[Agent, Agent],
) -> None:
    first, second = both
    first.log_in("https://a.example/", b"a")
    second.log_in("https://b.example/", b"b")
    first.ask("passphrase", b"phrase", action="set")
    with pytest.raises(NotDone) as caught:
        second.log_in("https://c.example/", b"c")
    assert "got another key while it was open." in str(caught.value)
    assert caught.value.header["hint"] == "`auth unlock`"
    second.ask("unlock", b"phrase")
    second.log_in("https://c.example/", b"c")
    assert listed(second) == {f"https://{name}.example/" for name in "abc"}
