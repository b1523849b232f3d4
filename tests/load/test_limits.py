"""Where descriptors, memory or processes run out: it is said, nothing is lost, and it passes."""

from __future__ import annotations

import os
import resource
import shutil
import sys
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from support.agents.bad_clients import connections
from support.agents.good_client import SECRET, SERVICE, GoodClient
from support.agents.process import Agent, NotDone, Wire

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.skipif(
    sys.platform != "linux" or shutil.which("prlimit") is None, reason="needs prlimit"
)

NEW = "https://new.example/"
MEMORY_GROUPS = Path("/sys/fs/cgroup/memory")
in_a_memory_group = pytest.mark.root(
    "limits the memory of a process's children",
    able=MEMORY_GROUPS.is_dir,
    needs="memory cgroups (v1)",
)


@pytest.fixture(autouse=True)
def stored(agent: Agent) -> None:
    agent.create_vault()
    agent.log_in(SERVICE, SECRET)


@pytest.fixture
def held(agent: Agent) -> Iterator[Wire]:
    """A connection from before things ran out."""
    with closing(agent.wire()) as wire:
        wire.ask("hello")  # it was let in
        yield wire


def test_idle_connections_leave_descriptors_for_saving_and_for_workers(agent: Agent) -> None:
    agent.before = ("prlimit", "--nofile=256:256")
    agent.restart()
    with connections(agent.socket, 400), GoodClient(agent.socket) as good:
        agent.log_in(NEW, b"new")
        agent.ask("passphrase", b"a passphrase", action="set")  # stretched in a worker
        assert {fetch.wrong for fetch in good.report()} == {""}
    agent.restart()
    agent.ask("unlock", b"a passphrase")
    assert agent.fetch(NEW) == b"new"


def test_without_a_descriptor_to_spare_what_needs_none_is_answered_and_the_rest_later(
    agent: Agent, held: Wire
) -> None:
    usual = resource.prlimit(agent.pid, resource.RLIMIT_NOFILE)
    resource.prlimit(agent.pid, resource.RLIMIT_NOFILE, (3, usual[1]))
    assert held.ask_whole("fetch", service=SERVICE)[1] == SECRET
    with pytest.raises(NotDone) as refused:
        held.log_in(NEW, b"new")
    assert refused.value.code == "busy"
    resource.prlimit(agent.pid, resource.RLIMIT_NOFILE, usual)
    agent.log_in(NEW, b"new")
    assert (agent.fetch(NEW), agent.fetch(SERVICE)) == (b"new", SECRET)


def test_without_memory_to_spare_a_refusal_is_said_and_nothing_is_lost(
    agent: Agent, held: Wire
) -> None:
    usual = resource.prlimit(agent.pid, resource.RLIMIT_AS)
    resource.prlimit(agent.pid, resource.RLIMIT_AS, (1 << 20, usual[1]))
    said = set()
    for number in range(40):
        try:
            held.log_in(f"https://{number}.example/", bytes(65536))
        except NotDone as refused:
            said.add(refused.code)
    assert said == {"busy"}
    assert held.ask_whole("fetch", service=SERVICE)[1] == SECRET
    resource.prlimit(agent.pid, resource.RLIMIT_AS, usual)
    agent.log_in(NEW, b"new")
    agent.restart()
    assert (agent.fetch(NEW), agent.fetch(SERVICE)) == (b"new", SECRET)
    assert agent.errors.read_text() == ""


@in_a_memory_group
def test_a_worker_that_finds_no_memory_dies_alone(agent: Agent) -> None:
    group = MEMORY_GROUPS / f"tokenward-test-{os.getpid()}"
    group.mkdir()
    limit = group / "memory.limit_in_bytes"
    try:
        limit.write_text(str(64 << 20))  # what stretching a passphrase takes by itself
        agent.before = ("sh", "-c", 'echo $$ >"$0" && exec "$@"', str(group / "cgroup.procs"))
        agent.restart()
        with pytest.raises(NotDone) as refused:
            agent.ask("passphrase", b"a passphrase", action="set")
        assert refused.value.code == "provider"
        assert agent.fetch(SERVICE) == SECRET
        limit.write_text("-1")
        agent.ask("passphrase", b"a passphrase", action="set")
        agent.before = ()
        agent.restart()
        agent.ask("unlock", b"a passphrase")
        assert agent.fetch(SERVICE) == SECRET
    finally:
        agent.before = ()
        agent.restart()
        group.rmdir()
