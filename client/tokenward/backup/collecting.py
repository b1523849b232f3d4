"""Everything that is stored, from the agent into an export and back.

Each secret is fetched by its own service and user name, and nothing else is taken for it. What was
adopted is exported without a secret, since its home is a keyring. An export is complete or there
is none, but for what is sealed: that is never shown, and it is said that it is left out. A restore keeps what is there: equal ones stay, others too unless the user says `--replace`;
what has expired is left out.
"""

from __future__ import annotations

from tokenward.backup.file_format import Entry
from tokenward.credentials import token_format
from tokenward.credentials.bulk_store import FAILED, Outcome
from tokenward.credentials.listing import stored
from tokenward.credentials.storing import fetched
from tokenward.errors import CommandError
from tokenward.ui.formatting import capital, credential, listed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from tokenward.credentials.bulk_store import Takeover
    from tokenward.session import Session

EXPIRED = "expired"


def collect(session: Session) -> list[Entry]:
    """Return everything that is stored. Raises CommandError where something cannot be seen."""
    described, closed = stored(session)
    if closed:
        names = listed([f"`{provider}`" for provider in closed])
        raise CommandError(
            f"The vault of {names} is not open, so what it holds cannot be exported.",
            "`auth unlock`",
        )
    if not described:
        raise CommandError("Nothing is stored, so there is nothing to export.", "`auth login`")
    for one in described:
        if one["sealed"]:
            what = credential(one["username"], one["service"])
            session.terminal.warn(f"Not exported, for it is sealed: {what}.")
    shown = [one for one in described if not one["sealed"]]
    return [entry for one in shown if (entry := _with_secret(session, one))]


def _with_secret(session: Session, one: dict[str, Any]) -> Entry | None:
    """Return an entry of `list` with its secret; None if it has gone in the meantime."""
    service, username = one["service"], one["username"]
    secret = None
    if not one["adopted"]:
        secret = fetched(session, service, username, None)
        if secret is None:
            return None
    return Entry(service, username, one["created"], one["expires"], one["provider"], secret)


def bring_back(takeover: Takeover, entry: Entry, now: int) -> Outcome:
    """Store one again; `now` is in seconds since 1970. What concerns it alone is in the outcome."""
    if entry.secret is None:
        return takeover.adopt(entry.service, entry.username, entry.provider)
    lifetime = None if entry.expires is None else entry.expires - now
    name = credential(entry.username, entry.service)
    over = Outcome(EXPIRED, f"Not restored, for it has expired: {name}.")
    if lifetime is not None and lifetime <= 0:
        return over
    try:
        body, _ = token_format.checked((entry.service,), entry.username, entry.secret)
    except token_format.ExpiredError:
        return over
    except CommandError as refused:
        return Outcome(FAILED, f"{capital(name)} is not restored: {refused}", refused.hint)
    return takeover.take(entry.service, entry.username, body, lifetime=lifetime)
