"""`tokenward-agent`: the resident process, in the foreground, as service managers start it.

The order is the point: this process is closed to debuggers and dumps before anything that might
read a secret is imported, the address is taken before the slow imports, and `ssl` never comes in:
an agent that has no way to open a network connection cannot send a secret over one.

A service manager hands it a socket: the address that it is to serve, or the job of a worker, which
is another process and has nothing of the above but the first. Whoever waits at an address that
cannot be served is told so, since the manager would start one agent after the other for them.
"""

from __future__ import annotations

import os
import sys

from tokenward_agent.harden import HardenError, deafen, harden

TYPE_CHECKING = False
if TYPE_CHECKING:
    from socket import socket

    from tokenward_agent.notices import Notices


def main() -> int:
    """Run until stopped. Returns 0 after a stop or where another agent serves, else 2."""
    deafen()
    if sys.stderr is None:  # started by Windows, without a window
        sys.stderr = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115 - for as long as it runs
    try:
        report = harden()
    except HardenError as error:
        return _fail(str(error))
    from tokenward_agent.inherited import InheritedError, accepts, taken

    try:
        handed = taken(os.environ)
    except InheritedError as error:
        return _fail(str(error))
    if sys.platform != "win32" and handed is not None and not accepts(handed):
        from tokenward_agent.worker import outside

        return outside.serve(handed)
    from tokenward_os.user import uid_map
    from tokenward_protocol.user_ids import ALL_IDS, known

    if sys.platform == "linux" and known(uid_map()) < ALL_IDS:
        report.withdraw("not dumpable", "programs outside of this user namespace can look in")
    sys.modules["ssl"] = None  # type: ignore[assignment]  # the documented way to have an import fail; asyncio works without
    from tokenward_agent.notices import Notices
    from tokenward_agent.settings import SettingsError, parse, read
    from tokenward_agent.wire.local import Place
    from tokenward_agent.wire.place import AlreadyRunning, PlaceError

    options = parse(sys.argv[1:])
    notices = Notices(os.environ)
    try:
        settings = read(options)
        place = Place(settings.socket, handed, settings.state, settings.directory)
    except AlreadyRunning as error:
        return _leave(f"Another agent serves {error}.", options.ready_fd, handed, notices)
    except (SettingsError, PlaceError) as error:
        return _fail(str(error), options.ready_fd, handed)
    settings.address = place.path
    os.chdir("/")
    from tokenward_agent.lifecycle import run

    return run(settings, place, report, notices)


def _leave(sentence: str, ready: int | None, handed: socket | None, notices: Notices) -> int:
    """End where another agent serves: no failure, so that no manager tries again."""
    if ready is not None:
        os.write(ready, b"running\n")
        return 0
    sys.stderr.write(f"tokenward-agent: {sentence}\n")
    if handed is not None:
        _turn_away(handed, sentence, "try again in a few seconds")
    notices.tell("READY=1", f"STATUS={sentence}")  # to end before that would be a failure
    return 0


def _fail(sentence: str, ready: int | None = None, handed: socket | None = None) -> int:
    if ready is not None:
        os.write(ready, f"error: {sentence}\n".encode())
    else:
        sys.stderr.write(f"tokenward-agent: {sentence}\n")
    if handed is not None:
        _turn_away(handed, sentence, "`auth agent run` may say more")
    return 2


def _turn_away(handed: socket, sentence: str, hint: str) -> None:
    from tokenward_agent.wire.turning_away import turn_away

    turn_away(handed, sentence, hint)


if __name__ == "__main__":
    sys.exit(main())
