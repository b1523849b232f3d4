"""The relay of one run, as a process: `work` is the job of a worker (tokenward_agent/worker).

The worker is hardened before this module is imported, and has read the job. The port is open and
told before the libraries for HTTP are imported: the first connections wait in the listener's queue
while CMD itself still starts. A *spare* relay has no run yet: it imports them first, and then waits for
the message that a run begins with.
"""

from __future__ import annotations

import base64
import contextlib
import ctypes
import os
import resource
import socket
import threading

from tokenward_relay.agent_link import AgentLink

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, NoReturn

    Header = dict[str, Any]

_BACKLOG = 128
_DESCRIPTORS = 4096

_NAME = b"tokenward-relay"
"""What lists of processes show of a relay that has a run; 15 bytes are the most."""

_SET_NAME = 15
"""prctl(2), PR_SET_NAME."""


def work(header: Header, secret: bytes | bytearray, stderr: int) -> NoReturn:
    """Be the relay of one run until the agent closes its channel, which is stdin.

    `header` and `secret` are as in `_serve`. Those of a spare relay follow, and with them the
    descriptor `stderr`, where refusals are told.
    """
    link = AgentLink(socket.socket(fileno=0))
    if header.get("spare"):
        # What serving a run takes.
        from tokenward_relay import leaf, server, shared_tunnels, upstream  # noqa: F401

        try:
            header, secret, stderr = link.read_run()
        except (EOFError, OSError, ValueError):
            os._exit(0)  # there was no run
    try:
        listener, port = _listen(header)
    except OSError as error:
        failure = {"message": f"The relay cannot listen: {error.strerror}.", "hint": "try again"}
        link.tell_start({"ok": False, **failure})
        os._exit(1)
    if "accepted" in header and (failure := _what_is_not_accepted(header, bytes(secret))):
        link.tell_start({"ok": False, **failure})
        os._exit(1)
    ctypes.CDLL(None).prctl(_SET_NAME, _NAME, 0, 0, 0)
    link.tell_start({"ok": True, "port": port})
    _serve(header, bytes(secret), link, listener, port, stderr)


def _listen(header: Header) -> tuple[socket.socket | None, int]:
    """Return the listener, at a free port of the loopback address, and the port.

    A relay of a share has none, but the port of its near end: the agent passes it connections.
    """
    if header["shared"] is not None:
        return None, header["shared"]["port"]
    listener = socket.create_server(("127.0.0.1", 0), backlog=_BACKLOG)
    return listener, listener.getsockname()[1]


def _what_is_not_accepted(header: Header, secret: bytes) -> dict[str, str]:
    """Return why the run's environment may not add to what is trusted, {} if it may."""
    from tokenward_relay.accepted import require_accepted
    from tokenward_relay.grants import Grant
    from tokenward_relay.refusal import Refusal
    from tokenward_relay.upstream import trust

    _, https, _, certificates = _parts(secret)
    grants = tuple(Grant.from_map(each) for each in header["grants"])
    try:
        require_accepted(grants, header["accepted"], certificates, header["proxied"], https)
        trust(header["ca"], certificates)
    except Refusal as refusal:
        return {"message": f"{refusal.text[:1].upper()}{refusal.text[1:]}.", "hint": refusal.hint}
    except (OSError, ValueError):
        return {"message": "The run names what is no certificate.", "hint": ""}
    return {}


def _parts(secret: bytes) -> tuple[bytes, bytes, bytes, tuple[bytes, ...]]:
    """Return the capability, the two proxies, https and http, and the certificates of a run."""
    capability, https, http, *more = (*secret.split(b"\n"), b"", b"")
    return capability, https, http, tuple(base64.b64decode(each) for each in more if each)


def _serve(
    header: Header,
    secret: bytes,
    link: AgentLink,
    listener: socket.socket | None,
    port: int,
    stderr: int,
) -> NoReturn:
    """Serve until the agent closes its channel; the answer with the port has been sent.

    `secret` is the capability, the two proxies of the run, https and http, and certificates in base64,
    each after a line end; `stderr` is a descriptor where refusals are told.
    """
    from tokenward_relay.grants import Grant
    from tokenward_relay.leaf import Leaves
    from tokenward_relay.proxies import Proxies, read_proxy, read_without
    from tokenward_relay.run_state import RunState
    from tokenward_relay.server import Server
    from tokenward_relay.shared_tunnels import Tunnels
    from tokenward_relay.upstream import trust

    _raise_descriptor_limit()
    capability, https, http, certificates = _parts(secret)
    proxied = tuple(header.get("proxied", ()))
    shared = header["shared"]
    run = RunState(
        link,
        tuple(Grant.from_map(each) for each in header["grants"]),
        port,
        capability,
        Leaves(header["leaves"], *header["valid"]),
        header["spool"],
        stderr,
        trust(header["ca"], certificates),
        Proxies(
            read_proxy(header["proxy"].encode()),
            others=dict.fromkeys(proxied, read_proxy(https)),
        ),
        Proxies(read_proxy(https), read_proxy(http), read_without(header["direct"])),
        None if shared is None else Tunnels(shared["tunnels"]),
    )
    server = Server(run)
    if listener is not None:
        serve = (listener, header["uid"])
        threading.Thread(target=server.serve, args=serve, daemon=True).start()

    def take(purpose: str, sock: socket.socket) -> None:
        if purpose == "notices":
            run.tell_at(sock)
            return
        sock.setblocking(True)
        server.take(sock)

    link.read_answers(run.credentials.forget, take)
    run.credentials.forget()
    os._exit(0)  # no thread may finish what it does


def _raise_descriptor_limit() -> None:
    """Take as many descriptors as a relay full of connections needs, as far as allowed."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _DESCRIPTORS if hard == resource.RLIM_INFINITY else min(_DESCRIPTORS, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
