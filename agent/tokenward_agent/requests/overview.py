"""What the agent tells about what it holds: the entries of `list` and `logout`, protections.

Everything here is for a person to see. A record goes in, and what comes out has no field that
could hold a secret.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from tokenward_agent.arena import Arena
    from tokenward_agent.harden import Report
    from tokenward_agent.store.vaults import Found
    from tokenward_agent.vault.record import Record
    from tokenward_agent.vault.vault import Vault
    from tokenward_protocol.packing import Value

PAGE_BYTES = 48 * 1024
"""Names in one page of a list; a header holds 64 KiB."""

OPENED_BY = {
    "keyring": "whoever can read the item {username} of {service} in the system keyring",
    "program": "whoever can have {program} print the item {username} of {service}",
    "passphrase": "whoever knows the passphrase",
    "key-file": "whoever can read the key file in the state folder",
}
"""Who can open a vault that has a slot of this kind, without asking the agent."""

_ENTRY_BYTES = 160
"""An upper bound of what an entry takes beside its names."""


def entry(record: Record, provider: str) -> dict[str, Value]:
    """Describe a record."""
    return {
        "service": record.service,
        "username": record.username,
        "provider": provider,
        "created": record.created,
        "used": record.last_used,
        "expires": None if record.expires is None else record.expires.wall_end,
        "adopted": record.adopted is not None,
    }


def vault_overview(vault: Vault, *, locked: bool, count: int, note: str | None) -> dict[str, Value]:
    """Describe a vault: what state it is in, and who can open it without asking the agent."""
    slots: list[Value] = [
        {"kind": slot.kind, "detail": OPENED_BY[slot.kind].format(**slot.params)}
        for slot in (vault.header.slots if vault.header is not None else ())
    ]
    return {
        "provider": vault.provider,
        "state": "locked" if locked and vault.state == "closed" else vault.state,
        "path": vault.storage.path,
        "count": count if vault.state == "open" else None,
        "slots": slots,
        "note": note if vault.problem is None else vault.problem.message,
    }


def page(held: list[Found], after: int) -> tuple[list[Value], int | None]:
    """Return the entries from number `after` on that fit into an answer, and the next number."""
    ordered = sorted(held, key=lambda found: found.record.key)
    entries: list[Value] = []
    room = PAGE_BYTES
    for found in ordered[after:]:
        record = found.record
        room -= len(record.service.encode()) + len(record.username.encode()) + _ENTRY_BYTES
        if room < 0 and entries:
            return entries, after + len(entries)
        entries.append(entry(record, found.vault.provider))
    return entries, None


def fitting(names: list[str]) -> list[Value]:
    """Return as many of the names as fit into an answer."""
    found: list[Value] = []
    room = PAGE_BYTES
    for name in names:
        room -= len(name.encode()) + 3
        if room < 0:
            break
        found.append(name)
    return found


def protections(report: Report, arena: Arena) -> dict[str, Value]:
    """Name what stands between this process and a look from outside."""
    found: dict[str, Value] = {"memory": arena.kind}
    for name in report.in_force:
        found[name] = "in force"
    for sentence in report.refused:
        name, _, problem = sentence.partition(": ")
        found[name] = f"refused: {problem}"
    return found
