"""The body of a vault: the records, and what the vault knows of the audit log.

A vault knows the chains of the log, by which changed or lost lines are noticed; docs/AUDIT.md explains
them. A chain's key is sealed like a secret of a record, under the vault's data key and bound to the
vault and the chain; opening a vault does not open it.

Pure, on values that msgpack has read. Raises ValueError for everything that docs/VAULT.md does not
allow.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

from tokenward_agent.vault import record as records_of
from tokenward_agent.vault.record import LATEST, Record
from tokenward_agent.vault.sealing import KEY_SIZE, OVERHEAD, context

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tokenward_agent.vault.record import Key
    from tokenward_agent.vault.sealing import Buffer

    MakeAnchors = Callable[[str, tuple["AuditAnchor", ...], Buffer], tuple["AuditAnchor", ...]]
    """Makes the chains for a vault's next save, from its id, its present chains and its key."""
    Records = dict[Key, Record]

CHAINS: Final = 600  # most chains that a vault vouches for: those of two logs at their longest
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


def anchor_from_values(values: object) -> AuditAnchor:
    """Return the chain in *values*, as read from a vault. Raises ValueError."""
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


class Body(NamedTuple):
    """The records by service and user name, and the chains that it vouches for, oldest first."""

    records: dict[Key, Record]
    chains: tuple[AuditAnchor, ...] = ()

    def with_uses(self, used: Mapping[Key, int]) -> Body:
        """Note later uses in the records, in place; return this body."""
        for key, wall in used.items():
            record = self.records.get(key)
            if record is not None and wall > (record.last_used or 0):
                self.records[key] = record._replace(last_used=wall)
        return self


FIELDS: Final = {1: 7, 2: 7, 3: 7, 4: 8, 5: 11}
"""The fields of a record in each version of a file: later versions appended some."""


def version_for(body: Body) -> int:
    """Return the version in which a body is written: the oldest that can say what it holds.

    So an older tokenward reads the file as long as nothing in it needs more.
    """
    return 5 if any(map(_needs_latest, body.records.values())) else 4


def _needs_latest(record: Record) -> bool:
    has_variables = record.adopted is not None and record.secret is not None
    return record.relay_alone or bool(record.projects) or bool(record.trust) or has_variables


def to_values(body: Body, version: int) -> dict[str, object]:
    """Return the body for msgpack in a file of *version*, where tuples become arrays."""
    fields = FIELDS[version]
    records = [record[:fields] for record in body.records.values()]
    return {"records": records, "chains": list(body.chains)}


def from_values(values: Any, version: int) -> Body:
    """Return the body in *values*, read from a file of *version*. Raises ValueError."""
    keys = {"records", "chains"} if version > 2 else {"records"}
    if not isinstance(values, dict) or values.keys() != keys:
        raise ValueError("a field is missing or unknown")
    chains = tuple(map(anchor_from_values, _array(values.get("chains", []))))
    if len(chains) > CHAINS:
        raise ValueError("it vouches for too many chains")
    return Body(_records(_array(values["records"]), FIELDS[version]), chains)


def _records(listed: list[Any], fields: int) -> Records:
    found: Records = {}
    names: dict[str, str] = {}  # most records share a few user names: keep one object for each
    for entry in listed:
        record = records_of.from_values(entry, fields)
        username = names.setdefault(record.username, record.username)
        found[record.key] = record._replace(username=username)
    if len(found) != len(listed):
        raise ValueError("two are of the same service, user name and projects")
    return found


def _array(value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise ValueError("they are not an array")  # noqa: TRY004 - what a file says
    return value
