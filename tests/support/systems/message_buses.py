"""Real message buses of a test's own, and a stand-in for logind and for a screen saver on them.

The real logind wants a booted systemd; what stands in for it here answers by the same names what
the agent asks, and keeps the same books: who holds the machine awake, who is logged in.
"""

from __future__ import annotations

import contextlib
import os
import select
import shutil
import subprocess
import threading
from typing import TYPE_CHECKING, Any, Self

import pytest
from jeepney import (  # type: ignore[import-untyped] # it has no annotations
    DBusAddress,
    HeaderFields,
    MessageType,
    Monitoring,
    message_bus,
    new_error,
    new_method_return,
    new_signal,
)
from jeepney.io.blocking import open_dbus_connection  # type: ignore[import-untyped] # likewise
from jeepney.wrappers import unwrap_msg  # type: ignore[import-untyped] # likewise

from support.waiting import PATIENCE
from tokenward_agent.session.watchers import MANAGER, NAME, PATH, PROPERTIES, SESSION

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

_CONFIG = """<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig><type>session</type><listen>unix:path={socket}</listen><auth>EXTERNAL</auth>
<policy context="default"><allow send_destination="*"/><allow receive_sender="*"/>
<allow own="*"/></policy></busconfig>
"""


@contextlib.contextmanager
def bus(socket: Path) -> Generator[str]:
    """Run a bus whose socket is at `socket`, and yield its address."""
    if shutil.which("dbus-daemon") is None:
        pytest.skip("needs the package dbus")
    config = socket.with_suffix(".conf")
    config.write_text(_CONFIG.format(socket=socket))
    command = ["dbus-daemon", f"--config-file={config}", "--nofork", "--print-address"]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as daemon:
        try:
            assert daemon.stdout is not None
            assert daemon.stdout.readline().startswith(b"unix:path=")
            yield f"unix:path={socket}"
        finally:
            daemon.kill()


class Program:
    """A program on a bus, under a `name` if it has one."""

    def __init__(self, address: str, name: str = "") -> None:
        self.connection = open_dbus_connection(address, enable_fds=True)
        if name:
            message = message_bus.RequestName(name)
            assert unwrap_msg(self.connection.send_and_get_reply(message)) == (1,)

    def signal(
        self, path: str, name: str, signature: str = "", *body: object, to: str = ""
    ) -> None:
        """Send a signal, to whoever wants it or straight `to` somebody."""
        interface, _, member = name.rpartition(".")
        address = DBusAddress(path, None, interface)
        message = new_signal(address, member, signature or None, body)
        if to:
            message.header.fields[HeaderFields.destination] = to
        self.connection.send(message)

    def close(self) -> None:
        self.connection.close()


class Onlooker(Program):
    """A monitor of a bus, which sees who asks it for the owners of names."""

    def __init__(self, address: str) -> None:
        super().__init__(address)
        rule = "type='method_call',member='GetNameOwner'"
        unwrap_msg(self.connection.send_and_get_reply(Monitoring().BecomeMonitor([rule])))

    def sees_asked_for(self, name: str) -> None:
        """Wait until somebody asked for the owner of a name, whose signals are wanted by then."""
        while self.connection.receive(timeout=PATIENCE).body != (name,):
            pass


class LogindStandIn:
    """Answers as logind; `state` is that of every user, `sessions` has the user of each."""

    def __init__(self, address: str) -> None:
        self.state = "active"
        self.sessions: dict[str, int] = {}
        self.calls: list[str] = []
        self.client = ""
        self._holding: list[int] = []  # our ends of the pipes that others hold the machine awake by
        self._changed = threading.Condition()
        self._program = Program(address, NAME)
        self._stop, self._stopped = os.pipe()
        self._thread = threading.Thread(target=self._serve)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._stopped)
        self._thread.join()
        os.close(self._stop)
        self._program.close()
        for end in self._holding:
            os.close(end)

    def _serve(self) -> None:
        connection = self._program.connection
        while True:
            readable, _, _ = select.select([connection.sock, self._stop], [], [])
            if self._stop in readable:
                return
            try:
                message = connection.receive(timeout=PATIENCE)
            except ConnectionError:  # the bus was ended
                return
            if message.header.message_type is MessageType.method_call:
                self._answer(message)

    def _answer(self, message: Any) -> None:
        fields = message.header.fields
        member = fields[HeaderFields.member]
        theirs = -1
        with self._changed:
            self.client = fields[HeaderFields.sender]
            match member, message.body:
                case "Inhibit", ("sleep", _, _, "delay"):
                    ours, theirs = os.pipe()
                    self._holding.append(ours)
                    reply = new_method_return(message, "h", (theirs,))
                case "GetUser", _ if self.state:
                    reply = new_method_return(message, "o", (f"{PATH}/user/me",))
                case "GetUser", _:
                    reply = new_error(message, f"{NAME}.NoSuchUser", "s", ("nobody",))
                case "Get", (_, "State"):
                    reply = new_method_return(message, "v", (("s", self.state),))
                case "Get", (_, "User"):
                    user = self.sessions[fields[HeaderFields.path]], f"{PATH}/user/me"
                    reply = new_method_return(message, "v", (("(uo)", user),))
                case _:
                    reply = new_error(message, f"{NAME}.Unknown")
            self._program.connection.send(reply)
            if theirs >= 0:
                os.close(theirs)
            self.calls.append(member)
            self._changed.notify_all()

    def _wait(self, member: str, times: int) -> None:
        with self._changed:
            assert self._changed.wait_for(lambda: self.calls.count(member) >= times, PATIENCE)

    def held(self, times: int = 1) -> None:
        """Wait until the machine was asked so often to be held awake."""
        self._wait("Inhibit", times)

    def released(self) -> None:
        """Wait until nobody holds the machine awake any more."""
        for end in self._holding:
            assert select.select([end], [], [], PATIENCE)[0]
            assert os.read(end, 1) == b""

    @property
    def holds(self) -> bool:
        """Whether somebody holds the machine awake."""
        return len(select.select(self._holding, [], [], 0)[0]) < len(self._holding)

    def caught_up(self) -> None:
        """Wait until all that was signalled before has been dealt with."""
        looks = self.calls.count("GetUser")
        self.tell("SessionNew", "so", "c9", f"{PATH}/session/c9")
        self._wait("GetUser", looks + 1)

    def tell(self, member: str, signature: str, *body: object) -> None:
        """Signal something as the manager."""
        self._program.signal(PATH, f"{MANAGER}.{member}", signature, *body)

    def lock_session(self, path: str) -> None:
        """Ask for a session to be locked, as `loginctl lock-session` does."""
        self._program.signal(path, f"{SESSION}.Lock")

    def say_locked(self, path: str, *, locked: bool) -> None:
        """Tell that a session was locked or unlocked, as its desktop says."""
        changed = {"LockedHint": ("b", locked)}
        self._program.signal(
            path, f"{PROPERTIES}.PropertiesChanged", "sa{sv}as", SESSION, changed, []
        )
