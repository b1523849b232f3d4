"""An agent of real parts that serves at a socket, and what is asked at it and at its shares."""

from __future__ import annotations

import asyncio
import os
import socket
from typing import TYPE_CHECKING, Any

from support.agents.in_process import Engine
from support.macaroons import token_of
from tokenward_agent.wire.server import Server
from tokenward_protocol.frames import PREFIX, make_frame, read_sizes
from tokenward_protocol.messages import make_request
from tokenward_protocol.packing import unpack

if TYPE_CHECKING:
    from pathlib import Path

PYPI = "https://upload.pypi.org/legacy/"


async def fetched(path: str, op: str = "fetch", **arguments: Any) -> tuple[dict[str, Any], bytes]:
    """Ask at a socket, on a connection of its own; return the answer's header and its body."""
    reader, writer = await asyncio.open_unix_connection(path)
    try:
        writer.write(make_frame(make_request(op, 1, arguments)))
        whole, header = read_sizes(await reader.readexactly(PREFIX))
        data = await reader.readexactly(whole - PREFIX)
        return unpack(data[:header]), data[header:]
    finally:
        writer.close()


async def asked(path: str, op: str, **arguments: Any) -> dict[str, Any]:
    """Ask at a socket, and return the answer's header."""
    return (await fetched(path, op, **arguments))[0]


def there(path: Path | str) -> bool:
    """Tell whether a socket is there."""
    return os.path.lexists(path)


async def serving(root: Path) -> tuple[Engine, Server]:
    """Return an agent that serves, with a token in it."""
    engine = Engine(root)
    await engine.make("disabled")
    await engine.login(PYPI, token_of("pypi.org", "x").encode(), username="__token__")
    return engine, served(engine)


def served(engine: Engine) -> Server:
    """Have an agent serve."""
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(engine.root / "agent.sock"))
    server = Server(listener, engine.arena, engine.dispatch)
    engine.share_requests.serve(server)
    engine.declared_shares.reconcile()
    return server
