"""The agent's own small files, with something else in their place: nobody waits, and it is said."""

from __future__ import annotations

import contextlib
import os
import re
from typing import TYPE_CHECKING

import pytest

from support.agents.process import Agent, NotDone
from support.inspection.strace import Strace, traces
from support.tools.keyring_program import keyring_program

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

URL, OTHER = "https://index.example/", "https://other.example/"
DEEP = "[" * 60_000  # more than a recursive parser can bear


def a_file_of_nonsense(path: Path) -> None:
    path.write_text(DEEP)


def a_link(path: Path) -> None:
    path.symlink_to("/dev/zero")


INSTEAD: dict[str, Callable[[Path], object]] = {
    "a FIFO": os.mkfifo,
    "a directory": os.mkdir,
    "a link": a_link,
    "a file of nonsense": a_file_of_nonsense,
}


@pytest.fixture
def filled(agent: Agent) -> Agent:
    """An agent with one credential, in a vault that a key file opens."""
    agent.create_vault()
    agent.log_in(URL, b"secret")
    return agent


def folder(agent: Agent) -> Path:
    (path,) = agent.state.iterdir()
    return path


@pytest.mark.parametrize("what", INSTEAD)
def test_what_is_no_key_file_is_named_and_keeps_nobody_waiting(what: str, filled: Agent) -> None:
    (key,) = folder(filled).glob("*.key")
    kept = key.rename(key.with_suffix(".kept"))
    INSTEAD[what](key)
    filled.restart()
    wire = filled.wire()
    assert wire.ask("hello")["ok"] is True
    with pytest.raises(NotDone) as refused:
        wire.ask("fetch", service=URL)
    assert refused.value.code == "locked"
    assert str(key) in str(refused.value), "the file is not named"
    wire.close()
    key.rmdir() if what == "a directory" else key.unlink()
    kept.rename(key)
    filled.ask("unlock")
    assert filled.fetch(URL) == b"secret"
    assert filled.errors.read_text() == ""


@pytest.mark.parametrize("what", INSTEAD)
@pytest.mark.parametrize("name", ["disabled.tombstones.json", "probe.json", "locked"])
def test_what_is_no_memory_of_ours_keeps_nobody_waiting(
    name: str, what: str, filled: Agent
) -> None:
    path = folder(filled) / name
    INSTEAD[what](path)
    filled.restart()
    wire = filled.wire()
    if name == "locked":  # whatever lies there, it is a lock
        with pytest.raises(NotDone, match="locked: "):
            wire.ask("fetch", service=URL)
        for op in ("lock", "unlock"):
            with contextlib.suppress(NotDone):  # what is wrong with it is said, or is no matter
                wire.ask(op)
    else:
        assert wire.ask("fetch", service=URL)["ok"] is True
        assert wire.ask("prepare")["provider"] == "disabled"
        wire.log_in(OTHER, b"other")
        wire.ask("logout", service=OTHER)
    wire.close()
    assert filled.errors.read_text() == ""


@traces
def test_a_lock_is_answered_after_its_marker_is_on_the_disk(filled: Agent, tmp_path: Path) -> None:
    with Strace(filled.pid, tmp_path / "strace.log", "-e", "trace=openat,fsync,sendto") as strace:
        filled.ask("lock")
    marker = strace.text().partition("/locked")[2]  # before it, what a vault is to know of the log
    file, directory, *rest, answer = re.findall(r"(?m)^\d+ +(fsync|sendto)\(", marker)
    assert (file, directory, answer) == ("fsync", "fsync", "sendto")
    assert "fsync" not in rest


@traces
def test_what_was_logged_out_is_noted_on_the_disk_before_it_leaves_a_vault(
    agent: Agent, tmp_path: Path
) -> None:
    """Where the other vault is closed, and may hold an older one."""
    program = keyring_program(tmp_path)
    agent.ask("create", provider="subprocess", slot="program", program=str(program))
    agent.ask("create", b"phrase", provider="disabled", slot="passphrase")
    agent.restart()
    agent.ask("login", b"secret", service=URL, username="u", provider="subprocess")
    calls = "trace=fsync,rename,renameat,sendto"
    with Strace(agent.pid, tmp_path / "strace.log", "-e", calls) as strace:
        agent.ask("logout", service=URL)
    assert [name for _, name in strace.calls() if name != "sendto"] == [
        *("fsync", "rename", "fsync"),  # the note
        *("fsync", "fsync", "renameat", "fsync"),  # the log, the vault
        "rename",  # the list of what is stored, which is as good as its vault's generation
    ]
    assert strace.calls()[-1][1] == "sendto"


@traces
def test_a_key_file_is_on_the_disk_before_the_vault_that_needs_it(
    agent: Agent, tmp_path: Path
) -> None:
    calls = "trace=fsync,rename,renameat"
    with Strace(agent.pid, tmp_path / "strace.log", "-e", calls) as strace:
        agent.create_vault()
    assert [name for _, name in strace.calls()] == [
        *("fsync", "rename", "fsync"),  # the key
        *("fsync", "fsync"),  # the audit log, whose first line was the start, and its folder
        *("fsync", "renameat", "fsync"),  # the vault
        "rename",  # the list of what is stored
    ]


@traces
def test_a_key_file_that_the_disk_does_not_give_is_named_with_the_reason(
    filled: Agent, tmp_path: Path
) -> None:
    (key,) = folder(filled).glob("*.key")
    filled.ask("lock")
    options = ("-e", "trace=readv", "-e", "inject=readv:error=EIO")
    with Strace(filled.pid, tmp_path / "strace.log", *options) as strace:
        closed = filled.ask("unlock")["closed"]
    assert "(INJECTED)" in strace.text()
    assert isinstance(closed, list)
    assert f"{key} cannot be read: Input/output error" in str(closed[0])
    filled.ask("unlock")
    assert filled.fetch(URL) == b"secret"
    assert filled.errors.read_text() == ""
