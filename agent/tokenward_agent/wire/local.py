"""Where agents listen on this system: at a named pipe on Windows, else at a Unix socket."""

from __future__ import annotations

import sys

if sys.platform == "win32":
    from tokenward_agent.wire.pipe_place import PipePlace as Place
    from tokenward_agent.wire.pipe_place import SharedPlace, address, own_directory
else:
    from tokenward_agent.wire.shared_place import SharedPlace
    from tokenward_agent.wire.socket_place import SocketPlace as Place
    from tokenward_agent.wire.socket_place import address, own_directory

__all__ = ["Place", "SharedPlace", "address", "own_directory"]
