"""`auth`, also installed as `tokenward`: the choice of a route for a command line.

The two most frequent spellings take the short route (hot.py); every other spelling, and every case
in which the short route has no answer, takes the full one (cli.py). Exit status: 0 for success, 2
for every failure, an interrupt included.

The process ends at once (ending.py): an orderly end of the interpreter would cost as much again as
the short route.
"""

from __future__ import annotations

import sys

from tokenward.ending import leave


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
        if status is None:
            import gc

            gc.disable()  # what a command leaves behind ends with it
            from tokenward import cli

            status = cli.main(sys.argv[1:])
    except KeyboardInterrupt:
        if sys.stderr is not None:
            sys.stderr.write("error: Interrupted.\n")
        status = 2
    return leave(status)


def _shortest(service: str) -> int | None:
    if sys.platform == "win32":
        return None
    from tokenward import hot

    return hot.run(service)


if __name__ == "__main__":
    sys.exit(main())
