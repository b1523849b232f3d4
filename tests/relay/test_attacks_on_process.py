"""Every attack of tests/relay/attacks, sent to a real relay by TCP and TLS.

The core's own test proves what is decided; this one, that the process decides so of what a socket
brings, and sends to an index what it decided. All attacks go to one relay, which has to go on.

A tool here sends all it has, ends its side, and reads until the relay ends the other: what the
relay will not answer is over at once, and no test waits for a limit of time.
"""

from __future__ import annotations

import contextlib
import re
import socket
import ssl
from typing import TYPE_CHECKING

import pytest

from support.relay.attacks import Attack, fill, judge, load
from support.relay.core import GRANTS
from support.relay_process.indexes import Indexes
from support.relay_process.served import BASIC, SECRET, RelayProcess, Tool

if TYPE_CHECKING:
    from collections.abc import Iterator

LOOPBACK_URL = b"/upload"
"""What the loopback URL has before the path at the index."""

AS_THE_ATTACKS_WANT = """
from functools import partial
from tokenward_relay import exchange, tool_stream
exchange.FormReader = partial(exchange.FormReader, max_file=1 << 20)
tool_stream.ToolStream.has_hung_up = lambda _: False
"""
"""A file is too large at a size that a test can send. And a tool that has ended its side, or sent
more than one request, is still there: else that alone would stop each upload, whatever is in it."""


@pytest.fixture(scope="module")
def run() -> Iterator[tuple[RelayProcess, Indexes]]:
    """A relay with the grants of the core's test, for which every way out ends at our indexes."""
    with Indexes() as indexes:
        grants = [
            grant if grant.scheme == "https" else grant._replace(port=indexes.port)
            for grant in GRANTS
        ]
        out = indexes.proxy.encode()
        with RelayProcess(
            *grants,
            patch=AS_THE_ATTACKS_WANT,
            proxies=b"\n%b\n%b" % (out, out),
            ca=indexes.ca,
            proxy=indexes.proxy,
        ) as relay:
            yield relay, indexes


@pytest.mark.parametrize("attack", load(), ids=lambda attack: f"{attack.name} ({attack.way})")
def test_an_attack_on_the_process_comes_to_what_it_should(
    attack: Attack, run: tuple[RelayProcess, Indexes]
) -> None:
    relay, indexes = run
    indexes.seen.clear()
    relay.asked.clear()
    attack = at_port(attack, indexes.port)
    status = status_of(relay, attack)
    assert indexes.broken == []
    judge(attack, status, indexes.seen, BASIC, relay.capability)
    asked = [question for question in relay.asked if question["ask"] == "publish"]
    assert not asked or attack.expect != "nothing", "the user is asked about what is refused"
    assert relay.capability.decode() not in relay.shown
    assert SECRET.decode() not in relay.shown


def at_port(attack: Attack, port: int) -> Attack:
    """Return an attack for the port that the index at http has here."""
    old, new = b"127.0.0.1:8080", b"127.0.0.1:%d" % port
    there = tuple(text.replace(old, new) for text in attack.there)
    return attack._replace(raw=attack.raw.replace(old, new), there=there)


def status_of(relay: RelayProcess, attack: Attack) -> int:
    """Send an attack by its way; return the status of the last answer, 0 if there was none."""
    raw = fill(attack.raw, relay.capability, relay.port, LOOPBACK_URL)
    with relay.tool() as tool:
        if attack.way not in {"tunnel", "connect"}:
            return last_status(tool, raw)
        inside, name = raw, attack.sni or attack.to.partition(":")[0]
        if attack.way == "connect":
            opening, inside = raw, fill(attack.inside, relay.capability, relay.port)
        else:
            opening = f"CONNECT {attack.to} HTTP/1.1\r\nHost: {attack.to}\r\n".encode()
            opening += tool.proof() + b"\r\n" + attack.early
        tool.send(opening)
        if (opened := last_of(tool.head())) != 200:
            return opened
        try:
            tool.sock = trusting(relay).wrap_socket(tool.sock, server_hostname=name)
        except (ssl.SSLError, ConnectionError):
            return 0
        return last_status(tool, inside, attack.pieces)


def last_status(tool: Tool, raw: bytes, pieces: int = 0) -> int:
    """Send bytes, so many at once, and no more; return the status of the last answer to them."""
    at_once = pieces or len(raw)
    with contextlib.suppress(ConnectionError, ssl.SSLEOFError):  # it may answer before the end
        for at in range(0, len(raw), at_once):
            tool.send(raw[at : at + at_once])
        socket.socket.shutdown(tool.sock, socket.SHUT_WR)  # below TLS, whose own would end both
    answers = b""
    with contextlib.suppress(ssl.SSLError):  # the relay's TLS says last that ours has no end
        while more := tool.recv():
            answers += more
    return last_of(answers)


def last_of(answers: bytes) -> int:
    """Return the last status in answers, 0 without one: only the last has a body, of one line."""
    found: list[bytes] = re.findall(rb"^HTTP/1\.1 (\d{3}) ", answers, re.MULTILINE)
    return int(found[-1]) if found else 0


def trusting(relay: RelayProcess) -> ssl.SSLContext:
    """Return a tool's side of TLS: it trusts this run, and does not look at the name."""
    context = ssl.create_default_context(cadata=relay.authority.decode())
    context.check_hostname = False
    return context
