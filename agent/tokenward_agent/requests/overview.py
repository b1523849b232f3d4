"""Describe what the agent holds, for the user: the entries of `list` and `logout`, the protections.

No returned field can hold a secret, nor the number by which an index knows a token.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tokenward_agent.store.derived_tokens import limits_of
from tokenward_protocol.index_tokens import describe
from tokenward_protocol.messages import COMMAND

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tokenward_agent.arena import Arena
    from tokenward_agent.harden import HardenReport
    from tokenward_agent.policy.file import PolicyFile
    from tokenward_agent.store.lookup import StoredRecord
    from tokenward_agent.vault.record import Record
    from tokenward_agent.vault.vault import Vault
    from tokenward_protocol.index_tokens import IndexToken
    from tokenward_protocol.packing import Value

PAGE_BYTES = 48 * 1024  # bytes of names in one page of a list; a header holds 64 KiB
OPENED_BY = {
    "keyring": "a process that can read the item {username} of {service} in the system keyring",
    "program": "a process that can make {program} print the item {username} of {service}",
    "passphrase": "a user who knows the passphrase",
    "dpapi": "a program that runs as this user of Windows",
    "key-file": "a process that can read the key file in the state folder",
}
"""Who can open a vault by a slot of this kind without the agent."""

HANDED = f"{OPENED_BY['passphrase']}, or a process that can read it where the service manager does"
"""The same for a passphrase that is a credential of the service manager."""

_RECIPE_BYTES = 512
_ENTRY_BYTES = 264  # an upper bound of an entry's size without its names and its token
_IN_SHORT = ("dialect", "location", "narrows", "confined", "visible", "expires", "projects")
"""The fields of a token in a list."""

NAMES_BYTES = 160
_LOCATION = 64
_TOKEN_BYTES = 512
"""Limits in a list, in bytes: project names of a token, its location, and a whole token."""


def describe_record(record: Record, provider: str) -> dict[str, Value]:
    """Return the description of a record."""
    return {
        "service": record.service,
        "username": record.username,
        "provider": provider,
        "created": record.created,
        "used": record.last_used,
        "expires": None if record.expires is None else record.expires.wall_end,
        "adopted": record.adopted is not None and provider != COMMAND,
        "reader": None if record.adopted is None else record.adopted.reader,
        "sealed": record.never_shown,
        "command": None,
        "attended": None,
        "until": None,
    }


def describe_entry(
    found: StoredRecord, token: IndexToken | None, policy: PolicyFile
) -> dict[str, Value]:
    """Return the description of a record, with all that is visible of its token."""
    values = describe_record(found.record, found.vault.provider)
    limits = limits_of(token)
    values["projects"] = None if limits is None else [*limits]
    values["policy"] = [*policy.possible_decisions(found.record.service, found.record.username)]
    return {**values, "token": None if token is None else describe(token)}


def _summarize_token(token: IndexToken) -> dict[str, Value]:
    """Return the parts of a token's description that a list has room for."""
    values = {key: value for key, value in describe(token).items() if key in _IN_SHORT}
    values["location"] = token.location[:_LOCATION]
    projects = token.scope.projects
    values["projects"] = None if projects is None else fit_names(projects, NAMES_BYTES)
    return values


def describe_vault(
    vault: Vault, *, locked: bool, count: int, note: str | None, handed: bool = False
) -> dict[str, Value]:
    """Return a vault's state, and who can open it; if `handed`, the manager has its passphrase."""
    opened_by = OPENED_BY | ({"passphrase": HANDED} if handed else {})
    slots: list[Value] = [
        {"kind": slot.kind, "detail": opened_by[slot.kind].format(**slot.params)}
        for slot in (vault.header.slots if vault.header is not None else ())
    ]
    return {
        "provider": vault.provider,
        "state": "locked" if locked and vault.state == "closed" else vault.state,
        "path": vault.storage.path,
        "count": count if vault.state == "open" else None,
        "slots": slots,
        "note": note if vault.problem is None else vault.problem.message,
        "hint": "" if vault.problem is None else vault.problem.hint,
    }


def page_of_entries(
    held: list[StoredRecord],
    after: int,
    seen: Callable[[StoredRecord], IndexToken | None] = lambda _found: None,
    policy: PolicyFile | None = None,
    of_recipe: Callable[[Record], dict[str, Value]] = lambda _record: {},
) -> tuple[list[Value], int | None]:
    """Return the entries from number `after` on that fit into an answer, and the next number.

    `seen` returns what is visible of an entry's token, `of_recipe` what is said of a recipe or an
    adopted one.
    """
    ordered = sorted(held, key=lambda found: found.record.key)
    entries: list[Value] = []
    room = PAGE_BYTES
    for found in ordered[after:]:
        record = found.record
        room -= len(record.service.encode()) + len(record.username.encode()) + _ENTRY_BYTES
        if room < 0 and entries:
            return entries, after + len(entries)
        token = seen(found)
        room -= 0 if token is None else _TOKEN_BYTES
        limits = limits_of(token)
        room -= sum(len(name) + 3 for name in limits or ())
        values = describe_record(record, found.vault.provider)
        if record.adopted is not None:
            values |= of_recipe(record)
            room -= _RECIPE_BYTES
        if policy is not None:
            values["policy"] = [*policy.possible_decisions(record.service, record.username)]
        values["projects"] = None if limits is None else [*limits]
        entries.append({**values, "token": None if token is None else _summarize_token(token)})
    return entries, None


def fit_names(names: Sequence[str], room: int = PAGE_BYTES) -> list[Value]:
    """Return as many of the names as fit into `room` bytes of an answer."""
    found: list[Value] = []
    for name in names:
        room -= len(name.encode()) + 3
        if room < 0:
            break
        found.append(name)
    return found


def describe_protections(report: HardenReport, arena: Arena) -> dict[str, Value]:
    """Return the protections of this process against other processes, and their state."""
    found: dict[str, Value] = {"memory": arena.kind}
    for name in report.in_force:
        found[name] = "in force"
    for sentence in report.refused:
        name, _, problem = sentence.partition(": ")
        found[name] = f"refused: {problem}"
    return found
