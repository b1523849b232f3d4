"""`oidc` of a service in config.toml: how the index makes tokens for a CI job (indexes/oidc.py).

    [services.corp]
    url = "https://corp.jfrog.io/artifactory/api/pypi/python/simple/"
    username = "ci"
    oidc = { kind = "jfrog", audience = "jfrog-github", provider = "github" }

    oidc = { kind = "cloudsmith", audience = "AUDIENCE", organization = "acme", account = "ci-x1" }
    oidc = { kind = "warehouse", audience = "index.example" }

The audience of PyPI is refused for every other index.
"""

from __future__ import annotations

from tokenward.errors import CommandError
from tokenward.settings.service_names import CLOUDSMITH, OIDC_KINDS, Oidc
from tokenward_protocol.urls import FIXED, JFROG

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_NEEDED = {JFROG: ("provider",), CLOUDSMITH: ("organization", "account")}
_OPTIONAL = {CLOUDSMITH: ("api",)}
_PLAIN = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-")


def read_oidc(table: Any, where: str, path: str, username: str | None) -> Oidc:
    """Judge an `oidc` of config.toml. Raises CommandError."""
    name = f"`{where}oidc` in {path}"
    if not isinstance(table, dict) or not all(isinstance(each, str) for each in table.values()):
        raise CommandError(f"{name} is not a table of texts.")
    kind = table.get("kind")
    if kind not in OIDC_KINDS:
        raise CommandError(f"{name} has no known `kind`.", f"it is one of {', '.join(OIDC_KINDS)}")
    needed = ("kind", "audience", *_NEEDED.get(kind, ()))
    for key in needed:
        if not table.get(key):
            raise CommandError(f"{name} has no `{key}`.", f"{kind} needs {', '.join(needed)}")
    for key in table:
        if key not in (*needed, *_OPTIONAL.get(kind, ())):
            raise CommandError(f"{name} has an unknown key `{key}`.")
    if table["audience"].strip().lower() in FIXED:
        raise CommandError(
            f"{name} has an `audience` that is PyPI's.",
            "an identity token for that would be accepted by PyPI",
        )
    if kind == JFROG and not username:
        raise CommandError(
            f"{name} needs `username` beside it.", "it is the user of the identity mapping"
        )
    if not _PLAIN.issuperset(table.get("organization", "")):
        raise CommandError(f"{name} has an `organization` that is not a plain word.")
    if not table.get("api", "https://").startswith("https://"):
        raise CommandError(f"{name} has an `api` that is not a URL with https.")
    return Oidc(**table)
