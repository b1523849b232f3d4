"""The requests about vaults: `prepare`, `create`, `lock`, `unlock`, `passphrase`, `restore`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tokenward_agent.failure import Failure
from tokenward_agent.requests.naming import session_variables
from tokenward_agent.requests.overview import describe_vault
from tokenward_agent.store.restoring import restore_previous
from tokenward_agent.store.vaults import VAULT_OF
from tokenward_agent.wire.answer import Answer, success_answer

if TYPE_CHECKING:
    from tokenward_agent.store.creation import Creation
    from tokenward_agent.store.keyring_program import KeyringProgram
    from tokenward_agent.store.locking import Locking
    from tokenward_agent.store.made_secrets import MadeSecrets
    from tokenward_agent.store.opening import Opening
    from tokenward_agent.store.providers import ProviderChoice
    from tokenward_agent.store.vaults import Vaults
    from tokenward_agent.wire.request import Request
    from tokenward_protocol.packing import Value


class VaultRequests:
    """Answers the requests about the vaults of one agent."""

    def __init__(
        self,
        vaults: Vaults,
        opening: Opening,
        locking: Locking,
        creation: Creation,
        choice: ProviderChoice,
        program: KeyringProgram,
        made: MadeSecrets,
    ) -> None:
        self._vaults, self._opening, self._locking = vaults, opening, locking
        self._creation, self._choice, self._program = creation, choice, program
        self._made = made

    async def prepare(self, request: Request, _body: memoryview) -> Answer:
        """Choose the provider for a new credential."""
        provider, note = await self._choice.choose(
            request.text("provider"),
            request.text("program"),
            session_variables(request),
            probe=request.flag("probe"),
        )
        await self._opening.open_available(provider)
        vault = self._vaults.each[VAULT_OF[provider]]
        if vault.state != "absent":
            needs = self._opening.opening_needs(vault) if vault.state == "closed" else "nothing"
        else:
            needs = "choice" if provider == "disabled" else "nothing"
        state = "locked" if vault.state == "closed" and self._locking.is_locked else vault.state
        return success_answer(
            request.number, provider=provider, state=state, needs=needs, note=note
        )

    async def create(self, request: Request, body: memoryview) -> Answer:
        """Create a vault, or add a slot to one."""
        self._refuse_while_locked()
        provider, slot = str(request.arguments["provider"]), str(request.arguments["slot"])
        program = request.text("program")
        if slot == "program":
            program = self._program.select(program)
        await self._creation.create(provider, slot, session_variables(request), body, program)
        return success_answer(request.number, provider=provider, slot=slot)

    def _refuse_while_locked(self) -> None:
        """Raise Failure while locked: a new vault would be open at once."""
        if self._locking.is_locked:
            raise Failure("locked", "The agent is locked.", "`auth unlock`")

    async def lock(self, request: Request, _body: memoryview) -> Answer:
        """Wipe every key, until `unlock`."""
        self._made.forget()
        locked: list[Value] = [vault.provider for vault in await self._locking.lock()]
        return success_answer(request.number, locked=locked)

    async def unlock(self, request: Request, body: memoryview) -> Answer:
        """Open the vaults that can be opened; a `program` in the request becomes the chosen one."""
        if named := request.text("program"):
            self._program.choose(named, self._vaults.each["keyring"].header)
        left = await self._locking.unlock(
            request.text("provider"),
            body or None,
            session_variables(request),
            attended=request.flag("attended"),
        )
        opened: list[Value] = [
            each.provider for each in self._vaults.each.values() if each.state == "open"
        ]
        closed: list[Value] = [
            {
                "provider": vault.provider,
                "needs": self._opening.opening_needs(vault),
                "note": str(vault.problem or self._opening.notes.get(vault.provider, "")),
                "hint": self._opening.hints.get(vault.provider, "")
                if vault.problem is None
                else vault.problem.hint,
            }
            for vault in left
        ]
        return success_answer(request.number, opened=opened, closed=closed)

    async def passphrase(self, request: Request, body: memoryview) -> Answer:
        """Set or remove the passphrase of the `disabled` vault."""
        self._refuse_while_locked()
        action = request.text("action")
        await self._opening.open_available("disabled")
        if action == "set":
            vault = await self._creation.set_passphrase(body, {}, keep=request.flag("keep"))
        elif action == "remove" and not body:
            vault = await self._creation.remove_passphrase({})
        else:
            raise Failure(
                "bad-request", "The action must be `set` with a body, or `remove` without one."
            )
        other = self._vaults.each["keyring"]
        overview = describe_vault(vault, locked=False, count=0, note=None)
        elsewhere = len(other.records) if other.state in {"open", "absent"} else None
        return success_answer(request.number, slots=overview["slots"], elsewhere=elsewhere)

    async def restore(self, request: Request, _body: memoryview) -> Answer:
        """Restore the previous generation, and open the vault if that does not need the user."""
        provider = str(request.arguments["provider"])
        if not request.flag("previous"):
            raise Failure("bad-request", "A restore needs `previous`: the previous generation.")
        restored = await restore_previous(
            self._vaults, self._opening, provider, anyway=request.flag("anyway")
        )
        await self._opening.open_available(provider)
        vault = self._vaults.each[VAULT_OF[provider]]
        return success_answer(
            request.number,
            provider=vault.provider,
            generation=restored.header.generation,
            saved=restored.header.seen,
            kept=restored.kept,
            count=len(self._vaults.all_records(provider)) if vault.state == "open" else None,
        )
