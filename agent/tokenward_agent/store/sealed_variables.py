"""The variables of a recipe's command: in the open only in the arena, else sealed by a vault.

A command may need what the user's shell has and the agent has not: a profile, a proxy, a session.
Such a value may be a secret, so it is sealed under the key of a vault, bound to the account, and a
run needs that vault open. A vault that has another key since (as `auth passphrase set` makes one)
does not open it.

A block of variables is `NAME=VALUE` and a NUL for each.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from tokenward_agent.failure import Failure
from tokenward_agent.store.adopted import is_adopted, name_of, variables_in
from tokenward_agent.store.recipe_records import SealedVariables
from tokenward_agent.store.vaults import VAULT_OF
from tokenward_agent.vault.errors import VaultError
from tokenward_agent.vault.record import Record
from tokenward_agent.vault.sealing import OVERHEAD
from tokenward_protocol.recipes import MOST_ENVIRONMENT, RecipeError, require_passable
from tokenward_protocol.urls import display

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tokenward_agent.store.memory_records import MemoryRecords
    from tokenward_agent.vault.vault import Vault


class Variables(NamedTuple):
    """A block of variables in the arena, their names, and the provider whose vault seals them."""

    provider: str
    names: tuple[str, ...]
    block: memoryview


def read_variables(provider: str | None, block: memoryview) -> Variables:
    """Return what is in a block. Raises Failure; no value becomes an object."""
    if provider is None:
        raise Failure("bad-request", "Variables of a command need the `provider` that seals them.")
    if len(block) > MOST_ENVIRONMENT:
        raise Failure("too-large", "The variables of the command are too long.")
    names = [_name(each) for each in variables_in(block)]
    if not names or block[-1] != 0:
        raise Failure("bad-request", "The variables of a command each end with a NUL.")
    try:
        for name in names:
            require_passable(name)
    except RecipeError as error:
        raise Failure("refused", f"The recipe's `{error.key}` {error}.") from None
    return Variables(provider, tuple(names), block)


def _name(variable: memoryview) -> str:
    name = name_of(variable)
    if not name:
        raise Failure("bad-request", "A variable of a command has no value.")
    return name


def seal_variables(
    vaults: Mapping[str, Vault], variables: Variables, service: str, username: str
) -> SealedVariables:
    """Seal a block in the open vault of its provider."""
    vault = vaults[VAULT_OF[variables.provider]]
    sealed = vault.seal(_place(service), username, variables.block)
    return SealedVariables(vault.provider, variables.names, sealed)


def open_variables(
    holders: Mapping[str, Vault | MemoryRecords],
    held: SealedVariables,
    record: Record,
    out: memoryview,
) -> int:
    """Open a block into *out*; return its size in bytes. Raises Failure: `locked`, `command`."""
    vault = holders.get(held.provider)
    name = display(record.service)
    if vault is None or vault.state != "open":
        raise Failure(
            "locked",
            f"The variables of the command for {name} are in the vault of `{held.provider}`, which is"
            " not open.",
            "`auth unlock`",
            vaults=[held.provider],
            stored=True,
        )
    # Those of an adopted credential are in the place of its secret.
    place = record.service if is_adopted(record) else _place(record.service)
    sealed = Record(place, record.username, 0, None, None, None, held.sealed)
    try:
        return vault.open_secret(sealed, out)
    except VaultError:
        raise Failure(
            "command",
            f"The variables of the command for {name} were sealed under a former key of the vault.",
            "`auth login` with `--command` and `--pass-env` again, or of its name in config.toml",
        ) from None


def size_of(held: SealedVariables) -> int:
    """Return the size of a block in bytes."""
    return len(held.sealed) - OVERHEAD


def _place(service: str) -> str:
    """Return what a block is bound to, which no service is: it never opens as a credential."""
    return f"environment {service}"
