"""`tokenward-agent`: the resident process, in the foreground, as service managers start it.

The order is the point: this process is closed to debuggers and dumps before anything that might
read a secret is imported, the address is taken before the slow imports, and `ssl` never comes in:
an agent that has no way to open a network connection cannot send a secret over one.
"""

from __future__ import annotations

import os
import sys

from tokenward_agent.harden import HardenError, harden


def main() -> int:
    """Run until stopped. Returns 0 after a stop or where another agent serves, else 2."""
    try:
        report = harden()
    except HardenError as error:
        return _fail(str(error))
    sys.modules["ssl"] = None  # type: ignore[assignment]  # the documented way to have an import fail; asyncio works without
    from tokenward_agent.settings import SettingsError, parse, read
    from tokenward_agent.wire.socket_place import AlreadyRunning, PlaceError, SocketPlace

    options = parse(sys.argv[1:])
    try:
        settings = read(options)
        place = SocketPlace(settings.socket)
    except AlreadyRunning:
        if options.ready_fd is not None:
            os.write(options.ready_fd, b"running\n")
        else:
            sys.stderr.write("tokenward-agent: Another agent serves this address.\n")
        return 0
    except (SettingsError, PlaceError) as error:
        return _fail(str(error), options.ready_fd)
    os.chdir("/")
    from tokenward_agent.lifecycle import run

    return run(settings, place, report)


def _fail(sentence: str, ready: int | None = None) -> int:
    if ready is not None:
        os.write(ready, f"error: {sentence}\n".encode())
    else:
        sys.stderr.write(f"tokenward-agent: {sentence}\n")
    return 2


if __name__ == "__main__":
    sys.exit(main())
