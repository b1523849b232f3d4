"""The kind of index of a service, the URL of its API, and the page on which a user revokes tokens.

The kind comes from the URL (a vendor's host, a product's path), from a token's prefix, and from
`kind` in config.toml; no request is made to find it out. Later requests go only to the scheme, host
and port that the credential is stored for: if a vendor's API has another host, only the page is
offered.
"""

from __future__ import annotations

import re

from tokenward.light import Record
from tokenward.settings.service_names import ANACONDA, DEVPI, GITLAB, JFROG
from tokenward_protocol.urls import PAGES, ServiceError, parse_service_url

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from tokenward.settings.service_names import Definition

WAREHOUSE, OTHER = "pypi", ""
"""Kinds that need no configuration: PyPI and TestPyPI, and any other index."""

REVOCABLE = frozenset({GITLAB, JFROG, ANACONDA})
"""The kinds of index whose API may revoke a token for its holder (revoking.py)."""

_GITLAB = re.compile(r"(.*?)/api/v4/(?:projects|groups)/[^/]+/(?:-/)?packages/pypi/")
_JFROG = re.compile(r"(.*?)/artifactory/(?:api/pypi/)?")
_ANACONDA_PAGE = "https://anaconda.org/settings/access"


class IndexEndpoint(Record):
    """An index: its `kind`, the URL before its API's paths, and a page for users, or ""."""

    kind: str
    base: str
    page: str = ""


def endpoint_of(
    key: str, definitions: Iterable[Definition] = (), secret: str = ""
) -> IndexEndpoint:
    """Return the place of a service by its key; `definitions` are those of config.toml."""
    if key in PAGES:
        return IndexEndpoint(WAREHOUSE, origin(key), PAGES[key])
    if "://" not in key:
        return IndexEndpoint(OTHER, "")
    kind = _configured_kind(key, definitions) or _kind_by_url(key) or _kind_by_prefix(secret)
    if kind == GITLAB:
        base = _path_before(_GITLAB, key)
        return IndexEndpoint(kind, base, f"{base}/-/user_settings/personal_access_tokens")
    if kind == JFROG:
        base = _path_before(_JFROG, key)
        return IndexEndpoint(kind, base, f"{base}/ui/user_profile")
    if kind == ANACONDA:
        hosted = host(key) == "api.anaconda.org"
        base = key.rstrip("/") if hosted or key.endswith("/api/") else f"{origin(key)}/api"
        return IndexEndpoint(kind, base, _ANACONDA_PAGE if hosted else "")
    if kind == DEVPI:
        return IndexEndpoint(kind, key.rstrip("/"))
    return IndexEndpoint(OTHER, key.rstrip("/"), _ANACONDA_PAGE if _is_anaconda(key) else "")


def origin(key: str) -> str:
    """Return scheme, host and port of a key."""
    return "/".join(key.split("/")[:3])


def host(key: str) -> str:
    """Return host and port of a key."""
    return key.split("/")[2]


def _configured_kind(key: str, definitions: Iterable[Definition]) -> str:
    """Return the kind that the user's file gives to the index at this origin."""
    for found in definitions:
        for url in (found.url, found.publish_url):
            try:
                if found.kind and url and origin(parse_service_url(url).key) == origin(key):
                    return found.kind
            except ServiceError:
                continue
    return ""


def _kind_by_url(key: str) -> str:
    name = host(key)
    if name == "gitlab.com" or _GITLAB.match(key):
        return GITLAB
    if name.endswith(".jfrog.io") or "/artifactory/api/pypi/" in key:
        return JFROG
    return ANACONDA if name == "api.anaconda.org" else ""


def _kind_by_prefix(secret: str) -> str:
    if secret.startswith("glpat-"):
        return GITLAB
    return DEVPI if secret.startswith("devpi-") else ""


def _path_before(pattern: re.Pattern[str], key: str) -> str:
    """Return the part before a product's paths, which may be below others of the host."""
    found = pattern.match(key)
    return found[1] if found else origin(key)


def _is_anaconda(key: str) -> bool:
    name = host(key)
    return name == "anaconda.org" or name.endswith(".anaconda.org")
