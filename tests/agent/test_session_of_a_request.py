"""The session that a request names: what of it reaches a worker, and what counts as not named."""

from __future__ import annotations

import pytest

from tokenward_agent.requests.naming import session_variables
from tokenward_agent.wire.request import Request


def named(**arguments: str | int | bool) -> dict[str, str]:
    return session_variables(Request("unlock", 1, "", arguments))


def test_a_session_is_its_bus_display_and_key() -> None:
    unix = "unix:path=/run/user/1000/bus,guid=1f;unix:abstract=/tmp/dbus-x"
    assert named(bus=unix, display=":0", wayland="wayland-0", xauthority="/home/ana/x") == {
        "DBUS_SESSION_BUS_ADDRESS": unix,
        "DISPLAY": ":0",
        "WAYLAND_DISPLAY": "wayland-0",
        "XAUTHORITY": "/home/ana/x",
    }


@pytest.mark.parametrize(
    "bus",
    [
        "unixexec:path=/tmp/x,argv1=y",
        "unix:path=/run/user/1000/bus;unixexec:path=/tmp/x",
        "tcp:host=far.example,port=1",
        "autolaunch:",
        "nonce-tcp:host=far.example",
    ],
)
def test_a_bus_that_has_a_program_started_or_lies_elsewhere_is_none(bus: str) -> None:
    assert named(bus=bus, display=":0") == {"DISPLAY": ":0"}


@pytest.mark.parametrize("name", ["bus", "display", "wayland", "xauthority"])
def test_what_no_variable_can_hold_is_none(name: str) -> None:
    assert named(**{name: "unix:a\0b"}) == {}
