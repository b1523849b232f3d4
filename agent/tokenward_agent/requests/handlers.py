"""What each request but `fetch` does, in terms of the vaults and their keeping.

Quick handlers answer in the callback that read the request; slow ones are coroutines, whose
second argument is the request's body in locked memory. Everything that they raise is an answer
too (dispatch.py).
"""

from __future__ import annotations

import os

from tokenward_agent.requests.overview import page, protections, vault_overview
from tokenward_agent.store.restoring import Restoring
from tokenward_agent.store.vaults import VAULT_OF
from tokenward_agent.vault.record import Adopted, Record
from tokenward_agent.wire.answer import Answer, Failure, done
from tokenward_protocol import VERSION, WIRE_VERSION

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from tokenward_agent.arena import Arena
    from tokenward_agent.harden import Report
    from tokenward_agent.settings import Settings
    from tokenward_agent.store.adopted import AdoptedSecrets
    from tokenward_agent.store.changes import Changes
    from tokenward_agent.store.creation import Creation
    from tokenward_agent.store.locking import Locking
    from tokenward_agent.store.provider_choice import ProviderChoice
    from tokenward_agent.store.vaults import Vaults
    from tokenward_agent.wire.request import Request
    from tokenward_protocol.packing import Value

    Handler = Callable[[Request], Answer]
    SlowHandler = Callable[[Request, memoryview], Awaitable[Answer]]

MAX_NAMED = 100
"""Removed entries that a logout names at most, as far as they fit; the rest it counts."""

_SESSION = {
    "bus": "DBUS_SESSION_BUS_ADDRESS",
    "display": "DISPLAY",
    "wayland": "WAYLAND_DISPLAY",
    "xauthority": "XAUTHORITY",
}


class Handlers:
    """The requests of one agent."""

    def __init__(
        self,
        settings: Settings,
        report: Report,
        arena: Arena,
        vaults: Vaults,
        changes: Changes,
        locking: Locking,
        creation: Creation,
        choice: ProviderChoice,
        adopted: AdoptedSecrets,
        stop: Callable[[], object],
    ) -> None:
        self.vaults = vaults
        self.locking = locking
        self._settings = settings
        self._report = report
        self._arena = arena
        self._changes = changes
        self._creation = creation
        self._choice = choice
        self._adopted = adopted
        self._stop_agent = stop
        self._started = vaults.clock.wall()
        self.quick: dict[str, Handler] = {
            "hello": self._hello,
            "status": self._status,
            "stop": self._stop,
        }
        self.slow: dict[str, SlowHandler] = {
            "list": self._list,
            "login": self._login,
            "logout": self._logout,
            "prepare": self._prepare,
            "create": self._create,
            "lock": self._lock,
            "unlock": self._unlock,
            "passphrase": self._passphrase,
            "restore": Restoring(vaults, locking).answer,
        }

    def _hello(self, request: Request) -> Answer:
        return done(
            request.number,
            version=VERSION,
            wire=WIRE_VERSION,
            pid=os.getpid(),
            directory=self._settings.directory,
            replaceable=all(
                vault.state != "open" or bool(self.locking.unattended(vault))
                for vault in self.vaults.each.values()
            ),
        )

    def _status(self, request: Request) -> Answer:
        return done(
            request.number,
            version=VERSION,
            wire=WIRE_VERSION,
            pid=os.getpid(),
            directory=self._settings.directory,
            state=self._settings.state,
            socket=self._settings.socket,
            started=self._started,
            locked=self.locking.locked,
            vaults=[
                vault_overview(
                    vault,
                    locked=self.locking.locked,
                    count=len(self.vaults.all_records(vault.provider)),
                    note=self.locking.notes.get(vault.provider),
                )
                for vault in self.vaults.each.values()
            ],
            protections=protections(self._report, self._arena),
        )

    def _stop(self, request: Request) -> Answer:
        self._stop_agent()
        return done(request.number, pid=os.getpid())

    async def _list(self, request: Request, _body: memoryview) -> Answer:
        await self._open_what_opens(None)
        entries, following = page(self.vaults.all_records(), request.count("after") or 0)
        closed: list[Value] = [vault.provider for vault in self.vaults.not_open(None)]
        return done(request.number, entries=entries, next=following, closed=closed)

    async def _open_what_opens(self, provider: str | None) -> None:
        """Open, before a request that needs the vaults, those that need nobody."""
        if self.locking.can_open(provider):
            await self.locking.open_unattended(provider)

    async def _login(self, request: Request, body: memoryview) -> Answer:
        adopt, provider = request.text("adopt"), request.text("provider")
        if adopt is not None and body:
            raise Failure("bad-request", "A login has either a secret or `adopt`.")
        await self._open_what_opens(provider)
        notes: list[Value] = []
        if provider is None:
            provider, note = await self._choice.choose(None, None, {}, probe=False)
            notes += [note] if note else []
        if adopt is not None:
            await self._see_adopted(request, provider, adopt)
        result = await self._changes.login(
            str(request.arguments["service"]),
            str(request.arguments["username"]),
            body,
            provider,
            lifetime=request.count("lifetime"),
            adopt=adopt,
        )
        self._adopted.drop((str(request.arguments["service"]), str(request.arguments["username"])))
        return done(request.number, replaced=result, provider=provider, notes=notes)

    async def _see_adopted(self, request: Request, provider: str, spelling: str) -> None:
        """Read a credential that is to be adopted, so that nothing is stored where there is none."""
        if provider == "disabled":
            raise Failure(
                "provider",
                "A credential that stays in a keyring needs a provider that reads keyrings.",
                "add `--keyring-provider keyring`",
            )
        self._changes.require_open(provider)
        service, username = str(request.arguments["service"]), str(request.arguments["username"])
        adopted = Adopted(provider, spelling)
        await self._adopted.see(Record(service, username, 0, None, None, adopted, None))

    async def _logout(self, request: Request, _body: memoryview) -> Answer:
        provider = request.text("provider")
        await self._open_what_opens(provider)
        removed = await self._changes.logout(
            request.text("service"),
            request.text("username"),
            provider=provider,
            every=request.flag("all"),
        )
        for found in removed:
            self._adopted.drop(found.record.key)
        if request.flag("purge"):
            for found in removed:
                await self._adopted.purge(found.record)
        named, _ = page(removed[:MAX_NAMED], 0)
        return done(request.number, removed=named, count=len(removed))

    async def fetch_adopted(self, request: Request) -> Answer:
        """Answer a fetch whose credential stays in a keyring."""
        found = self.vaults.find(
            str(request.arguments["service"]), request.text("username"), request.text("provider")
        )
        if found is None:
            raise self.vaults.miss(str(request.arguments["service"]), request.text("provider"))
        secret = await self._adopted.secret(found.record)
        record = found.record
        found.vault.use(record, self.vaults.clock.wall())
        return done(
            request.number,
            secret,
            service=record.service,
            username=record.username,
            provider=found.vault.provider,
            created=record.created,
            expires=secret.expires,
        )

    async def _prepare(self, request: Request, _body: memoryview) -> Answer:
        provider, note = await self._choice.choose(
            request.text("provider"),
            request.text("program"),
            _session(request),
            probe=request.flag("probe"),
        )
        await self._open_what_opens(provider)
        vault = self.vaults.each[VAULT_OF[provider]]
        if vault.state != "absent":
            needs = self.locking.needs(vault) if vault.state == "closed" else "nothing"
        else:
            needs = "choice" if provider == "disabled" else "nothing"
        state = "locked" if vault.state == "closed" and self.locking.locked else vault.state
        return done(request.number, provider=provider, state=state, needs=needs, note=note)

    async def _create(self, request: Request, body: memoryview) -> Answer:
        self._refuse_while_locked()
        provider, slot = str(request.arguments["provider"]), str(request.arguments["slot"])
        program = request.text("program")
        if slot == "program":
            program = self._choice.program(program)
        await self._creation.create(provider, slot, _session(request), body, program)
        return done(request.number, provider=provider, slot=slot)

    def _refuse_while_locked(self) -> None:
        """Make no vault that would be open while the agent is locked."""
        if self.locking.locked:
            raise Failure("locked", "The agent is locked.", "`auth unlock`")

    async def _lock(self, request: Request, _body: memoryview) -> Answer:
        self._adopted.forget()
        locked: list[Value] = [vault.provider for vault in await self.locking.lock()]
        return done(request.number, locked=locked)

    async def _unlock(self, request: Request, body: memoryview) -> Answer:
        left = await self.locking.unlock(
            request.text("provider"),
            body or None,
            _session(request),
            attended=request.flag("attended"),
        )
        opened: list[Value] = [
            each.provider for each in self.vaults.each.values() if each.state == "open"
        ]
        closed: list[Value] = [
            {
                "provider": vault.provider,
                "needs": self.locking.needs(vault),
                "note": str(vault.problem or self.locking.notes.get(vault.provider, "")),
            }
            for vault in left
        ]
        return done(request.number, opened=opened, closed=closed)

    async def _passphrase(self, request: Request, body: memoryview) -> Answer:
        self._refuse_while_locked()
        action = request.text("action")
        await self._open_what_opens("disabled")
        if action == "set":
            vault = await self._creation.set_passphrase(body, {}, keep=request.flag("keep"))
        elif action == "remove" and not body:
            vault = await self._creation.remove_passphrase({})
        else:
            raise Failure("bad-request", "A passphrase is `set` with a body or `remove`d without.")
        other = self.vaults.each["keyring"]
        overview = vault_overview(vault, locked=False, count=0, note=None)
        elsewhere = len(other.records) if other.state in {"open", "absent"} else None
        return done(request.number, slots=overview["slots"], elsewhere=elsewhere)


def _session(request: Request) -> dict[str, str]:
    """Return the asker's session as environment variables for a worker."""
    found = ((variable, request.text(name)) for name, variable in _SESSION.items())
    return {variable: value for variable, value in found if value}
