"""How runs reach their indexes, by the user's `config.toml` alone.

    ca = "/etc/ssl/company.pem"     # certificates that are trusted besides the system's
    proxy = "http://proxy.example:3128"

    [services.corp]
    url = "https://index.example/corp/simple/"
    kind = "gitlab"                 # brings the paths of packages of that kind of index
    also-read = ["/files/"]         # more paths of that host that a run may read
    pass = ["/api/search/"]         # paths that pass without the credential, as the tool asks

No project's file and no request can set them: the proxy and the certificates decide who gets the
credential. Pure.
"""

from __future__ import annotations

from typing import NamedTuple

from tokenward_protocol import urls
from tokenward_protocol.index_endpoint import origin
from tokenward_protocol.proxy_url import parse_proxy_url
from tokenward_protocol.urls import key_of, strip_index_suffix

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any, Final


KINDS: Final = ("azure", "devpi", "gitlab")
"""Kinds of index that have packages at more paths than one."""


class IndexPaths(NamedTuple):
    """What is said of one index: its kind, and paths that begin and end with a slash."""

    kind: str = ""
    also_read: tuple[str, ...] = ()
    passes: tuple[str, ...] = ()


class RelaySettings(NamedTuple):
    """`ca` is an absolute path, `proxy` a URL, "" for none; `indexes` are by service key.

    `kinds` are those of indexes by scheme, host and port.
    """

    ca: str = ""
    proxy: str = ""
    indexes: tuple[tuple[str, IndexPaths], ...] = ()
    kinds: tuple[tuple[str, str], ...] = ()

    def paths_of(self, service: str) -> IndexPaths:
        """Return what is said of an index."""
        return next((paths for key, paths in self.indexes if key == service), IndexPaths())

    def kind_at(self, service: str) -> str:
        """Return the kind that the user's file gives to the index at this origin, "" for none."""
        return next((kind for where, kind in self.kinds if where == origin(service)), "")


def read_relay_settings(table: Mapping[str, Any]) -> RelaySettings:
    """Return what a parsed config.toml says.

    Raises ValueError with the problem, worded to follow the file's name.
    """
    ca, proxy = table.get("ca", ""), table.get("proxy", "")
    if not isinstance(ca, str) or (ca and not ca.startswith("/")):
        raise ValueError("has a `ca` that is not an absolute path")
    if not isinstance(proxy, str) or (proxy and not _is_proxy(proxy)):
        raise ValueError("has a `proxy` that is not a URL with http://, socks5:// or socks5h://")
    services = table.get("services", {})
    found: list[tuple[str, IndexPaths]] = []
    kinds: list[tuple[str, str]] = []
    for name, entry in services.items() if isinstance(services, dict) else ():
        if not isinstance(entry, dict):
            continue
        kind = entry.get("kind")
        if kind in urls.KINDS:
            kinds += [(origin(key), kind) for key in _keys(entry)]
        paths = IndexPaths(
            kind if kind in KINDS else "",
            _read_paths(entry, "also-read", name),
            _read_paths(entry, "pass", name),
        )
        if paths != IndexPaths():
            found += [(key, paths) for key in _keys(entry)]
    return RelaySettings(ca, proxy, tuple(found), tuple(kinds))


def _is_proxy(url: str) -> bool:
    try:
        parse_proxy_url(url)
    except ValueError:
        return False
    return "://" in url


def _read_paths(entry: Mapping[str, Any], key: str, name: str) -> tuple[str, ...]:
    paths = entry.get(key, [])
    if not isinstance(paths, list) or not all(
        isinstance(path, str) and path.startswith("/") and path.endswith("/") for path in paths
    ):
        shown = f"`services.{name}.{key}`" if name.isidentifier() else f"`{key}`"
        raise ValueError(f"has a {shown} that is not a list of paths such as /files/")
    return tuple(paths)


def _keys(entry: Mapping[str, Any]) -> set[str]:
    """Return the services that an entry is about."""
    urls = (entry.get("url"), entry.get("publish-url"))
    keys = [key_of(url) for url in urls if isinstance(url, str)]
    return {strip_index_suffix(key) for key in keys if key}
