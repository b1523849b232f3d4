"""A slot: one way to open a vault. It holds the vault's data key, sealed under the slot's own key.

The slot key comes from a keyring, a passphrase or a file and is never stored in a vault; the slot
has the parameters to get it again. A vault has at most one slot of each kind:

========== =============================================== ====================================
kind       the slot key is                                 parameters
========== =============================================== ====================================
keyring    an item of the system keyring, base64           service, username: the item's names
program    the same, read by a ``keyring`` program         program (absolute path), service, username
passphrase Argon2id (RFC 9106) of the passphrase, 32 bytes salt (16 bytes), memory (KiB), passes, lanes
key-file   the 32 bytes of a file outside of the directory none
dpapi      the same, as DPAPI protects them on Windows     none
========== =============================================== ====================================

The seal is bound to the parameters, and they are bounded when they are read: a hostile file cannot
make the agent allocate a terabyte. They are not trusted before the vault is open: the agent neither
runs a program nor reads a keyring item because a slot names it (store/slot_keys.py).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

from tokenward_agent.vault.errors import WrongKey
from tokenward_agent.vault.sealing import KEY_SIZE, OVERHEAD, Tampered, context, open_into, seal
from tokenward_protocol.passphrases import LIMITS, SALT_SIZE

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tokenward_agent.vault.sealing import Buffer

    Param = str | bytes | int

_TEXT_BYTES: Final = {"service": 255, "username": 255, "program": 4096}
PARAMETERS: Final = {
    "keyring": ("service", "username"),
    "program": ("program", "service", "username"),
    "passphrase": ("salt", "memory", "passes", "lanes"),
    "key-file": (),
    "dpapi": (),
}
"""The parameters of each kind, in the order of the seal's context."""


class Slot(NamedTuple):
    """One way to open a vault: its `kind`, its checked `params`, and the sealed data key."""

    kind: str
    params: Mapping[str, Param]
    wrapped: bytes


def wrap(
    kind: str, params: Mapping[str, Param], slot_key: Buffer, data_key: Buffer, vault_id: str
) -> Slot:
    """Return a slot that opens to *data_key* with *slot_key*. Raises ValueError."""
    checked = check_params(kind, dict(params))
    return Slot(kind, checked, seal(slot_key, data_key, _context(kind, checked, vault_id)))


def unwrap_into(slot: Slot, slot_key: Buffer, vault_id: str, out: memoryview) -> None:
    """Open a slot into *out*, 32 bytes. Raises WrongKey, with *out* wiped."""
    try:
        open_into(slot_key, slot.wrapped, _context(slot.kind, slot.params, vault_id), out)
    except Tampered:
        raise WrongKey from None


def to_values(slot: Slot) -> dict[str, Param]:
    """Return the slot for msgpack: a map of `kind`, the parameters and `wrapped`."""
    return {"kind": slot.kind, **slot.params, "wrapped": slot.wrapped}


def from_values(values: object) -> Slot:
    """Return the slot in *values*, as read from a vault. Raises ValueError."""
    if not isinstance(values, dict):
        raise ValueError("a slot is not a map")  # noqa: TRY004 - what a file says, not what we passed
    params: dict[Any, Any] = dict(values)
    kind = params.pop("kind", None)
    wrapped = params.pop("wrapped", None)
    if type(kind) is not str or type(wrapped) is not bytes:
        raise ValueError("a slot has no kind or no key")
    if len(wrapped) != KEY_SIZE + OVERHEAD:
        raise ValueError("a slot's key has another length")
    return Slot(kind, check_params(kind, params), wrapped)


def check_params(kind: str, params: dict[str, Any]) -> dict[str, Param]:
    """Return the parameters of a slot in their order. Raises ValueError, which quotes no value."""
    names = PARAMETERS.get(kind)
    if names is None:
        raise ValueError("a slot is of an unknown kind")
    if params.keys() != set(names):
        raise ValueError(f"a {kind} slot has other parameters")
    for name in names:
        value = params[name]
        if name in LIMITS:
            least, most = LIMITS[name]
            if type(value) is not int or not least <= value <= most:
                raise ValueError(f"a slot's {name} is not from {least} to {most}")
        elif name == "salt":
            if type(value) is not bytes or len(value) != SALT_SIZE:
                raise ValueError(f"a slot's salt is not {SALT_SIZE} bytes")
        elif (
            type(value) is not str
            or not 0 < len(value.encode()) <= _TEXT_BYTES[name]
            or "\0" in value
        ):
            raise ValueError(f"a slot's {name} is not a text of at most {_TEXT_BYTES[name]} bytes")
        elif name == "program" and not value.startswith("/"):
            raise ValueError("a slot's program is not an absolute path")
    return {name: params[name] for name in names}


def _context(kind: str, params: Mapping[str, Param], vault_id: str) -> bytes:
    return context(b"tokenward slot", vault_id, kind, *params.values())
