"""Every entry of the vaults that are open or can be opened, without its secret."""

from __future__ import annotations

from tokenward.transport.connect import AgentError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from tokenward.session import Session
    from tokenward.transport.connect import Answer


def list_stored(session: Session) -> tuple[list[dict[str, Any]], list[str]]:
    """Return the entries as `list` answers them, and the providers of closed vaults.

    A vault that is closed but not locked is opened if possible. Raises AgentError.
    """
    entries, closed = list_all(session.ask_once)
    if closed:
        from tokenward.credentials import unlocking

        refused = AgentError("locked", "It is not open.", "", {"vaults": closed})
        if unlocking.reopen(session, refused, offer=False):
            entries, closed = list_all(session.ask_once)
    return entries, closed


def list_all(ask: Callable[..., Answer]) -> tuple[list[dict[str, Any]], list[str]]:
    """Return every entry of the open vaults, and the providers of the closed ones."""
    entries: list[dict[str, Any]] = []
    after = 0
    while True:
        header = ask("list", after=after).header
        entries += header["entries"]
        if header["next"] is None:
            return entries, [str(provider) for provider in header["closed"]]
        after = header["next"]
