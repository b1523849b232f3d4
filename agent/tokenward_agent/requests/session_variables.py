"""Read the session that a request names: a bus, a display and a terminal, for a worker.

Unsafe values count as absent: a bus whose address starts a program (`unixexec:`) or leads to
another machine, and text that no environment variable can hold.
"""

from __future__ import annotations

from tokenward_protocol.messages import VARIABLES

TYPE_CHECKING = False
if TYPE_CHECKING:
    from tokenward_agent.wire.request import Request


def session_variables(request: Request) -> dict[str, str]:
    """Return the requester's session as environment variables for a worker."""
    found = ((variable, request.text(name)) for name, variable in VARIABLES.items())
    return {variable: value for variable, value in found if value and _is_fit(variable, value)}


def session_bus(request: Request) -> str:
    """Return the address of the requester's session bus, or ""."""
    return session_variables(request).get(VARIABLES["bus"], "")


def _is_fit(variable: str, value: str) -> bool:
    buses = value.split(";") if variable == VARIABLES["bus"] else ()
    return "\0" not in value and all(bus.startswith("unix:") for bus in buses if bus)
