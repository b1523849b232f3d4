"""A real agent on real buses: what it is told there of the session, and locks upon."""

from __future__ import annotations

import os
from contextlib import ExitStack, closing, contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from support.agents.process import Agent, NotDone
from support.systems.message_buses import LogindStandIn, Onlooker, Program, bus
from support.waiting import until
from tokenward_agent.session.watchers import MANAGER, PATH

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

URL = "https://index.example/team/"
MINE, OTHERS = f"{PATH}/session/c1", f"{PATH}/session/c2"


@contextmanager
def agent_with(root: Path, settings: str = "") -> Generator[Agent]:
    """Run an agent whose buses lie in `root`, there or not, with something stored."""
    config = root / "config.toml"
    config.write_text(settings)
    environment = {
        "DBUS_SYSTEM_BUS_ADDRESS": f"unix:path={root}/system",
        "DBUS_SESSION_BUS_ADDRESS": f"unix:path={root}/session",
        "TOKENWARD_CONFIG": str(config),
    }
    with Agent(root, environment) as agent:
        agent.ask("create", b"correct horse", provider="disabled", slot="passphrase")
        agent.log_in(URL, b"secret")
        yield agent
        assert agent.running, agent.errors.read_text()
    assert agent.errors.read_text() == ""


@contextmanager
def logind(root: Path) -> Generator[LogindStandIn]:
    with bus(root / "system") as address, LogindStandIn(address) as stand_in:
        stand_in.sessions = {MINE: os.getuid(), OTHERS: os.getuid() + 1}
        yield stand_in


def status(agent: Agent) -> dict[str, Any]:
    return agent.ask("status")


def is_open(agent: Agent) -> bool:
    states: dict[str, str] = {each["provider"]: each["state"] for each in status(agent)["vaults"]}
    return states["disabled"] == "open"


def closed_by(agent: Agent) -> str:
    """Wait until a lock has closed the vault, and return why."""
    until(lambda: not is_open(agent))
    return str(status(agent)["locks"]["last"]["why"])


def reopen(agent: Agent) -> None:
    agent.ask("unlock", b"correct horse")
    assert is_open(agent)


def test_keys_are_gone_before_the_machine_may_sleep(tmp_path: Path) -> None:
    with logind(tmp_path) as told, agent_with(tmp_path) as agent:
        for night in (1, 2):
            told.held(night)
            told.tell("PrepareForSleep", "b", True)
            told.released()
            assert not is_open(agent)
            with pytest.raises(NotDone, match="locked"):
                agent.fetch(URL)
            told.tell("PrepareForSleep", "b", False)
            reopen(agent)
        told.held(3)
        assert told.holds
        assert status(agent)["locked"] is False  # only `auth lock` lasts until `auth unlock`
        assert status(agent)["locks"]["sleep"] == ["logind", "clock"]


def test_a_locked_screen_locks_if_that_is_wanted_and_another_users_never(
    tmp_path: Path,
) -> None:
    with (
        logind(tmp_path) as told,
        agent_with(tmp_path, "lock-on-screen-lock = true") as agent,
    ):
        told.held()
        told.lock_session(OTHERS)
        told.say_locked(OTHERS, locked=True)
        told.say_locked(MINE, locked=False)
        told.caught_up()
        assert is_open(agent)
        told.lock_session(MINE)
        assert closed_by(agent) == "screen"
        reopen(agent)
        told.say_locked(MINE, locked=True)
        assert closed_by(agent) == "screen"
        reopen(agent)
        (tmp_path / "config.toml").write_text(
            "lock-on-screen-lock = false\nlock-on-sleep = false\n"
        )
        told.released()  # the change is seen, and the machine not held awake for nothing
        told.lock_session(MINE)
        told.caught_up()
        assert is_open(agent)
        assert status(agent)["locks"]["sleep"] is None


def test_the_end_of_the_last_session_locks_and_that_of_another_does_not(tmp_path: Path) -> None:
    with logind(tmp_path) as told, agent_with(tmp_path) as agent:
        told.held()
        told.caught_up()
        told.tell("SessionRemoved", "so", "c3", f"{PATH}/session/c3")
        told.caught_up()
        assert is_open(agent)
        told.state = "closing"  # the session waits for a process that stayed, which is the agent
        told.tell("SessionRemoved", "so", "c1", MINE)
        assert closed_by(agent) == "logout"
        reopen(agent)
        told.state = ""
        told.caught_up()  # nobody logged in since
        assert is_open(agent)


def test_nobody_but_the_owner_of_loginds_name_is_believed(tmp_path: Path) -> None:
    with logind(tmp_path) as told, agent_with(tmp_path) as agent:
        told.held()
        told.caught_up()
        impostor = Program(f"unix:path={tmp_path}/system")
        for to in ("", told.client):
            name = f"{MANAGER}.PrepareForSleep"
            impostor.signal(PATH, name, "b", True, to=to)
        impostor.signal(
            "/org/freedesktop/DBus",
            "org.freedesktop.DBus.NameOwnerChanged",
            "sss",
            *("org.freedesktop.login1", "", impostor.connection.unique_name),
            to=told.client,
        )
        impostor.close()
        told.caught_up()
        assert is_open(agent)
        assert told.holds


def test_a_bus_that_ends_and_comes_back_is_watched_again(tmp_path: Path) -> None:
    with agent_with(tmp_path) as agent:
        assert status(agent)["locks"]["sleep"] == ["clock"]
        for _ in range(2):
            with logind(tmp_path) as told:
                told.held()
            assert is_open(agent)  # that the system's bus ends says nothing of the session
        with bus(tmp_path / "system") as address:
            with LogindStandIn(address) as first:
                first.held()
            with LogindStandIn(address) as second:  # the bus stayed, and logind was restarted
                second.held()
                second.tell("PrepareForSleep", "b", True)
                second.released()
                assert not is_open(agent)


@pytest.mark.parametrize("name", ["org.freedesktop.ScreenSaver", "org.gnome.ScreenSaver"])
def test_a_screen_saver_locks_and_the_end_of_the_sessions_bus_does(
    tmp_path: Path, name: str
) -> None:
    with ExitStack() as stack:
        session = ExitStack()
        address = session.enter_context(bus(tmp_path / "session"))
        stack.callback(session.close)
        onlooker = stack.enter_context(closing(Onlooker(address)))
        agent = stack.enter_context(agent_with(tmp_path, "lock-on-screen-lock = true"))
        onlooker.sees_asked_for(name)
        saver = stack.enter_context(closing(Program(address, name)))
        saver.signal("/ScreenSaver", f"{name}.ActiveChanged", "b", True)
        assert closed_by(agent) == "screen"
        assert status(agent)["locks"]["screen"] == ["session bus"]
        reopen(agent)
        saver.signal("/ScreenSaver", f"{name}.ActiveChanged", "b", False)
        other = "org.mate.ScreenSaver"
        saver.signal("/", f"{other}.ActiveChanged", "b", True)
        session.close()  # which comes after all that, so that it would have been said before
        assert closed_by(agent) == "logout"
