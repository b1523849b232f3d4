"""Every system call of a change, on a real agent: it fails, or the agent dies there.

Afterwards the vault opens and holds what it held before or what it was to hold, whole; what was
acknowledged is there; and whoever was refused heard a sentence and what helps.
"""

from __future__ import annotations

import contextlib
import functools
import os
import shutil
import signal
from collections import Counter
from typing import TYPE_CHECKING

import pytest

from support.agents.process import Agent, NotDone
from support.inspection.strace import Strace, traces

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

pytestmark = [traces, pytest.mark.xdist_group("saves")]

SERVICE = "https://{}.example/"
OF_A_SAVE = ["openat", "flock", "getdents64", "read", "write", "fsync", "renameat", "unlinkat"]
OF_A_SAVE += ["fcntl", "lseek", "close"]
"""What a save calls, beside `linkat`, which only one that keeps the generation before does."""

OF_THE_DISK = {"openat", "write", "fsync", "linkat", "renameat", "unlinkat"}
ERRORS = ["ENOSPC", "EIO", "EROFS", "EDQUOT"]
"""Each is tried at what goes to the disk, EIO at all else, and with THOROUGH=1 each at everything.

A login in the place of one makes the calls of a logout, so its errors are left to that, too."""
THOROUGH = bool(os.environ.get("THOROUGH"))
Held = dict[tuple[str, str], bytes]


def held(agent: Agent) -> Held:
    """Return everything that the agent hands out."""
    found = agent.ask("list")
    assert found["closed"] == []
    entries = found["entries"]
    assert isinstance(entries, list)
    names = [(str(e["service"]), str(e["username"])) for e in entries if isinstance(e, dict)]
    return {name: agent.fetch(*name) for name in names}


class Change:
    """One change to a vault that holds BEFORE, what that makes of it, and what it calls."""

    def __init__(self, make: Callable[[Agent], object], after: Held, calls: list[str]) -> None:
        self.make = make
        self.after = after
        self.calls = calls


def entry(name: str, secret: bytes) -> Held:
    return {(SERVICE.format(name), "ana"): secret}


BEFORE = entry("a", b"secret-a") | entry("b", b"secret-b")
CHANGES = {
    "a new login": Change(
        lambda agent: agent.log_in(SERVICE.format("c"), b"secret-c"),
        BEFORE | entry("c", b"secret-c"),
        [*OF_A_SAVE, "linkat"],
    ),
    "a login in the place of one": Change(
        lambda agent: agent.log_in(SERVICE.format("b"), b"another"),
        BEFORE | entry("b", b"another"),
        OF_A_SAVE,
    ),
    "a logout": Change(
        lambda agent: agent.ask("logout", service=SERVICE.format("b")),
        entry("a", b"secret-a"),
        OF_A_SAVE,
    ),
}
CASES = [(name, call) for name, change in CHANGES.items() for call in change.calls]
FAULTS = [
    (*case, error)
    for case in CASES
    for error in ERRORS
    if THOROUGH
    or ((error == "EIO" or case[1] in OF_THE_DISK) and case[0] != "a login in the place of one")
]


class Scene:
    """An agent whose files are put back to the same two credentials before each case."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.log = root / "strace.log"
        self.agent = Agent(root)
        self.agent.create_vault()
        self.agent.log_in(SERVICE.format("a"), b"secret-a")
        self.agent.log_in(SERVICE.format("b"), b"secret-b")
        self.agent.end()
        self._kept = root / "kept"
        shutil.copytree(self.agent.directory, self._kept)

    def reset(self) -> Agent:
        self.agent.end(signal.SIGKILL)
        shutil.rmtree(self.agent.directory)
        shutil.copytree(self._kept, self.agent.directory)
        self.agent.start()
        assert held(self.agent) == BEFORE  # and the thread that saves is there
        return self.agent

    @functools.cache  # noqa: B019 - one scene for all of this file
    def counted(self, change: Change) -> Counter[str]:
        """Return how often the thread that saves makes each call."""
        agent = self.reset()
        with Strace(agent.pid, self.log, main=False) as strace:
            change.make(agent)
        return Counter(name for _, name in strace.calls())

    def numbers(self, change: Change, call: str) -> range:
        return range(1, self.counted(change)[call] + 1)


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    found = Scene(tmp_path_factory.mktemp("saves"))
    with found.agent:
        found.agent.start()
        yield found


def made_under(scene: Scene, change: Change, call: str, fault: str, number: int) -> NotDone | None:
    """Make a change while a call fails; return the refusal, None if it was acknowledged."""
    agent = scene.reset()
    options = ("-e", f"trace={call}", "-e", f"inject={call}:{fault}:when={number}")
    refusal = None
    with Strace(agent.pid, scene.log, *options, main=False) as strace:
        try:
            change.make(agent)
        except NotDone as refused:
            refusal = refused
    if "(INJECTED)" not in strace.text():
        assert refusal is None
        require_one_less(strace, number)
    return refusal


def require_one_less(strace: Strace, number: int) -> None:
    """Require that a save made one call less than the one that was counted: it may look once more."""
    assert len(strace.calls()) == number - 1 > 0, "the fault was not injected"


def killed_at(scene: Scene, change: Change, call: str, number: int) -> None:
    """Begin a change and have the agent die at a call."""
    agent = scene.reset()
    options = ("-e", f"trace={call}", "-e", f"inject={call}:signal=KILL:when={number}")
    is_done = False
    with Strace(agent.pid, scene.log, *options, main=False) as strace:
        with contextlib.suppress(AssertionError, OSError):  # it hangs up
            change.make(agent)
            is_done = True
        if not is_done:
            assert agent.ended() == -signal.SIGKILL
    if is_done:
        require_one_less(strace, number)
        agent.end(signal.SIGKILL)
    agent.restart()


def left(scene: Scene) -> list[str]:
    return [path.name for path in scene.agent.directory.iterdir() if path.suffix == ".tmp"]


@pytest.mark.parametrize("name", CHANGES)
def test_the_table_below_has_every_call_of_a_save_that_can_change_a_file(
    name: str, scene: Scene
) -> None:
    """What is not in the table looks: at attributes, at who we are, at a lock in memory."""
    harmless = {"futex", "newfstatat", "fstat", "ioctl", "geteuid", "getrandom", "sendto"}
    harmless |= {"mmap", "munmap", "mprotect", "brk", "madvise", "sched_yield", "gettid"}
    harmless |= {"rt_sigprocmask"}  # of glibc from 2.41 on, around getrandom
    assert set(scene.counted(CHANGES[name])) - harmless == set(CHANGES[name].calls)


@pytest.mark.parametrize("name", CHANGES)
def test_the_answer_leaves_after_file_and_directory_are_on_the_disk(
    name: str, scene: Scene
) -> None:
    agent = scene.reset()
    calls = "trace=write,fsync,linkat,renameat,sendto"
    with Strace(agent.pid, scene.log, "-e", calls) as strace:
        CHANGES[name].make(agent)
    order = [call for tid, call in strace.calls() if tid != agent.pid or call == "sendto"]
    assert [call for call in order if call in {"write", "fsync"}] == [
        "fsync",  # the audit log, which the vault knows of
        *("write", "fsync", "fsync"),
    ]
    assert order.index("write") < order.index("renameat") < len(order) - order[::-1].index("fsync")
    *_, confirmed, woken, answered = order  # the thread wakes the loop, and that answers
    assert (confirmed, woken, answered) == ("fsync", "sendto", "sendto")


@pytest.mark.parametrize(("name", "call"), CASES)
def test_an_agent_killed_at_a_call_leaves_what_was_or_what_was_to_be(
    name: str, call: str, scene: Scene
) -> None:
    change = CHANGES[name]
    for number in scene.numbers(change, call):
        killed_at(scene, change, call, number)
        found = held(scene.agent)
        assert found in (BEFORE, change.after), (call, number)
        scene.agent.log_in(SERVICE.format("next"), b"next")
        assert held(scene.agent) == found | entry("next", b"next")
        assert left(scene) == []


@pytest.mark.parametrize(("name", "call", "error"), FAULTS)
def test_a_call_that_fails_is_a_sentence_and_leaves_what_was_or_what_was_to_be(
    name: str, call: str, error: str, scene: Scene
) -> None:
    change = CHANGES[name]
    numbers = scene.numbers(change, call)
    for number in numbers:
        if call == "close" and number == len(numbers) - 1:
            continue  # strace would keep the lock: it does not make the call that it has fail
        refusal = made_under(scene, change, call, f"error={error}", number)
        if refusal is not None:
            said = refusal.header
            assert said["code"] in {"vault", "read-only"}, (call, number, said)
            assert str(said["message"]).endswith("."), said
            assert said["hint"], said
        scene.agent.log_in(SERVICE.format("next"), b"next")  # it goes on
        scene.agent.restart()
        found = held(scene.agent)
        after, before = (each | entry("next", b"next") for each in (change.after, BEFORE))
        assert found == after or (found == before and refusal is not None), (call, number)
        assert left(scene) == []
