"""An agent that dies while a vault is made or its keys change: it opens the old way or the new.

A key is put where it is found before the vault that needs it, and taken away after; so wherever the
agent dies there may be a key too many and never one too few.
"""

from __future__ import annotations

import shutil
import signal
from typing import TYPE_CHECKING, NamedTuple

import pytest

from support.agents.process import Agent, NotDone
from support.inspection.strace import Strace, traces

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

pytestmark = traces

SERVICE, SECRET, PHRASE = "https://a.example/", b"secret", b"phrase"
CALLS = ["write", "writev", "fsync", "linkat", "rename", "renameat", "unlink", "unlinkat"]
"""What makes the difference on the disk."""


class Change(NamedTuple):
    begin: Callable[[Agent], object]
    make: Callable[[Agent], object]
    before: bool | None
    after: bool
    """Whether the vault needs the passphrase, before and after; None: there is no vault."""
    stretches: bool = False
    """Whether a worker has to stretch a passphrase, who would refuse to be traced."""


def begin_with_a_key_file(agent: Agent) -> None:
    agent.create_vault()
    agent.log_in(SERVICE, SECRET)


def begin_with_a_passphrase(agent: Agent) -> None:
    agent.ask("create", PHRASE, provider="disabled", slot="passphrase")
    agent.log_in(SERVICE, SECRET)


CHANGES = {
    "a new vault with a key file": Change(
        lambda _agent: None,
        lambda agent: agent.create_vault(),
        None,
        after=False,
    ),
    "a first passphrase": Change(
        begin_with_a_key_file,
        lambda agent: agent.ask("passphrase", PHRASE, action="set"),
        before=False,
        after=True,
        stretches=True,
    ),
    "no passphrase any more": Change(
        begin_with_a_passphrase,
        lambda agent: agent.ask("passphrase", action="remove"),
        before=True,
        after=False,
    ),
}


class Scene:
    """An agent whose directories are put back to how they were before a change."""

    def __init__(self, root: Path, change: Change) -> None:
        self.change = change
        self.log = root / "strace.log"
        self.agent = Agent(root)
        change.begin(self.agent)
        self.agent.end()
        self._kept = root / "kept"
        for place in self._places():
            place.mkdir(mode=0o700, exist_ok=True)
            shutil.copytree(place, self._kept / place.name)

    def _places(self) -> list[Path]:
        return [self.agent.directory, self.agent.state]

    def reset(self) -> None:
        self.agent.end(signal.SIGKILL)
        for place in self._places():
            shutil.rmtree(place)
            shutil.copytree(self._kept / place.name, place)
        self.agent.start()
        if self.change.before:
            self.agent.ask("unlock", PHRASE)

    def survives(self, call: str, number: int) -> bool:
        """Make the change while a call kills; tell whether it was acknowledged all the same."""
        self.reset()
        inject = f"inject={call}:signal=KILL:when={number}"
        options = ("-e", f"trace={call}", "-e", inject)
        if self.change.stretches:
            assert self.agent.fetch(SERVICE) == SECRET  # the thread that will save is there
        follow = not self.change.stretches
        with Strace(self.agent.pid, self.log, *options, follow=follow):
            try:
                self.change.make(self.agent)
            except (AssertionError, OSError):
                assert self.agent.ended() == -signal.SIGKILL
                return False
        return True


@pytest.fixture(params=CHANGES)
def scene(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Scene]:
    found = Scene(tmp_path, CHANGES[request.param])
    with found.agent:
        found.agent.start()
        yield found


def needs_the_passphrase(agent: Agent) -> bool | None:
    """Open the vault with what it needs and tell whether that was the passphrase."""
    vaults = agent.ask("status")["vaults"]
    assert isinstance(vaults, list)
    states = {str(v["provider"]): v["state"] for v in vaults if isinstance(v, dict)}
    if states["disabled"] == "absent":
        return None
    try:
        agent.ask("unlock")
    except NotDone as closed:
        assert closed.code == "passphrase-needed", closed.header  # noqa: PT017 - another one is a failure
        agent.ask("unlock", PHRASE)
        return True
    return False


@pytest.mark.parametrize("call", CALLS)
def test_an_agent_killed_while_keys_change_leaves_a_vault_that_opens_one_way_or_the_other(
    call: str, scene: Scene
) -> None:
    change, number, acknowledged = scene.change, 0, False
    while not acknowledged:  # until there is no such call any more
        number += 1
        acknowledged = scene.survives(call, number)
        scene.agent.restart()
        needs = needs_the_passphrase(scene.agent)
        assert needs == change.after or (needs == change.before and not acknowledged), number
        if change.before is not None:
            assert scene.agent.fetch(SERVICE) == SECRET
        elif needs is None:
            change.make(scene.agent)
        scene.agent.log_in(SERVICE, SECRET)
        assert list(scene.agent.directory.glob(".*")) == []
