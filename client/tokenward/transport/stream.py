"""One byte stream to an agent, and whose agent it is: all that depends on the operating system.

`open_stream` is the seam: a Unix socket on Linux and macOS, a named pipe on Windows. What it
returns has `send`, `receive`, `withdraw` and `close`. `stranger` is the user of an owner other than
us and the system's own (root), or None; what to do about one is the caller's to say. A `deadline`
is a moment of `time.monotonic`; past it, TimeoutError. A peer that is gone is another OSError.
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
