"""The store of `uv auth`: `credentials.toml`. A removal removes the whole entry.

https://docs.astral.sh/uv/concepts/authentication/cli/
"""

from __future__ import annotations

import os

from tokenward.files import toml
from tokenward.files.reading import parse_toml
from tokenward.sources.found import ForeignCredential, at_url
from tokenward_protocol.urls import mask

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from tokenward.files.draft import Span
    from tokenward.sources.found import KnownIndexes


def files(environ: Mapping[str, str], home: str) -> list[str]:
    """Return the path of the file in which `uv auth login` stores credentials."""
    data = environ.get("XDG_DATA_HOME", "")
    folder = environ.get("UV_CREDENTIALS_DIR") or (
        f"{data if os.path.isabs(data) else f'{home}/.local/share'}/uv/credentials"
    )
    return [os.path.join(os.path.abspath(folder), "credentials.toml")]


def look(text: str, path: str, _known: KnownIndexes) -> list[ForeignCredential]:
    """Return the credentials that uv would find. Raises CommandError."""
    entries = parse_toml(text.encode(), path).get("credential", [])
    spans: dict[int, list[Span]] = {}
    for setting in toml.settings(text):
        if setting.names[:1] == ("credential",):
            spans.setdefault(setting.number, []).extend(setting.spans)
    found: list[ForeignCredential] = []
    for number, entry in enumerate(entries if isinstance(entries, list) else ()):
        if isinstance(entry, dict) and (one := _entry(entry, spans.get(number, []))):
            found.append(one)
    return found


def _entry(entry: dict[str, Any], spans: list[Span]) -> ForeignCredential | None:
    service, username = str(entry.get("service", "")), entry.get("username")
    secret = entry.get("password") or entry.get("token")
    if not isinstance(secret, str):
        return None
    place = mask(service).replace("***@", "")
    if entry.get("scheme") == "bearer":
        problem = f"{place} has a bearer token, which has no user name."
        hint = "`auth login` stores it, if the index accepts it as an API token"
        return ForeignCredential(place, (), None, secret, spans, problem=problem, hint=hint)
    return at_url(place, service, username if isinstance(username, str) else None, secret, spans)
