"""The relay of one run, as a process: `work` is the job of a worker (tokenward_agent/worker).

The worker is hardened before this module is imported, and has read the job. The port is open and
told before the libraries for HTTP are imported: the first connections wait in the listener's queue
while CMD itself still starts.
"""

from __future__ import annotations

import os
import socket
import threading

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, NoReturn

    Header = dict[str, Any]

_BACKLOG = 128


def listen() -> socket.socket:
    """Return the listener, at a free port of the loopback address."""
    return socket.create_server(("127.0.0.1", 0), backlog=_BACKLOG)


def work(header: Header, secret: bytes, listener: socket.socket, stderr: int) -> NoReturn:
    """Serve until the agent closes its pipe; the answer with the port has been sent.

    `secret` is the capability and the two proxies of the run, https and http, each after a line
    end; `stderr` is a descriptor where refusals are told.
    """
    from tokenward_relay.agent_link import AgentLink
    from tokenward_relay.grants import Grant
    from tokenward_relay.leaf import Leaf
    from tokenward_relay.proxies import Proxies, read_proxy, read_without
    from tokenward_relay.run_state import RunState
    from tokenward_relay.server import Server

    capability, https, http = (*secret.split(b"\n"), b"", b"")[:3]
    link = AgentLink(0, 1)
    run = RunState(
        link,
        tuple(Grant.from_map(each) for each in header["grants"]),
        listener.getsockname()[1],
        capability,
        {host: Leaf(host, pem) for host, pem in header["leaves"].items()},
        header["spool"],
        stderr,
        header["ca"],
        Proxies(read_proxy(header["proxy"].encode()), None, ()),
        Proxies(read_proxy(https), read_proxy(http), read_without(header["direct"])),
    )
    threading.Thread(target=Server(listener, run, header["uid"]).serve, daemon=True).start()
    link.read_answers(run.credentials.forget)
    run.credentials.forget()
    os._exit(0)  # no thread may finish what it does
