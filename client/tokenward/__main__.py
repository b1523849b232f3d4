"""`auth`, also installed as `tokenward`: which route a command line takes.

The two spellings that tools and scripts use all the time go the short way (hot.py); every other
one, and every case in which that has no answer, is a full command (cli.py). Exit status: 0 done, 2
anything that failed, an interrupt included.

After the short way the process ends at once: nothing is buffered, since hot.py writes to the
descriptor itself, and taking the interpreter apart would cost as much again as the command.
"""

from __future__ import annotations

import os
import sys


def main() -> int:
    """Run the command line of this process; return its exit status."""
    try:
        match sys.argv[1:]:
            case ["token"]:
                status = _shortest("pypi")
            case ["token", service] if not service.startswith("-"):
                status = _shortest(service)
            case _:
                status = None
        if status is not None:
            os._exit(status)
        from tokenward import cli

        status = cli.main(sys.argv[1:])
    except KeyboardInterrupt:
        if sys.stderr is not None:
            sys.stderr.write("error: Interrupted.\n")
        status = 2
    return status


def _shortest(service: str) -> int | None:
    if sys.platform == "win32":
        return None
    from tokenward import hot

    return hot.run(service)


if __name__ == "__main__":
    sys.exit(main())
