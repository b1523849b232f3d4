"""The session of the process that asks: where its keyring and its screen are."""

from __future__ import annotations

VARIABLES = {
    "bus": "DBUS_SESSION_BUS_ADDRESS",
    "display": "DISPLAY",
    "wayland": "WAYLAND_DISPLAY",
    "xauthority": "XAUTHORITY",
}
"""The arguments of a request that say it, and the variables of the environment that they come from."""
