"""Where the person is who sits before this process, in the words of a request.

An agent lives longer than any session, and may have been started in another one: it asks people,
and opens keyrings, on the screen and by the bus that a request names.
"""

from __future__ import annotations

import os
import sys

from tokenward_protocol.session import VARIABLES

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping


def session_variables(environ: Mapping[str, str]) -> dict[str, str]:
    """Return the arguments by which an agent finds the asker's keyring and screen."""
    return {key: environ[name] for key, name in VARIABLES.items() if environ.get(name)}


def screen(environ: Mapping[str, str]) -> dict[str, str | bool]:
    """Return the arguments by which an agent may ask a person, for whom this process waits."""
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
