"""A worker's environment: little of the agent's, and the session of the requester."""

from __future__ import annotations

from tokenward_os.environment import NEEDED
from tokenward_protocol.messages import VARIABLES

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Final

_ENVIRONMENT: Final = NEEDED | {*VARIABLES.values(), "PYTHON_KEYRING_BACKEND"}
_ENVIRONMENT_PREFIXES: Final = ("LC_", "XDG_")
_SESSION: Final = frozenset(
    [
        *VARIABLES.values(),
        "XDG_CURRENT_DESKTOP",
        "XDG_RUNTIME_DIR",
    ]
)


def worker_environment(own: Mapping[str, str], session: Mapping[str, str]) -> dict[str, str]:
    """Return a worker's environment: the necessary part of *own*, and the requester's *session*.

    Of *session* only variables of a display or a bus count.
    """
    chosen = {
        name: value
        for name, value in own.items()
        if name in _ENVIRONMENT or name.startswith(_ENVIRONMENT_PREFIXES)
    }
    chosen.update((name, value) for name, value in session.items() if name in _SESSION)
    if chosen.get("PYTHON_KEYRING_BACKEND", "").startswith("tokenward"):
        del chosen["PYTHON_KEYRING_BACKEND"]
    return chosen
