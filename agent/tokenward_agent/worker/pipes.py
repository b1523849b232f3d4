"""Pipes for the loop: read and write non-blocking descriptors, to and from the arena.

Unlike the loop's own transports these make no object of the bytes, and keep nothing: `write_pipe` and
`read_pipe_into` move bytes between a descriptor and a view. Only one task at a time uses a descriptor.
"""

from __future__ import annotations

import asyncio
import os
import socket
import sys

assert sys.platform != "win32"  # noqa: S101 - for type checkers


async def write_pipe(descriptor: int, data: memoryview) -> None:
    """Write all of *data*. Raises BrokenPipeError if the reader is gone."""
    sent = 0
    while sent < len(data):
        try:
            sent += os.write(descriptor, data[sent:])
        except BlockingIOError:
            await _writable(descriptor)


async def write_descriptor(channel: int, data: memoryview, descriptor: int) -> None:
    """Write all of *data* into a Unix socket, and pass *descriptor* with it. Raises OSError."""
    sending = socket.socket(fileno=channel)
    try:
        while True:
            try:
                sent = socket.send_fds(sending, [data], [descriptor])
                break
            except BlockingIOError:
                await _writable(channel)
    finally:
        sending.detach()
    await write_pipe(channel, data[sent:])


async def read_pipe_into(descriptor: int, into: memoryview) -> None:
    """Fill *into*. Raises EOFError if the data ends before."""
    got = 0
    while got < len(into):
        try:
            more = os.readv(descriptor, [into[got:]])
        except BlockingIOError:
            await _readable(descriptor)
            continue
        if more == 0:
            raise EOFError
        got += more


async def read_pipe(descriptor: int, size: int) -> bytes:
    """Return *size* bytes that are not secret. Raises EOFError if the data ends before."""
    data = b""
    while len(data) < size:
        try:
            more = os.read(descriptor, size - len(data))
        except BlockingIOError:
            await _readable(descriptor)
            continue
        if not more:
            raise EOFError
        data += more
    return data


async def _readable(descriptor: int) -> None:
    loop = asyncio.get_running_loop()
    ready: asyncio.Future[None] = loop.create_future()
    loop.add_reader(descriptor, _resolve, ready)
    try:
        await ready
    finally:
        loop.remove_reader(descriptor)


async def _writable(descriptor: int) -> None:
    loop = asyncio.get_running_loop()
    ready: asyncio.Future[None] = loop.create_future()
    loop.add_writer(descriptor, _resolve, ready)
    try:
        await ready
    finally:
        loop.remove_writer(descriptor)


def _resolve(ready: asyncio.Future[None]) -> None:
    if not ready.done():
        ready.set_result(None)
