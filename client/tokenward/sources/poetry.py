"""Poetry's `auth.toml`: `[http-basic.NAME]`, `[pypi-token]`. A removal removes the secret's line.

NAME is defined in `[repositories.NAME]` of the `config.toml` beside it, else in the files that
define names for us. `username` stays: Poetry itself leaves it if a keyring has the password.

https://python-poetry.org/docs/repositories/#configuring-credentials
"""

from __future__ import annotations

import os
import sys

from tokenward.errors import CommandError
from tokenward.files import toml
from tokenward.files.reading import parse_toml, read
from tokenward.sources.found import ForeignCredential, at_url

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from typing import Any

    from tokenward.sources.found import KnownIndexes

_USER = "__token__"


def files(environ: Mapping[str, str], home: str) -> list[str]:
    """Return where Poetry keeps secrets without a keyring."""
    folder = environ.get("POETRY_CONFIG_DIR")
    if not folder and sys.platform == "darwin":
        folder = f"{home}/Library/Application Support/pypoetry"
    if not folder:
        base = environ.get("XDG_CONFIG_HOME", "")
        folder = f"{base if os.path.isabs(base) else f'{home}/.config'}/pypoetry"
    return [os.path.join(os.path.abspath(folder), "auth.toml")]


def look(text: str, path: str, known: KnownIndexes) -> list[ForeignCredential]:
    """Return the credentials that Poetry would find. Raises CommandError."""
    urls = repositories(path)
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


def repositories(auth: str) -> dict[str, str]:
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
