"""Shares that the user declares: the tables `[[share]]` of `config.toml`.

    [[share]]
    at = "/home/ana/job/tokenward.sock"   # the path of the socket, in a folder that is there
    services = ["pypi", "corp"]           # names of this file, URLs or hosts
    whole = ["corp"]                      # of these, what is handed out as it is stored
    projects = ["mine"]                   # what attenuated tokens are for
    uids = [100999]                       # users that are admitted besides the own one and root
    ttl-each = "15m"                      # how long each token lives; an hour at most, and without it

    [[share]]
    at = "/home/ana/job/relay.sock"
    services = ["corp"]
    relay = true                          # hand out nothing: commands there run behind a relay
    projects = ["mine"]                   # what they may publish, to the first service
    read-only = false
    tunnel = ["files.example"]            # public hosts that they also reach by the network here

Unknown keys and values out of range are refused. Names and URLs are read by who uses them. Pure.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from tokenward_protocol.caveats import normalise_name
from tokenward_protocol.durations import parse_seconds
from tokenward_protocol.folder_trust import ALL_IDS
from tokenward_protocol.index_tokens import DEFAULT_TTL, LEAST_TTL

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any, Final

SHARE: Final = "share"
"""The name of the tables."""

MOST_SHARES: Final = 16
MOST_SERVICES: Final = 32
"""The most shares of a file, and services of a share."""

_KEYS: Final = (
    *("at", "services", "whole", "projects", "uids", "ttl-each"),
    *("relay", "read-only", "tunnel"),
)
_TUNNEL: Final = re.compile(
    r"([A-Za-z0-9](?:[A-Za-z0-9.-]{0,251}[A-Za-z0-9])?)(?::([1-9]\d{0,4}))?"
)


class ShareError(ValueError):
    """A wrong value of `key`; the text says what is wrong, worded to follow the key's name."""

    def __init__(self, key: str, wrong: str) -> None:
        super().__init__(wrong)
        self.key = key


class DeclaredShare(NamedTuple):
    """One table; `services` and `whole` are as written, `ttl` is in seconds, `tunnels` HOST:PORT."""

    at: str
    services: tuple[str, ...]
    whole: tuple[str, ...] = ()
    projects: tuple[str, ...] = ()
    uids: tuple[int, ...] = ()
    ttl: int = DEFAULT_TTL
    relay: bool = False
    read_only: bool = False
    tunnels: tuple[str, ...] = ()


def read_shares(table: Mapping[str, Any]) -> tuple[DeclaredShare, ...]:
    """Return the shares of a parsed `config.toml`.

    Raises ValueError with the problem, worded to follow the file's name.
    """
    entries = table.get(SHARE, [])
    if not isinstance(entries, list) or not all(isinstance(each, dict) for each in entries):
        raise ValueError("has a `share` that is not a list of tables")
    if len(entries) > MOST_SHARES:
        raise ValueError(f"has more than {MOST_SHARES} shares")
    found: list[DeclaredShare] = []
    for number, entry in enumerate(entries, 1):
        try:
            share = _read_share(entry)
            if any(share.at == each.at for each in found):
                raise ShareError("at", "is that of another share")
        except ShareError as error:
            key = f"`{error.key}`" if error.key in _KEYS else "key"
            raise ValueError(f"has a share {number} whose {key} {error}") from None
        found.append(share)
    return tuple(found)


def read_tunnel(text: str) -> str:
    """Return a HOST or HOST:PORT with its port, without one that of https. Raises ValueError."""
    found = _TUNNEL.fullmatch(text)
    if found is None or int(found[2] or 443) >= 1 << 16:
        raise ValueError("is not a HOST or HOST:PORT")
    return f"{found[1].lower()}:{int(found[2] or 443)}"


def _read_share(entry: Mapping[str, Any]) -> DeclaredShare:
    for key in entry:
        if key not in _KEYS:
            raise ShareError(key, "is not a setting of shares")
    at = entry.get("at")
    if not isinstance(at, str) or not at.startswith("/") or "\0" in at:
        raise ShareError("at", "is not an absolute path")
    services = _texts(entry, "services")
    if not 0 < len(services) <= MOST_SERVICES:
        raise ShareError("services", f"does not list 1 to {MOST_SERVICES} services")
    share = DeclaredShare(
        at,
        services,
        _texts(entry, "whole"),
        _projects(entry),
        _uids(entry),
        _ttl(entry),
        _flag(entry, "relay"),
        _flag(entry, "read-only"),
        _tunnels(entry),
    )
    for key in ("whole", "ttl-each") if share.relay else ("read-only", "tunnel"):
        if entry.get(key):
            which = "without" if share.relay else "with"
            raise ShareError(key, f"is for shares {which} `relay = true`")
    if share.read_only and share.projects:
        raise ShareError("read-only", "leaves nothing that `projects` could publish")
    return share


def _texts(entry: Mapping[str, Any], key: str) -> tuple[str, ...]:
    value = entry.get(key, [])
    if not isinstance(value, list) or not all(isinstance(each, str) and each for each in value):
        raise ShareError(key, "is not a list of texts")
    return tuple(dict.fromkeys(value))


def _flag(entry: Mapping[str, Any], key: str) -> bool:
    value = entry.get(key, False)
    if not isinstance(value, bool):
        raise ShareError(key, "is neither true nor false")
    return value


def _projects(entry: Mapping[str, Any]) -> tuple[str, ...]:
    try:
        return tuple(dict.fromkeys(map(normalise_name, _texts(entry, "projects"))))
    except ValueError:
        raise ShareError("projects", "is not a list of names of projects") from None


def _uids(entry: Mapping[str, Any]) -> tuple[int, ...]:
    value = entry.get("uids", [])
    if not isinstance(value, list) or not all(
        type(each) is int and 0 <= each < ALL_IDS for each in value
    ):
        raise ShareError("uids", f"is not a list of user ids, numbers below {ALL_IDS}")
    return tuple(dict.fromkeys(value))


def _ttl(entry: Mapping[str, Any]) -> int:
    value = entry.get("ttl-each")
    try:
        seconds = DEFAULT_TTL if value is None else parse_seconds(value)
    except (ValueError, TypeError):
        raise ShareError("ttl-each", "is not a length of time such as 15m") from None
    if not LEAST_TTL <= seconds <= DEFAULT_TTL:
        raise ShareError("ttl-each", "is not between a minute and an hour")
    return seconds


def _tunnels(entry: Mapping[str, Any]) -> tuple[str, ...]:
    try:
        return tuple(dict.fromkeys(map(read_tunnel, _texts(entry, "tunnel"))))
    except ShareError:
        raise
    except ValueError as error:
        raise ShareError("tunnel", f"has a value that {error}") from None
