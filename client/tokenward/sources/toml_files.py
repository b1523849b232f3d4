"""The store of `uv auth`, credentials.toml, and Poetry's auth.toml.

uv: a removal removes the whole entry. Poetry: `[http-basic.NAME]`, `[pypi-token]`; a removal removes
the secret's line. NAME is defined in `[repositories.NAME]` of the config.toml beside it, else in the
files that define names for us. `username` stays: Poetry itself leaves it if a keyring has the
password.

https://docs.astral.sh/uv/concepts/authentication/cli/
https://python-poetry.org/docs/repositories/#configuring-credentials
"""

from __future__ import annotations

import os
import sys

from tokenward.errors import CommandError
from tokenward.files import toml
from tokenward.files.reading import parse_toml, read
from tokenward.settings import directories
from tokenward.sources.found import ForeignCredential, at_url
from tokenward_protocol.urls import mask

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from typing import Any

    from tokenward.files.draft import Span
    from tokenward.sources.found import KnownIndexes


def uv_files(environ: Mapping[str, str], home: str) -> list[str]:
    """Return the path of the file in which `uv auth login` stores credentials."""
    data = environ.get("XDG_DATA_HOME", "")
    folder = environ.get("UV_CREDENTIALS_DIR") or (
        f"{data if os.path.isabs(data) else f'{home}/.local/share'}/uv/credentials"
    )
    return [os.path.join(os.path.abspath(folder), "credentials.toml")]


def look_in_uv(text: str, path: str, _known: KnownIndexes) -> list[ForeignCredential]:
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


_USER = "__token__"


def poetry_files(environ: Mapping[str, str], home: str) -> list[str]:
    """Return where Poetry keeps secrets without a keyring."""
    folder = environ.get("POETRY_CONFIG_DIR")
    if not folder and sys.platform == "darwin":
        folder = f"{home}/Library/Application Support/pypoetry"
    if not folder:
        folder = f"{directories.config_base(environ, home)}/pypoetry"
    return [os.path.join(os.path.abspath(folder), "auth.toml")]


def look_in_poetry(text: str, path: str, known: KnownIndexes) -> list[ForeignCredential]:
    """Return the credentials that Poetry would find. Raises CommandError."""
    urls = poetry_repositories(path)
    settings = parse_toml(text.encode(), path)
    spans = {setting.names: setting.spans for setting in toml.settings(text)}
    found: list[ForeignCredential] = []
    for names, username, secret in _secrets(settings):
        place, name = ".".join(names[:2]), names[1]
        url = urls.get(name) or known.key_of_name(name)
        if url:
            found.append(at_url(place, url, username, secret, spans.get(names, ())))
            continue
        found.append(
            ForeignCredential(
                place,
                (),
                username,
                secret,
                spans.get(names, ()),
                problem=f"No file of yours gives the URL of the index {name}.",
                hint=f"give it to Poetry: `poetry config repositories.{name} URL`",
            )
        )
    return found


def poetry_repositories(auth: str) -> dict[str, str]:
    """Return the URLs of the names in the config.toml beside `auth`. Raises CommandError."""
    path = os.path.join(os.path.dirname(auth), "config.toml")
    data = read(path)
    tables = parse_toml(data or b"", path).get("repositories", {})
    if not isinstance(tables, dict):
        raise CommandError(f"`repositories` in {path} is not a table.")
    return {
        name: url
        for name, table in tables.items()
        if isinstance(table, dict) and isinstance(url := table.get("url"), str)
    }


def _secrets(settings: dict[str, Any]) -> Iterator[tuple[tuple[str, ...], str, str]]:
    """Yield the names that lead to each secret, its user name, and the secret."""
    basic, tokens = settings.get("http-basic"), settings.get("pypi-token")
    for name, table in basic.items() if isinstance(basic, dict) else ():
        if isinstance(table, dict) and isinstance(secret := table.get("password"), str) and secret:
            username = table.get("username")
            user = username if isinstance(username, str) else ""
            yield ("http-basic", name, "password"), user, secret
    for name, secret in tokens.items() if isinstance(tokens, dict) else ():
        if isinstance(secret, str) and secret:
            yield ("pypi-token", name), _USER, secret
