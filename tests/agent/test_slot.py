"""Slots: the data key comes out with the slot's own key, in its own vault, with its own parameters."""

from __future__ import annotations

from typing import Any

import pytest

from tokenward_agent.vault.errors import WrongKey
from tokenward_agent.vault.slot import Slot, from_values, to_values, unwrap_into, wrap
from tokenward_protocol.passphrases import ARGON2ID

SLOT_KEY = bytes(range(32))
DATA_KEY = bytes(range(100, 132))
ID = "00112233445566778899aabbccddeeff"
PARAMS: dict[str, dict[str, Any]] = {
    "keyring": {"service": "tokenward", "username": ID},
    "program": {"program": "/usr/bin/keyring", "service": "tokenward", "username": ID},
    "passphrase": {"salt": b"0123456789abcdef", **ARGON2ID},
    "key-file": {},
}


@pytest.mark.parametrize("kind", PARAMS)
def test_a_slot_opens_with_its_key_after_it_was_written_and_read(kind: str) -> None:
    slot = from_values(to_values(wrap(kind, PARAMS[kind], SLOT_KEY, DATA_KEY, ID)))
    out = bytearray(32)
    unwrap_into(slot, SLOT_KEY, ID, memoryview(out))
    assert out == DATA_KEY


@pytest.mark.parametrize("kind", PARAMS)
def test_a_wrong_key_another_vault_or_another_kind_opens_nothing(kind: str) -> None:
    slot = wrap(kind, PARAMS[kind], SLOT_KEY, DATA_KEY, ID)
    other = "key-file" if kind != "key-file" else "keyring"
    for tried, key, vault_id in [
        (slot, SLOT_KEY[::-1], ID),
        (slot, SLOT_KEY, ID[::-1]),
        (Slot(other, slot.params, slot.wrapped), SLOT_KEY, ID),
    ]:
        out = bytearray(b"." * 32)
        with pytest.raises(WrongKey):
            unwrap_into(tried, key, vault_id, memoryview(out))
        assert out == bytes(32)


CHANGED: dict[str, str | bytes | int] = {
    "service": "x",
    "username": "x",
    "program": "/tmp/keyring",
    "salt": b"fedcba9876543210",
    "memory": 8192,
    "passes": 1,
    "lanes": 1,
}


@pytest.mark.parametrize(
    ("kind", "name"), [(kind, name) for kind, params in PARAMS.items() for name in params]
)
def test_a_changed_parameter_opens_nothing(kind: str, name: str) -> None:
    slot = wrap(kind, PARAMS[kind], SLOT_KEY, DATA_KEY, ID)
    changed = from_values({**to_values(slot), name: CHANGED[name]})
    with pytest.raises(WrongKey):
        unwrap_into(changed, SLOT_KEY, ID, memoryview(bytearray(32)))


@pytest.mark.parametrize(
    ("kind", "change"),
    [
        ("program", {"program": "keyring"}),
        ("program", {"program": "/keyring\0"}),
        ("program", {"program": "/" + "x" * 4096}),
        ("keyring", {"service": ""}),
        ("keyring", {"username": "é" * 128}),
        ("keyring", {"username": "\ud800"}),
        ("passphrase", {"memory": 2**30}),
        ("passphrase", {"memory": True}),
        ("passphrase", {"salt": "0123456789abcdef"}),
        ("key-file", {"path": "/"}),
    ],
)
def test_what_could_not_be_read_back_is_not_made(kind: str, change: dict[str, Any]) -> None:
    with pytest.raises(ValueError):
        wrap(kind, {**PARAMS[kind], **change}, SLOT_KEY, DATA_KEY, ID)


@pytest.mark.parametrize(
    "values", [None, [], {}, {"kind": 1, "wrapped": b""}, {"kind": "key-file"}]
)
def test_what_is_no_slot_is_refused(values: object) -> None:
    with pytest.raises(ValueError):
        from_values(values)


@pytest.mark.parametrize(("name", "most"), [("memory", 256 * 1024), ("passes", 8), ("lanes", 16)])
def test_no_slot_asks_for_more_than_ten_times_the_usual_work(name: str, most: int) -> None:
    """Nothing vouches for a slot when its passphrase is stretched; a service manager's is at once."""
    params = {**PARAMS["passphrase"], name: most}
    slot = wrap("passphrase", params, SLOT_KEY, DATA_KEY, ID)
    with pytest.raises(ValueError, match=name):
        from_values({**to_values(slot), name: most + 1})
    usual = ARGON2ID["memory"] * ARGON2ID["passes"]
    assert 11 * usual > 256 * 1024 * 8
