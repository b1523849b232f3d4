"""Real processes that connect to a listener, as the peers that an agent would see."""

from __future__ import annotations

import socket
import subprocess
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from support.waiting import PATIENCE
from tokenward_agent.peer.peer import Peer

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

CONNECT = "import socket, sys, time; s = socket.socket(socket.AF_UNIX); s.connect(sys.argv[1]);"
STAY = f"{CONNECT} sys.stdin.read()"


@contextmanager
def listening(path: Path) -> Iterator[socket.socket]:
    """Lend a listener at a path."""
    with socket.socket(socket.AF_UNIX) as sock:
        sock.bind(str(path))
        sock.listen()
        sock.settimeout(PATIENCE)
        yield sock


@contextmanager
def asking(listener: socket.socket, *command: str, **keywords: Any) -> Iterator[Peer]:
    """Start a command that connects, and lend the peer that it is."""
    process = subprocess.Popen(
        [*command, listener.getsockname()], stdin=subprocess.PIPE, **keywords
    )
    try:
        sock, _ = listener.accept()
        with sock:
            yield Peer(sock)
    finally:
        assert process.stdin is not None
        process.stdin.close()
        process.wait(PATIENCE)
