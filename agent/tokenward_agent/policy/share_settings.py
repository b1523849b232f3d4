"""The shares in the user's `config.toml`, with their services.

A service is `pypi`, `testpypi`, a URL, a host, or a name that the same file defines. No other file
is read, so no project can say what a share is of. Pure.
"""

from __future__ import annotations

from typing import NamedTuple

from tokenward_protocol.shares import DeclaredShare, read_shares
from tokenward_protocol.urls import (
    FIXED,
    ServiceError,
    display,
    is_name,
    parse_service_url,
    strip_index_suffix,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any


class SharedService(NamedTuple):
    """One service of a share: its name, and key and URL for installing and for uploads.

    `username` is the account that the user named in the URL, None for any. `whole`: the stored
    credential itself is handed out.
    """

    name: str
    key: str
    url: str
    publish_key: str
    publish_url: str
    username: str | None
    whole: bool = False

    @property
    def scopes(self) -> tuple[str, ...]:
        """The services that it answers for, with all below them."""
        keys = strip_index_suffix(self.key), strip_index_suffix(self.publish_key)
        return tuple(dict.fromkeys(keys))


class ConfiguredShare(NamedTuple):
    """A share, and what its services are."""

    declared: DeclaredShare
    services: tuple[SharedService, ...]


def read_share_settings(table: Mapping[str, Any]) -> tuple[ConfiguredShare, ...]:
    """Return the shares of a parsed config.toml.

    Raises ValueError with the problem, worded to follow the file's name.
    """
    found = []
    for number, declared in enumerate(read_shares(table), 1):
        try:
            services = [_read_service(text, table) for text in declared.services]
            whole = [_read_service(text, table) for text in declared.whole]
        except ValueError as error:
            raise ValueError(f"has a share {number} with a service that {error}") from None
        if not all(each in services for each in whole):
            raise ValueError(f"has a share {number} whose `whole` has more than its `services`")
        readable = services[1:] if declared.projects else services
        if declared.relay and any(each.key in FIXED.values() for each in readable):
            raise ValueError(f"has a share {number} that publishes nothing to pypi or testpypi")
        marked = (each._replace(whole=each in whole) for each in services)
        found.append(ConfiguredShare(declared, tuple(marked)))
    return tuple(found)


def _read_service(text: str, table: Mapping[str, Any]) -> SharedService:
    """Return a service. Raises ValueError with what is wrong."""
    if text in FIXED:
        key = FIXED[text]
        return SharedService(text, key, key, key, key, None)
    urls = [text]
    if is_name(text):
        named: Any = table.get("services")
        entry = named.get(text) if isinstance(named, dict) else None
        known = [entry.get("url"), entry.get("publish-url")] if isinstance(entry, dict) else []
        urls = [each for each in known if isinstance(each, str)]
        if not urls:
            raise ValueError("is neither a URL nor a name that this file defines")
    try:
        parsed = [parse_service_url(url) for url in urls]
    except ServiceError:
        parsed = []
    if not parsed:
        raise ValueError("is not a URL")
    index, publish = parsed[0], parsed[-1]
    if not is_name(text) and index.password is not None:
        raise ValueError("holds a password")
    username = None if is_name(text) else index.username
    name = text if is_name(text) else display(index.key)
    upload = publish.key if publish.key in FIXED.values() else publish.url
    return SharedService(name, index.key, index.url, publish.key, upload, username)
