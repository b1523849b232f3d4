"""Which service a request names: by its key, or as somebody spelled it.

Whoever knows the rules for URLs sends `service`, a key in its canonical spelling or an opaque
string. A small client, or one that passes on what another program says, sends `spelling`: a URL in
any spelling stands for its key, and all else (a URL that no credential may go to, too) is opaque.
"""

from __future__ import annotations

from typing import NamedTuple

from tokenward_agent.failure import Failure
from tokenward_agent.store.lookup import candidates
from tokenward_agent.store.stored_origins import origin
from tokenward_protocol.urls import ServiceError, is_canonical, parse, strip_index_suffix

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from tokenward_agent.wire.request import Request


def is_named(request: Request) -> bool:
    """Tell whether a request names a service at all."""
    return request.text("service") is not None or request.text("spelling") is not None


def named(request: Request) -> str:
    """Return what the request calls its service. Raises Failure unless it does so once."""
    service, spelling = request.text("service"), request.text("spelling")
    if (service is None) is (spelling is None):
        raise Failure("bad-request", "A request names its service by `service` or by `spelling`.")
    return str(service if spelling is None else spelling)


class Wanted(NamedTuple):
    """Whose entries may answer a request.

    `places` are the services, the best first; `beside` the origins at which the only entry of a user
    who was named does else; `origins` all that an answer could be stored under.
    """

    places: Iterable[str]
    beside: tuple[str, ...]
    origins: tuple[str, ...]


def wanted(request: Request) -> Wanted:
    """Return whose entries may answer the request. Raises Failure."""
    name = named(request)
    key = name if request.text("spelling") is None and "://" in name else _key(name)
    if key and "/" not in key.partition("://")[2]:
        require_canonical(key)  # where the host ends is not to be guessed
    if key:
        here = origin(key)
        return Wanted(candidates(key), (here,), (here,))
    beside = _plain_origins(name)
    return Wanted((name,), beside, (name, *beside))


def places(request: Request) -> Iterable[str]:
    """Return the services whose entries may answer the request, the best first. Raises Failure."""
    return wanted(request).places


def _plain_origins(name: str) -> tuple[str, ...]:
    """Return where `host:port` may have an entry that answers for it: at http alone.

    uv asks by `host:port` for URLs of either scheme. A secret that was stored for https might then
    go to an http URL; one that was stored for http has gone there ever since.
    """
    host, colon, port = name.rpartition(":")
    if not colon or not port.isdigit() or any(mark in name for mark in "/@?#"):
        return ()
    key = _key(f"http://{host}:{port}/")
    return (origin(key),) if key else ()


def stored_as(request: Request) -> str:
    """Return the service of the entry that a change is about, without `/simple/`. Raises Failure."""
    return changed(request)[1]


def changed(request: Request) -> tuple[str, str]:
    """Return what a change is about as it was spelled, and without `/simple/`. Raises Failure.

    Both are one where the service is named by its key: then whoever asks has decided.
    """
    name = named(request)
    if request.text("spelling") is None:
        require_canonical(name)
        return name, name
    key = _key(name) or name
    return key, strip_index_suffix(key)


def require_canonical(service: str) -> None:
    """Raise Failure for a URL that is no key: its rules are the client's to know."""
    if "://" in service and not is_canonical(service):
        raise Failure("bad-request", "The service is not in its canonical spelling.")


def _key(spelling: str) -> str | None:
    """Return the key of a URL that a credential may go to, None for everything else."""
    if "://" not in spelling:
        return None
    try:
        return parse(spelling).key
    except ServiceError:
        return None
