"""Find the service that a request names, by its key or by another spelling, and its session.

A client that knows the URL rules sends `service`: a key in canonical spelling, or an opaque string.
A small client, or one that passes on another program's text, sends `spelling`: a URL in any
spelling stands for its key; any other text, also a URL that no credential may go to, is opaque.

The session is a bus, a display and a terminal, for a worker. Unsafe values of it count as absent: a
bus whose address starts a program (`unixexec:`) or leads to another machine, and text that no
environment variable can hold.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from tokenward_agent.failure import Failure
from tokenward_agent.store.closed_vaults import origin
from tokenward_agent.store.lookup import candidates
from tokenward_protocol.messages import VARIABLES
from tokenward_protocol.urls import is_canonical, key_of, strip_index_suffix

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tokenward_agent.wire.request import Request


def names_service(request: Request) -> bool:
    """Tell whether a request names a service."""
    return request.text("service") is not None or request.text("spelling") is not None


def service_of(request: Request) -> str:
    """Return the text that names the service. Raises Failure unless the request has exactly one."""
    service, spelling = request.text("service"), request.text("spelling")
    if (service is None) is (spelling is None):
        raise Failure(
            "bad-request", "A request must name its service, either by `service` or by `spelling`."
        )
    return str(service if spelling is None else spelling)


class LookupTarget(NamedTuple):
    """The services whose entries may answer a request.

    `places` are services, the best first. `beside` are origins: if no place has an answer, the only
    entry there of the user that the request names answers. `origins` are all that an answer could
    be stored under.
    """

    places: Iterable[str]
    beside: tuple[str, ...]
    origins: tuple[str, ...]


def lookup_target(request: Request) -> LookupTarget:
    """Return the services whose entries may answer the request. Raises Failure."""
    name = service_of(request)
    key = name if request.text("spelling") is None and "://" in name else _key_of(name)
    if key and "/" not in key.partition("://")[2]:
        require_canonical(key)  # the agent does not guess where the host ends
    if key:
        here = origin(key)
        return LookupTarget(candidates(key), (here,), (here,))
    beside = _plain_origins(name)
    return LookupTarget((name,), beside, (name, *beside))


def candidate_services(request: Request) -> Iterable[str]:
    """Return the services whose entries may answer the request, the best first. Raises Failure."""
    return lookup_target(request).places


def _plain_origins(name: str) -> tuple[str, ...]:
    """Return the origin of `host:port` whose entries may answer: the one of http.

    uv uses `host:port` for URLs of both schemes. A secret stored for https could then go to an http
    URL; one that was stored for http goes there anyway.
    """
    host, colon, port = name.rpartition(":")
    if not colon or not port.isdigit() or any(mark in name for mark in "/@?#"):
        return ()
    key = _key_of(f"http://{host}:{port}/")
    return (origin(key),) if key else ()


def stored_service(request: Request) -> str:
    """Return the service of the entry to change, without `/simple/`. Raises Failure."""
    return changed_spellings(request)[1]


def changed_spellings(request: Request) -> tuple[str, str]:
    """Return the service to change as spelled, and without `/simple/`. Raises Failure.

    If the request names it by its key, both are that key: the client has decided.
    """
    name = service_of(request)
    if request.text("spelling") is None:
        require_canonical(name)
        return name, name
    key = _key_of(name) or name
    return key, strip_index_suffix(key)


def require_canonical(service: str) -> None:
    """Raise Failure for a URL that is not a key: the URL rules are the client's task."""
    if "://" in service and not is_canonical(service):
        raise Failure("bad-request", "The service is not in its canonical spelling.")


def _key_of(spelling: str) -> str | None:
    """Return the key of a URL that a credential may go to, None for any other text."""
    return key_of(spelling) if "://" in spelling else None


def session_variables(request: Request) -> dict[str, str]:
    """Return the requester's session as environment variables for a worker."""
    found = ((variable, request.text(name)) for name, variable in VARIABLES.items())
    return {variable: value for variable, value in found if value and _is_fit(variable, value)}


def session_bus(request: Request) -> str:
    """Return the address of the requester's session bus, or ""."""
    return session_variables(request).get(VARIABLES["bus"], "")


def _is_fit(variable: str, value: str) -> bool:
    buses = value.split(";") if variable == VARIABLES["bus"] else ()
    return "\0" not in value and all(bus.startswith("unix:") for bus in buses if bus)
