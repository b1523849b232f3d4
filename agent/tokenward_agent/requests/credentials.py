"""The requests that store and remove credentials: `login` and `logout`.

`login` is the only way into a vault, so the agent checks every secret here (admission.py), also if
the client has checked it. A secret that is not admitted changes nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tokenward_agent.failure import Failure
from tokenward_agent.requests.naming import changed_spellings, names_service
from tokenward_agent.requests.overview import page_of_entries
from tokenward_agent.store.lookup import TOKEN_USER, candidates
from tokenward_agent.vault.record import LONGEST, AdoptedSource, Record
from tokenward_agent.wire.answer import Answer, success_answer
from tokenward_protocol.admission import NotAdmitted
from tokenward_protocol.messages import MEMORY
from tokenward_protocol.token_ends import usual_seconds

if TYPE_CHECKING:
    from tokenward_agent.store.adopted import AdoptedSecrets
    from tokenward_agent.store.changes import Changes
    from tokenward_agent.store.derived_tokens import DerivedTokens
    from tokenward_agent.store.lookup import StoredRecord
    from tokenward_agent.store.made_secrets import MadeSecrets
    from tokenward_agent.store.opening import Opening
    from tokenward_agent.store.providers import ProviderChoice
    from tokenward_agent.store.vaults import Vaults
    from tokenward_agent.wire.request import Request
    from tokenward_protocol.packing import Value

MAX_NAMED = 100
"""Removed entries that a logout names at most, as far as they fit; it counts the rest."""


class CredentialRequests:
    """Answers the requests that change stored credentials."""

    def __init__(
        self,
        vaults: Vaults,
        changes: Changes,
        opening: Opening,
        choice: ProviderChoice,
        adopted: AdoptedSecrets,
        made: MadeSecrets,
        derived_tokens: DerivedTokens,
    ) -> None:
        self._vaults, self._derived_tokens, self._changes = vaults, derived_tokens, changes
        self._opening, self._choice = opening, choice
        self._adopted, self._made = adopted, made

    async def login(self, request: Request, body: memoryview) -> Answer:
        """Store the secret in `body`, or adopt a secret of a keyring."""
        adopt, provider = request.text("adopt"), request.text("provider")
        username = str(request.arguments["username"])
        if adopt is not None and body:
            raise Failure("bad-request", "A login needs either a secret or `adopt`.")
        notes: list[Value] = []
        typed, service = changed_spellings(request)
        lifetime = request.count("lifetime")
        if adopt is None:
            body, other, end = self._admit(service, username, body)
            notes += [other] if other else []
            lifetime = min((s for s in (lifetime, end) if s is not None), default=None)
        if request.flag("memory"):
            return self._keep_in_memory(request, service, username, body)
        sealed = request.flag("sealed")
        if sealed:
            self._require_attenuable(service, body)
        await self._opening.open_available(provider)
        moved = None
        if self._usernames_at(typed) & {username} or self._usernames_at(service) - {username}:
            # Two accounts at two places stay apart; one of two at one place leaves it.
            moved = (
                service if typed != service and username in self._usernames_at(service) else None
            )
            service = typed
        if provider is None:
            provider, note = await self._choice.choose(None, None, {}, probe=False)
            notes += [note] if note else []
        if adopt is not None:
            await self._check_adopted(service, username, provider, adopt)
        parent = self._find_parent(service, username, body)
        if parent is not None:
            return self._store(request, service, parent.vault.provider, notes, None, kept=True)
        before = await self._changes.login(
            service,
            username,
            body,
            provider,
            lifetime=lifetime,
            adopt=adopt,
            never_shown=sealed,
        )
        self._adopted.drop((service, username))
        if moved is not None:
            (left,) = await self._changes.logout(moved, username, provider=None, every=False)
            self._adopted.drop(left.record.key)
            before = before or left.record
        if before is None:
            notes += self._ambiguities(service, username)
        end = None if lifetime is None else self._vaults.clock.wall() + lifetime
        return self._store(request, service, provider, notes, before, expires=end)

    def _usernames_at(self, service: str) -> set[str]:
        """Return the user names that have an entry at exactly this service."""
        return {found.record.username for found in self._vaults.at(service, None)}

    def _ambiguities(self, service: str, username: str) -> list[Value]:
        """Return a note if a tool that sends no user name now finds several accounts."""
        others = sorted(self._usernames_at(service) - {username})
        if not others or TOKEN_USER in {username, *others} or "://" not in service:
            return []
        more = f" and {len(others) - 1} more" if len(others) > 1 else ""
        text = (
            f"Another account ({others[0] or 'an empty user name'}{more}) is stored for {service}:"
            " a tool that sends no user name now gets no credential. Put the user name into its URL,"
            " or log in again with a longer URL that only one of them is for, such as one ending in"
            " `/simple/`: that account then answers only there."
        )
        return [text]

    def _store(
        self,
        request: Request,
        service: str,
        provider: str,
        notes: list[Value],
        before: Record | None,
        *,
        kept: bool = False,
        expires: int | None = None,
    ) -> Answer:
        return success_answer(
            request.number,
            replaced=before is not None,
            before=None if before is None else before.created,
            kept=kept,
            service=service,
            provider=provider,
            expires=expires,
            notes=notes,
        )

    def _admit(
        self, service: str, username: str, body: memoryview
    ) -> tuple[memoryview, str, int | None]:
        """Return the part of the secret to store, a sentence about the rest, and its lifetime.

        The lifetime is in seconds: to the end that a token shows, or what its host is known for.
        """
        now = self._vaults.clock.wall()
        try:
            found = self._derived_tokens.admit(service, username, body, now)
        except NotAdmitted as no:
            raise Failure("refused", str(no), no.hint) from None
        if found.end is None:
            seconds = usual_seconds(service, username)
        else:  # by the clock of its index
            there = now + self._derived_tokens.clocks.ahead(service)
            seconds = min(max(found.end - there, 1), LONGEST)
        return body[found.start : found.stop], found.changed, seconds

    def _require_attenuable(self, service: str, body: memoryview) -> None:
        """Raise Failure if the token cannot be attenuated: sealed, it could never be used."""
        token = self._derived_tokens.read_open_token(body)
        if token is None or not token.is_attenuable:
            raise Failure(
                "refused",
                f"This credential for {service} cannot be attenuated, so it could not be used if it"
                " were sealed: only tokens of PyPI, TestPyPI and devpi can be attenuated.",
                "leave `--sealed` out",
            )

    def _find_parent(self, service: str, username: str, body: memoryview) -> StoredRecord | None:
        """Return the stored token that *body* derives from: tools save the tokens they get."""
        found = self._vaults.find(candidates(service), username, None)
        if found is None or found.record.adopted is not None:
            return None
        return found if self._derived_tokens.is_derived_from(body, found.secret()) else None

    def _keep_in_memory(
        self, request: Request, service: str, username: str, body: memoryview
    ) -> Answer:
        """Keep the secret in `body` in memory, not in a file."""
        lifetime = request.count("lifetime")
        others = [name for name in ("adopt", "provider", "sealed") if name in request.arguments]
        if lifetime is None or not body or others:
            raise Failure(
                "bad-request",
                "A login in memory needs a secret and a lifetime, and takes nothing else.",
            )
        if self._opening.is_locked:
            raise Failure("locked", "The agent is locked.", "`auth unlock`")
        before = self._changes.keep_in_memory(service, username, body, lifetime)
        return self._store(request, service, MEMORY, [], before)

    async def _check_adopted(
        self, service: str, username: str, provider: str, spelling: str
    ) -> None:
        """Read a credential once before it is adopted, so that no entry points to nothing."""
        if provider == "disabled":
            raise Failure(
                "provider",
                "A credential that stays in a keyring needs a provider that reads keyrings.",
                "add `--keyring-provider keyring`",
            )
        self._changes.require_open(provider)
        adopted = AdoptedSource(provider, spelling)
        await self._adopted.check(Record(service, username, 0, None, None, adopted, None))

    def _drop_made(self, service: str, username: str | None) -> bool:
        """Forget what recipes made that an index refused; tell whether there was a recipe."""
        recipes = [
            found.record
            for found in self._vaults.at(service, None)
            if found.vault is self._vaults.recipes and username in {None, found.record.username}
        ]
        for record in recipes:
            self._made.drop(record)
        return bool(recipes)

    async def logout(self, request: Request, _body: memoryview) -> Answer:
        """Remove credentials, and return which.

        If an index `refused` what a command made, that is forgotten and the recipe stays.
        """
        provider = request.text("provider")
        await self._opening.open_available(provider)
        user, service = request.text("username"), None
        if names_service(request):
            typed, service = changed_spellings(request)
            if self._usernames_at(typed) & (
                {user} if user is not None else self._usernames_at(typed)
            ):
                service = typed
            if request.flag("refused") and self._drop_made(service, user):
                return success_answer(request.number, removed=[], count=0)
        removed = await self._changes.logout(
            service, user, provider=provider, every=request.flag("all")
        )
        for found in removed:
            self._adopted.drop(found.record.key)
            self._made.drop(found.record)
        if request.flag("purge"):
            for found in removed:
                await self._adopted.purge(found.record)
        named, _ = page_of_entries(removed[:MAX_NAMED], 0)
        return success_answer(request.number, removed=named, count=len(removed))
