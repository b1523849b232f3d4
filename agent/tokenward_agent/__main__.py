"""`tokenward-agent`: the resident process, in the foreground, as service managers start it.

The order matters. The process closes itself to debuggers and dumps before it imports anything that
might read a secret; it takes its address before the slow imports; `ssl` is never imported. An agent
that cannot open a network connection cannot send a secret over one.

A service manager hands over one socket: the listener of the agent, or the connection of a worker. A
worker is another process; of the above only the first step applies to it. If the agent cannot serve
the listener, it tells the waiting clients so: otherwise the manager would start one agent after
another for them.
"""

from __future__ import annotations

import gc
import os
import sys

from tokenward_agent.harden import HardenError, deafen, harden

TYPE_CHECKING = False
if TYPE_CHECKING:
    from socket import socket

    from tokenward_agent.service_manager import Notices


def main() -> int:
    """Run until stopped. Returns 0 after a stop or if another agent serves the address, else 2."""
    deafen()
    gc.disable()  # a tenth of the start; what is imported stays
    if sys.stderr is None:  # started by Windows, without a window
        sys.stderr = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115 - open until the end
    try:
        report = harden()
    except HardenError as error:
        return _fail(str(error))
    from tokenward_agent.service_manager import InheritedError, is_listening, take_socket

    try:
        handed = take_socket(os.environ)
    except InheritedError as error:
        return _fail(str(error))
    if sys.platform != "win32" and handed is not None and not is_listening(handed):
        from tokenward_agent.worker import service_worker

        return service_worker.serve(handed)
    from tokenward_os.user import uid_map
    from tokenward_protocol.folder_trust import ALL_IDS, count_known_ids

    if sys.platform == "linux" and count_known_ids(uid_map()) < ALL_IDS:
        report.withdraw("not dumpable", "programs outside of this user namespace can read it")
    sys.modules["ssl"] = None  # type: ignore[assignment]  # the documented way to prevent an import
    from tokenward_agent.service_manager import Notices
    from tokenward_agent.settings import SettingsError, parser, read_settings
    from tokenward_agent.wire.listener import AlreadyRunning, ListenAddressError
    from tokenward_agent.wire.local import ListenAddress

    options = parser().parse_args()
    notices = Notices(os.environ)
    try:
        settings = read_settings(options)
        address = ListenAddress(settings.socket, handed, settings.state, settings.directory)
    except AlreadyRunning as error:
        return _leave(f"Another agent serves {error}.", options.ready_fd, handed, notices)
    except (SettingsError, ListenAddressError) as error:
        return _fail(str(error), options.ready_fd, handed)
    os.chdir("/")
    from tokenward_agent.lifecycle import run_agent

    gc.freeze()
    gc.enable()
    return run_agent(settings._replace(address=address.path), address, report, notices)


def _leave(sentence: str, ready: int | None, handed: socket | None, notices: Notices) -> int:
    """End because another agent serves: not a failure, so that the manager does not try again."""
    if ready is not None:
        os.write(ready, b"running\n")
        return 0
    sys.stderr.write(f"tokenward-agent: {sentence}\n")
    if handed is not None:
        _turn_away(handed, sentence, "try again in a few seconds")
    notices.send("READY=1", f"STATUS={sentence}")  # systemd takes an end before READY for a failure
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
    from tokenward_agent.wire.answer import turn_away

    turn_away(handed, sentence, hint)


if __name__ == "__main__":
    sys.exit(main())
