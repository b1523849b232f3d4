"""The body of a vault: the records, and what the vault vouches for of the audit log.

Pure, on values that msgpack has read. Raises ValueError for everything that docs/VAULT.md does not
allow.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from tokenward_agent.vault import audit_anchor as vouched_of
from tokenward_agent.vault import record as records_of
from tokenward_agent.vault.audit_anchor import CHAINS, AuditAnchor
from tokenward_agent.vault.record import Record  # noqa: TC001 - NamedTuple reads its annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from tokenward_agent.vault.record import Key

    Records = dict[Key, Record]


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


def to_values(body: Body) -> dict[str, object]:
    """Return the body for msgpack, where tuples become arrays."""
    return {"records": list(body.records.values()), "chains": list(body.chains)}


def from_values(values: Any, version: int) -> Body:
    """Return the body in *values*, read from a file of *version*. Raise ValueError."""
    keys = {"records", "chains"} if version > 2 else {"records"}
    if not isinstance(values, dict) or values.keys() != keys:
        raise ValueError("a field is missing or unknown")
    chains = tuple(map(vouched_of.from_values, _array(values.get("chains", []))))
    if len(chains) > CHAINS:
        raise ValueError("it vouches for too many chains")
    return Body(_records(_array(values["records"]), 8 if version > 3 else 7), chains)


def _records(listed: list[Any], fields: int) -> Records:
    found: Records = {}
    names: dict[str, str] = {}  # most records share a few user names: keep one object for each
    for entry in listed:
        record = records_of.from_values(entry, fields)
        username = names.setdefault(record.username, record.username)
        found[record.service, username] = record._replace(username=username)
    if len(found) != len(listed):
        raise ValueError("two are of the same service and user name")
    return found


def _array(value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise ValueError("they are not an array")  # noqa: TRY004 - what a file says
    return value
