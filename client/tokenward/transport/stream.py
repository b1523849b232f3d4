"""One byte stream to an agent, and its owner: everything that depends on the operating system.

`open_stream` connects: to a Unix socket on Linux and macOS, to a named pipe on Windows. The result
has `send`, `receive`, `withdraw` and `close`. `stranger` is the owner if that is neither this user
nor the system (root), else None; the caller decides what to do then. A `deadline` is a moment of
`time.monotonic`; past it, TimeoutError is raised. If the peer is gone, another OSError is.
"""

from __future__ import annotations

import sys

if sys.platform == "win32":
    from tokenward.transport.pipe_stream import PipeStream as Stream
    from tokenward.transport.pipe_stream import open_stream
else:
    from tokenward.transport.socket_stream import SocketStream as Stream
    from tokenward.transport.socket_stream import open_stream

__all__ = ["Stream", "open_stream"]
