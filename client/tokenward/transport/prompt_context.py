"""The user's screen and session bus, as arguments of a request.

An agent outlives sessions, and may have been started in another one: it prompts the user on the
screen, and opens keyrings by the bus, that a request names.
"""

from __future__ import annotations

import os
import sys

from tokenward_protocol.messages import VARIABLES

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping


def session_variables(environ: Mapping[str, str]) -> dict[str, str]:
    """Return the arguments by which an agent finds the requester's keyring and screen."""
    return {key: environ[name] for key, name in VARIABLES.items() if environ.get(name)}


def prompt_arguments(environ: Mapping[str, str]) -> dict[str, str | bool]:
    """Return the arguments that let an agent prompt the user, for whom this process waits."""
    found: dict[str, str | bool] = {"attended": True, **session_variables(environ)}
    if term := environ.get("TERM"):
        found["term"] = term
    if sys.platform == "win32":
        return found
    for descriptor in (0, 1, 2):
        try:
            found["tty"] = os.ttyname(descriptor)
            break
        except OSError:
            continue
    return found
