"""What `auth share --relay` opens: a socket behind which commands use credentials and hold none.

The agent is told each index, then opens the socket for all of them. Uploads go to the first, for the
projects that are named; without a name nothing may be published. near_end.py is the other side.
"""

from __future__ import annotations

from tokenward.credentials import lookup, unlocking
from tokenward.errors import CommandError
from tokenward_protocol.shares import read_tunnel
from tokenward_protocol.urls import FIXED, display

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from tokenward.session import Session
    from tokenward.settings.service_names import Service


def tunnel(text: str) -> str:
    """Return a HOST or HOST:PORT as the agent reads it; without a port it is that of https.

    Raises CommandError.
    """
    try:
        return read_tunnel(text)
    except ValueError:
        pass
    raise CommandError("A tunnel is a HOST or HOST:PORT.", "`--tunnel files.example`")


def open_share(
    services: Sequence[Service],
    projects: Sequence[str],
    session: Session,
    *,
    read_only: bool,
    **arguments: Any,
) -> dict[str, Any]:
    """Open a relay share for these indexes and return what the agent says of it.

    `arguments` are those of the request. Raises CommandError.
    """
    for service in services:
        session.agree_to(service, "Share its credential?", "Nothing is shared.")
    for service in services:
        uploads = bool(projects) and not read_only and service is services[0]
        _add(service, projects if uploads else (), session)
    return unlocking.ask(session, "share", offer=True, relay=True, **arguments).header


def _add(service: Service, projects: Sequence[str], session: Session) -> None:
    """Add one index to the share."""
    found = False
    if projects:
        target = service.for_uploads
        path = "/" + target.url.partition("://")[2].partition("/")[2]
        found = _grant(session, target, upload=path, projects=" ".join(projects))
    if service.key not in FIXED.values():
        found = _grant(session, service) or found
    elif not projects:
        raise CommandError(
            f"Everyone may read from {display(service.key)}, and this share publishes nothing there.",
            "`--project NAME` lets its commands publish NAME",
        )
    if not found:
        raise CommandError(
            f"No credential for {display(service.publish_key)} is stored, so nothing is shared.",
            f"`auth login {service.name or service.key}`",
        )


def _grant(session: Session, service: Service, **more: str) -> bool:
    """Have the agent add what is stored for a service; return whether something is."""
    known = {"name": service.name or display(service.key), "url": service.url}
    arguments = {**known, "shared": True, **more}
    username = service.username or None
    return lookup.ask_agent(session, "grant", service, username, arguments, offer=True) is not None
