"""Where an index is asked, by the kind that the user's file gives it."""

from __future__ import annotations

from tokenward_protocol import index_endpoint
from tokenward_protocol.index_endpoint import origin
from tokenward_protocol.urls import key_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from tokenward.settings.service_names import Definition
    from tokenward_protocol.index_endpoint import IndexEndpoint


def endpoint_of(
    key: str, definitions: Iterable[Definition] = (), secret: str = ""
) -> IndexEndpoint:
    """Return the place of a service by its key; `definitions` are those of config.toml."""
    kind = _configured_kind(key, definitions) if "://" in key else ""
    return index_endpoint.endpoint_of(key, kind, secret)


def _configured_kind(key: str, definitions: Iterable[Definition]) -> str:
    """Return the kind that the user's file gives to the index at this origin."""
    for found in definitions:
        known = [key_of(url) for url in (found.url, found.publish_url) if url]
        if found.kind and origin(key) in [origin(each) for each in known if each]:
            return found.kind
    return ""
