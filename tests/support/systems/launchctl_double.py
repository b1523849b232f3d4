"""Stands in for `launchctl` and launchd: a program with its words, and a job that is only listened for.

`bootstrap` reads the property list and listens at its socket, in a process of its own that takes the
place of launchd and ends with `bootout`; it refuses what launchd refuses. State is the folder STATE.
"""

from __future__ import annotations

import os
import plistlib
import signal
import socket
import sys
from pathlib import Path

STATE = Path(os.environ["LAUNCHCTL_STATE"])
DOMAINS = os.environ.get("LAUNCHCTL_DOMAINS", "gui user").split()
NOT_FOUND, REFUSED = 113, 5


def listen(path: str) -> None:
    """Listen in the background, as launchd does for a job that does not run yet."""
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(path)
    listener.listen()
    if pid := os.fork():
        (STATE / "pid").write_text(str(pid))
        return
    os.closerange(0, 3)
    signal.pause()


def main(word: str, target: str, *rest: str) -> int:
    """Do what `launchctl word target` does; return its exit status."""
    with (STATE / "words").open("a") as words:
        words.write(f"{word} {' '.join((target, *rest))}\n")
    kind, _, job = target.partition(f"/{os.geteuid()}")
    if kind not in DOMAINS:
        return NOT_FOUND
    loaded = STATE / "loaded"
    if word == "bootstrap":
        agent = plistlib.loads(Path(rest[0]).read_bytes())
        try:
            loaded.touch(exist_ok=False)
            listen(agent["Sockets"]["Listener"]["SockPathName"])
        except OSError:
            loaded.unlink()
            sys.stderr.write("Bootstrap failed: 5: Input/output error\n")
            return REFUSED
    elif word == "bootout":
        os.kill(int((STATE / "pid").read_text()), signal.SIGTERM)
        loaded.unlink()
    elif word == "print" and job:
        if not loaded.exists():
            return NOT_FOUND
        sys.stdout.write(f"{target} = {{\n\tstate = not running\n}}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
