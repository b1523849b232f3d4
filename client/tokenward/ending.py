"""How a program of ours ends: at once, since all that it says is out by then.

Taking the interpreter apart costs a fifth of what starting it does, and more with each module that is
loaded (docs/adr/0007). What wants to run at the end, or is not through, shows by `atexit` or
`threading`: where one of them is loaded, the process ends as usual.
"""

from __future__ import annotations

import os
import sys

_NEEDED_TO_WAIT = {"atexit", "threading"}


def leave(status: int) -> int:
    """End this process with `status`; return it if the process has to end in the usual way."""
    if not _NEEDED_TO_WAIT.isdisjoint(sys.modules):
        return status
    try:
        for stream in (sys.stdout, sys.stderr):
            if stream is not None:
                stream.flush()
    except (OSError, ValueError):
        return status  # the interpreter meets the same, and says it
    os._exit(status)
