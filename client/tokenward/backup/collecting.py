"""Collecting every credential for an export, and storing those of an export.

Each secret is fetched by exactly its service and user name. An adopted credential is exported
without a secret, because its home is a keyring. An export is complete or is not made, except for
sealed credentials: they are never shown, and reported as left out. A restore keeps what is stored,
unless the user says `--replace`; expired credentials are left out.
"""

from __future__ import annotations

from tokenward.backup.file_format import ExportEntry
from tokenward.credentials import storing
from tokenward.credentials.bulk_store import FAILED, ImportOutcome
from tokenward.credentials.listing import list_stored
from tokenward.credentials.storing import fetch_stored
from tokenward.errors import CommandError
from tokenward.ui.formatting import capitalise, credential_text, join_words

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from tokenward.credentials.bulk_store import Takeover
    from tokenward.session import Session

EXPIRED = "expired"


def collect(session: Session) -> list[ExportEntry]:
    """Return every credential. Raises CommandError if some cannot be seen."""
    described, closed = list_stored(session)
    if closed:
        names = join_words([f"`{provider}`" for provider in closed])
        raise CommandError(
            f"The vault of {names} is not open, so its credentials cannot be exported.",
            "`auth unlock`",
        )
    if not described:
        raise CommandError("Nothing is stored, so there is nothing to export.", "`auth login`")
    for one in described:
        if one["sealed"]:
            what = credential_text(one["username"], one["service"])
            session.terminal.warn(f"Not exported, because it is sealed: {what}.")
    shown = [one for one in described if not one["sealed"]]
    return [entry for one in shown if (entry := _with_secret(session, one))]


def _with_secret(session: Session, one: dict[str, Any]) -> ExportEntry | None:
    """Return an entry of `list` with its secret; None if it was removed in the meantime."""
    service, username = one["service"], one["username"]
    secret = None
    if not one["adopted"]:
        secret = fetch_stored(session, service, username, None)
        if secret is None:
            return None
    return ExportEntry(service, username, one["created"], one["expires"], one["provider"], secret)


def bring_back(takeover: Takeover, entry: ExportEntry, now: int) -> ImportOutcome:
    """Store one again; `now` is in seconds since 1970. Its own errors are in the outcome."""
    if entry.secret is None:
        return takeover.adopt(entry.service, entry.username, entry.provider)
    lifetime = None if entry.expires is None else entry.expires - now
    name = credential_text(entry.username, entry.service)
    over = ImportOutcome(EXPIRED, f"Not restored, because it has expired: {name}.")
    if lifetime is not None and lifetime <= 0:
        return over
    try:
        body, _ = storing.check_secret_for((entry.service,), entry.username, entry.secret)
    except storing.ExpiredError:
        return over
    except CommandError as refused:
        return ImportOutcome(
            FAILED, f"{capitalise(name)} was not restored: {refused}", refused.hint
        )
    return takeover.take(entry.service, entry.username, body, lifetime=lifetime)
