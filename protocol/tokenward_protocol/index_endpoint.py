"""An index as its users' requests see it: its kind, the URL of its API, the page for its users.

The kind comes from what the user configured, from the URL (a vendor's host, a product's path) and
from a token's prefix; no request is made to find it out. Later requests go only to the scheme, host
and port that the credential is stored for: if a vendor's API has another host, only the page is
offered.

Pure.
"""

from __future__ import annotations

import re

from tokenward_protocol.light import Record
from tokenward_protocol.urls import ANACONDA, DEVPI, GITLAB, JFROG, PAGES

WAREHOUSE, OTHER = "pypi", ""
"""Kinds that need no configuration: PyPI and TestPyPI, and any other index."""

REVOCABLE = frozenset({GITLAB, JFROG, ANACONDA})
"""The kinds of index whose API may revoke a token for its holder (index_revocation.py)."""

_GITLAB = re.compile(r"(.*?)/api/v4/(?:projects|groups)/[^/]+/(?:-/)?packages/pypi/")
_JFROG = re.compile(r"(.*?)/artifactory/(?:api/pypi/)?")
_ANACONDA_PAGE = "https://anaconda.org/settings/access"


class IndexEndpoint(Record):
    """An index: its `kind`, the URL before its API's paths, and a page for users, or ""."""

    kind: str
    base: str
    page: str = ""


def endpoint_of(key: str, configured: str = "", secret: str = "") -> IndexEndpoint:
    """Return the place of a service by its key; `configured` is the kind that the user gave it."""
    if key in PAGES:
        return IndexEndpoint(WAREHOUSE, origin(key), PAGES[key])
    if "://" not in key:
        return IndexEndpoint(OTHER, "")
    kind = configured or _kind_by_url(key) or _kind_by_prefix(secret)
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
