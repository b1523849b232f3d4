"""A vault's knowledge of one chain of the audit log, by which changed or lost lines are noticed.

docs/AUDIT.md explains chains. The chain's key is sealed like a secret of a record, under the
vault's data key and bound to the vault and the chain; opening a vault does not open it.
"""

from __future__ import annotations

from typing import NamedTuple

from tokenward_agent.vault.record import LATEST
from tokenward_agent.vault.sealing import KEY_SIZE, OVERHEAD, context

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Final

    from tokenward_agent.vault.sealing import Buffer

    MakeAnchors = Callable[[str, tuple["AuditAnchor", ...], Buffer], tuple["AuditAnchor", ...]]
    """Makes the chains for a vault's next save, from its id, its present chains and its key."""

CHAINS: Final = 600
"""Most chains that a vault vouches for: those of two logs at their longest."""

NAME_DIGITS: Final = 16
MAC_SIZE: Final = 32
_DIGITS: Final = frozenset("0123456789abcdef")


class AuditAnchor(NamedTuple):
    """One chain: its `name` and that of its `log`, 16 hex digits each.

    `key` is the sealed key of the line after the `first` lines. `lines` is the number of the last
    line that the vault knows, `file` the number of that line's file, `mac` its MAC; 0, 0 and b"" if
    it knows none.
    """

    name: str
    log: str
    first: int
    key: bytes
    lines: int
    file: int
    mac: bytes

    def __repr__(self) -> str:
        return f"AuditAnchor({self.name!r}, {self.first} to {self.lines})"


def key_context(vault_id: str, name: str, first: int) -> bytes:
    """Return the context of a chain's key."""
    return context(b"tokenward chain", vault_id, name, first)


def from_values(values: object) -> AuditAnchor:
    """Return the chain in *values*, as read from a vault. Raise ValueError."""
    if not isinstance(values, list) or len(values) != len(AuditAnchor._fields):
        raise ValueError("a chain is not an array of seven")
    name, log, first, key, lines, file, mac = values
    for text in (name, log):
        if type(text) is not str or len(text) != NAME_DIGITS or not _DIGITS.issuperset(text):
            raise ValueError(f"a chain's name is not {NAME_DIGITS} hex digits")
    for number in (first, lines, file):
        if type(number) is not int or not 0 <= number < LATEST:
            raise ValueError("a chain's number is not a whole number")
    if type(key) is not bytes or len(key) != KEY_SIZE + OVERHEAD:
        raise ValueError("a chain's key is not a sealed key")
    if type(mac) is not bytes or len(mac) not in {0, MAC_SIZE} or bool(mac) != bool(lines):
        raise ValueError("a chain's last MAC is not valid")
    if lines < first:
        raise ValueError("a chain ends before it begins")
    return AuditAnchor(name, log, first, key, lines, file, mac)
