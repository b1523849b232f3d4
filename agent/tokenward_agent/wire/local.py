"""Where agents listen on this system: at a named pipe on Windows, else at a Unix socket."""

from __future__ import annotations

import sys

if sys.platform == "win32":
    from tokenward_agent.wire.pipe_address import PipeAddress as ListenAddress
    from tokenward_agent.wire.pipe_address import SharedAddress, address, own_directory
else:
    from tokenward_agent.wire.socket_address import SharedAddress, address, own_directory
    from tokenward_agent.wire.socket_address import SocketAddress as ListenAddress

__all__ = ["ListenAddress", "SharedAddress", "address", "own_directory"]
