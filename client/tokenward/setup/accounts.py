"""The known user names of indexes, which a tool must be told before it asks a keyring.

They come from config.toml, ~/.pypirc, and the list of a running agent. Never a guess: if an index
has two, it has none.
"""

from __future__ import annotations

from tokenward_protocol.urls import FIXED, ServiceError, parse_service_url, strip_index_suffix

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable


class Accounts:
    """Pairs of a service's URL, in any spelling, and a user name."""

    def __init__(self, pairs: Iterable[tuple[str, str]] = ()) -> None:
        self._names: dict[str, set[str]] = {}
        for url, username in pairs:
            if key := _key(url):
                self._names.setdefault(key, set()).add(username)

    def of(self, url: str) -> str | None:
        """Return the user name for a URL: of the longest path above it, `__token__` first."""
        key = _key(url)
        if key is None:
            return None
        if key in FIXED.values():
            return "__token__"
        above = [known for known in self._names if key.startswith(known)]
        names = self._names[max(above, key=len)] if above else set()
        if "__token__" in names:
            return "__token__"
        return next(iter(names)) if len(names) == 1 else None


def _key(url: str) -> str | None:
    try:
        return strip_index_suffix(parse_service_url(url).key)
    except ServiceError:
        return None
