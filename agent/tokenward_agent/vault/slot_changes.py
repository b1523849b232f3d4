"""Change what opens a vault: add a slot, or make a new data key with new slots.

Runs in a thread, like every save (vault.py); the vault must be open.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tokenward_agent.arena import wipe
from tokenward_agent.vault.body import Body, key_context
from tokenward_agent.vault.record import secret_context
from tokenward_agent.vault.sealing import fill_random, seal
from tokenward_agent.vault.slot import wrap

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tokenward_agent.vault.file import Prepared
    from tokenward_agent.vault.format import Header
    from tokenward_agent.vault.sealing import Buffer
    from tokenward_agent.vault.slot import Param
    from tokenward_agent.vault.vault import Vault

    NewSlot = tuple[str, Mapping[str, Param], Buffer]


def add_slot(
    vault: Vault, kind: str, params: Mapping[str, Param], slot_key: Buffer, now: int
) -> Prepared:
    """Add a slot, in place of one of its kind; the data key stays. Raises as `Vault.save`."""

    def with_slot(header: Header, body: Body) -> tuple[Header, Body]:
        others = tuple(slot for slot in header.slots if slot.kind != kind)
        return header._replace(slots=(*others, vault.wrap_key(kind, params, slot_key))), body

    return vault.write(with_slot, now)


def rekey(
    vault: Vault, slots: Sequence[NewSlot], new_key: memoryview, scratch: memoryview, now: int
) -> Prepared:
    """Give the vault a new data key, and *slots* in place of its slots.

    *new_key* (32 bytes) is filled here; `adopt` copies and wipes it; it is wiped if this raises.
    *scratch* (64 KiB) holds one secret at a time while it is sealed anew, and is wiped. To keep a
    slot whose key is not known, use `add_slot`, which keeps the data key. Raises as `Vault.save`.
    """

    def with_new_key(header: Header, body: Body) -> tuple[Header, Body]:
        fill_random(new_key)
        vault_id, fresh, chains = header.vault_id, dict(body.records), list(body.chains)

        def reseal(size: int, place: bytes) -> bytes:
            try:
                return seal(new_key, scratch[:size], place)
            finally:
                wipe(scratch[:size])

        for key, record in body.records.items():
            if record.secret is not None:
                place = secret_context(vault_id, record.service, record.username)
                secret = reseal(vault.open_secret(record, scratch), place)
                fresh[key] = record._replace(secret=secret)
        for at, entry in enumerate(body.chains):
            place = key_context(vault_id, entry.name, entry.first)
            chains[at] = entry._replace(key=reseal(vault.open_chain(entry, scratch), place))
        wrapped = tuple(wrap(*slot, new_key, vault_id) for slot in slots)
        return header._replace(slots=wrapped), Body(fresh, tuple(chains))

    try:
        return vault.write(with_new_key, now, new_key)
    except BaseException:
        wipe(new_key)
        raise
