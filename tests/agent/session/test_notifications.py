"""What the user sees on the desktop while a vault waits for its passphrase."""

from __future__ import annotations

import json
import socket
import sys
import threading
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Any

import pytest
from jeepney import MessageType, new_method_return  # type: ignore[import-untyped] # no annotations

from support.agents.process import Agent, NotDone
from support.systems.message_buses import LogindStandIn, Program, bus
from support.waiting import PATIENCE
from tokenward_agent.session.notifier import LOCKED, NAME, WITHHELD

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

URL = "https://index.example/team/"
pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="D-Bus")


class Desktop:
    """A notification service, which keeps what it is asked to show."""

    def __init__(self, address: str) -> None:
        self.shown: list[tuple[Any, ...]] = []
        self._changed = threading.Condition()
        self._program = Program(address, NAME)
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def close(self) -> None:
        """End the service."""
        self._program.connection.sock.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._program.close()

    def _serve(self) -> None:
        while True:
            try:
                message = self._program.connection.receive()
            except (OSError, ValueError):  # it is closed
                return
            if message.header.message_type is not MessageType.method_call:
                continue
            self._program.connection.send(new_method_return(message, "u", (1,)))
            with self._changed:
                self.shown.append(message.body)
                self._changed.notify_all()

    def text(self, number: int) -> str:
        """Wait for so many notifications, and return the text of the last one."""
        with self._changed:
            assert self._changed.wait_for(lambda: len(self.shown) >= number, PATIENCE)
        return str(self.shown[number - 1][4])


@contextmanager
def desktop_on(root: Path) -> Generator[Desktop]:
    """Run the session's bus in `root`, with a notification service on it."""
    with bus(root / "session") as address, closing(Desktop(address)) as desktop:
        yield desktop


@contextmanager
def agent_on(root: Path, *, slot: str = "passphrase") -> Generator[Agent]:
    """Run an agent on the buses in `root`, with something stored in its open vault."""
    environment = {
        "DBUS_SYSTEM_BUS_ADDRESS": f"unix:path={root}/system",
        "DBUS_SESSION_BUS_ADDRESS": f"unix:path={root}/session",
    }
    with Agent(root, environment) as agent:
        phrase = b"correct horse" if slot == "passphrase" else b""
        agent.ask("create", phrase, provider="disabled", slot=slot)
        agent.log_in(URL, b"secret")
        yield agent
        assert agent.running, agent.errors.read_text()
    assert agent.errors.read_text() == ""


def test_a_tool_that_gets_nothing_is_told_of_once_and_by_no_name(tmp_path: Path) -> None:
    with desktop_on(tmp_path) as desktop, agent_on(tmp_path) as agent:
        agent.ask("lock")
        for _ in range(3):
            with pytest.raises(NotDone, match="locked"):
                agent.ask("fetch", service=URL)
        assert desktop.text(1) == WITHHELD
        assert "index.example" not in json.dumps(desktop.shown, default=str)
        agent.ask("status")
        assert len(desktop.shown) == 1


def test_a_command_that_asks_itself_and_what_is_not_stored_are_not_told_of(tmp_path: Path) -> None:
    with desktop_on(tmp_path) as desktop, agent_on(tmp_path) as agent:
        agent.ask("lock")
        fetches: list[dict[str, Any]] = [{"service": URL, "whole": True}]
        fetches.append({"service": "https://other.example/"})
        for asked in fetches:
            with pytest.raises(NotDone, match="locked"):
                agent.ask("fetch", **asked)
        with pytest.raises(NotDone, match="locked"):
            agent.ask("fetch", service=URL)
        assert desktop.text(1) == WITHHELD
        assert len(desktop.shown) == 1


@pytest.mark.parametrize("slot", ["passphrase", "key-file"])
def test_a_lock_by_itself_is_told_of_if_the_passphrase_is_needed(tmp_path: Path, slot: str) -> None:
    with (
        bus(tmp_path / "system") as system,
        LogindStandIn(system) as told,
        desktop_on(tmp_path) as desktop,
        agent_on(tmp_path, slot=slot) as agent,
    ):
        told.held()
        told.tell("PrepareForSleep", "b", True)
        told.released()
        if slot == "passphrase":
            assert desktop.text(1) == LOCKED
        else:
            agent.ask("lock")
            with pytest.raises(NotDone, match="locked"):
                agent.ask("fetch", service=URL)
            assert desktop.text(1) == WITHHELD


def test_without_a_service_nothing_is_started_or_broken(tmp_path: Path) -> None:
    with bus(tmp_path / "session"), agent_on(tmp_path) as agent:
        agent.ask("lock")
        with pytest.raises(NotDone, match="locked"):
            agent.ask("fetch", service=URL)
        agent.ask("unlock", b"correct horse")
        assert agent.ask("status")["locked"] is False
