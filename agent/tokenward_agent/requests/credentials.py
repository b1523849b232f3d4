"""The requests that store and remove credentials: `login` and `logout`.

`login` is the only way into a vault, so the agent checks every secret here (admission.py), also if
the client has checked it. A secret that is not admitted changes nothing.
"""

from __future__ import annotations

import hashlib
import os
import sys
from typing import TYPE_CHECKING, Final

from tokenward_agent.failure import Failure, KeyDestroyed
from tokenward_agent.requests.attenuation import read_entry
from tokenward_agent.requests.naming import changed_spellings, names_service
from tokenward_agent.requests.overview import NAMES_BYTES, fit_names, page_of_entries
from tokenward_agent.store.adopted import READING, is_adopted, require_variables
from tokenward_agent.store.derived_tokens import limits_of
from tokenward_agent.store.lookup import TOKEN_USER, candidates, project_names
from tokenward_agent.vault.record import LONGEST, Record
from tokenward_agent.wire.answer import Answer, success_answer
from tokenward_protocol.admission import NotAdmitted
from tokenward_protocol.messages import MEMORY
from tokenward_protocol.reach_marks import read_marks
from tokenward_protocol.token_ends import usual_seconds

if TYPE_CHECKING:
    from tokenward_agent.store.adopted import AdoptedSecrets
    from tokenward_agent.store.changes import Changes
    from tokenward_agent.store.derived_tokens import DerivedTokens
    from tokenward_agent.store.lookup import Entry, StoredRecord
    from tokenward_agent.store.made_secrets import Made, MadeSecrets
    from tokenward_agent.store.opening import Opening
    from tokenward_agent.store.providers import ProviderChoice
    from tokenward_agent.store.vaults import Vaults
    from tokenward_agent.vault.record import AdoptedSource, Limits
    from tokenward_agent.wire.request import Request
    from tokenward_protocol.index_tokens import IndexToken
    from tokenward_protocol.packing import Value

MAX_NAMED = 100
"""Removed entries that a logout names at most, as far as they fit; it counts the rest."""


_MOST_NOTED: Final = 8
"""The most other entries that a login names."""

_BY_RELAY: Final = (
    "No token can be attenuated from it, so commands behind a relay alone use it"
    " (`auth exec --relay -- CMD`), and every other tool gets nothing."
)


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
        self._salt = os.urandom(16)

    async def login(self, request: Request, body: memoryview) -> Answer:
        """Store the secret in `body`, or adopt a secret of a keyring."""
        adopt, provider = request.text("adopt"), request.text("provider")
        username = str(request.arguments["username"])
        sealed = request.flag("sealed")
        if adopt is not None:
            _require_adoptable(request, body)
        notes: list[Value] = []
        typed, service = changed_spellings(request)
        lifetime = request.count("lifetime")
        if adopt is None:
            body, other, end = self._admit(service, username, body)
            notes += [other] if other else []
            lifetime = min((s for s in (lifetime, end) if s is not None), default=None)
        if request.flag("memory"):
            if adopt is not None:
                return await self._adopt_in_memory(request, service, username, body)
            return self._keep_in_memory(request, service, username, body)
        token = None if adopt is not None else self._derived_tokens.read_open_token(body)
        made = None
        limits = limits_of(token)
        by_relay = sealed and _needs_relay(service, token)
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
        source = None
        if adopt is not None:
            source, made = await self._read_adopted(request, service, username, provider, body)
        parent = None if source else self._find_parent(service, username, body)
        if parent is not None:
            return self._store(request, service, parent.vault.provider, notes, None, kept=True)
        is_same = adopt is None and self._is_stored(service, username, limits, body)
        before = await self._changes.login(
            service,
            username,
            body,
            provider,
            lifetime=lifetime,
            adopt=source,
            never_shown=sealed,
            relay_alone=by_relay,
            limits=limits,
            trust=trust_of(request),
        )
        if by_relay:
            notes.append(_BY_RELAY)
        self._keep(service, username, before, made)
        if moved is not None:
            for left in await self._leave(moved, username, limits):
                before = before or left
        if before is None:
            notes += self._ambiguities(service, username)
        notes += self._others(service, username, limits)
        end = None if lifetime is None else self._vaults.clock.wall() + lifetime
        if end is None and made is not None and made.end is not None:
            end = made.end.wall_end
        same = is_same and before is not None
        return self._store(
            request, service, provider, notes, before, same=same, limits=limits, expires=end
        )

    async def _leave(self, service: str, username: str, limits: Limits) -> list[Record]:
        """Remove the entry with these limits from a place where the account is no longer."""
        if all(each.limits != limits for each in self._entries_at(service, username)):
            return []
        gone = await self._changes.logout(
            service, username, provider=None, every=False, limits=limits
        )
        for found in gone:
            self._made.drop(found.record)
        return [found.record for found in gone]

    def _token_of(self, found: StoredRecord) -> IndexToken | None:
        """Return what is visible of the token of a removed entry."""
        if found.record.adopted is not None:
            return None
        try:
            return self._derived_tokens.read_token(found.secret())
        except KeyDestroyed:
            return None

    def _entries_at(self, service: str, username: str) -> list[Entry]:
        return [
            self._vaults.entry(found)
            for found in self._vaults.at(service, None)
            if found.record.username == username
        ]

    def _others(self, service: str, username: str, limits: Limits) -> list[Value]:
        """Return a note if the account now has other entries, for other projects."""
        others = [each.limits for each in self._entries_at(service, username)]
        names = [project_names(each) for each in others if each != limits]
        if not names:
            return []
        these = ", ".join(f"one for {each}" for each in names[:_MOST_NOTED])
        more = f", and {len(names) - _MOST_NOTED} more" if len(names) > _MOST_NOTED else ""
        return [f"Stored beside it, for the same account: {these}{more}."]

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
        same: bool = False,
        limits: Limits = None,
        expires: int | None = None,
    ) -> Answer:
        return success_answer(
            request.number,
            replaced=before is not None,
            before=None if before is None else before.created,
            kept=kept,
            same=same,
            service=service,
            provider=provider,
            projects=None if limits is None else fit_names(limits, NAMES_BYTES),
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

    def _is_stored(self, service: str, username: str, limits: Limits, body: memoryview) -> bool:
        """Tell whether *body* is the secret of this entry; of a sealed one that is not told."""
        found = (
            each.found for each in self._entries_at(service, username) if each.limits == limits
        )
        return any(
            self._derived_tokens.is_same(body, each.secret())
            for each in found
            if each.record.adopted is None and not each.record.never_shown
        )

    def _find_parent(self, service: str, username: str, body: memoryview) -> StoredRecord | None:
        """Return the stored token that *body* derives from: tools save the tokens they get."""
        for found in self._vaults.account(candidates(service), username, None):
            if found.record.adopted is not None:
                continue
            if self._derived_tokens.is_derived_from(body, found.secret()):
                return found
        return None

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
        self._require_unlocked()
        trust = trust_of(request)
        before = self._changes.keep_in_memory(service, username, body, lifetime, trust=trust)
        return self._store(request, service, MEMORY, [], before)

    async def _adopt_in_memory(
        self, request: Request, service: str, username: str, variables: memoryview
    ) -> Answer:
        """Adopt a credential until the agent ends or is locked, where no vault can be written."""
        if request.arguments.keys() & {"provider", "lifetime", "unread"}:
            raise Failure("bad-request", "An adoption in memory takes no provider and no lifetime.")
        self._require_unlocked()
        source, made = await self._read_adopted(request, service, username, None, variables)
        self._require_unlocked()
        trust = trust_of(request)
        before = self._changes.keep_in_memory(
            service, username, variables, None, source, trust=trust
        )
        self._keep(service, username, before, made)
        end = None if made is None or made.end is None else made.end.wall_end
        return self._store(request, service, MEMORY, [], before, expires=end)

    def _require_unlocked(self) -> None:
        if self._opening.is_locked:
            raise Failure("locked", "The agent is locked.", "`auth unlock`")

    async def _read_adopted(
        self,
        request: Request,
        service: str,
        username: str,
        provider: str | None,
        variables: memoryview,
    ) -> tuple[AdoptedSource, Made | None]:
        """Return where a credential is read, and what is there: no entry points to nothing.

        It is not read if `auth refresh` is to do that. If the vault does not exist yet, what was
        read waits for the next such login: no vault is made for nothing. Raises Failure.
        """
        is_absent = provider is not None and self._vaults.of(provider)[0].state == "absent"
        if provider is not None and not is_absent:
            self._changes.require_open(provider)
        spelling = str(request.text("adopt"))
        source = self._adopted.source(request.text("reader"), provider or "", spelling)
        if source.reader == "subprocess":
            self._adopted.choose_program(request.text("program"))
        if request.flag("unread"):
            return source, None
        same = hashlib.blake2s(variables, key=self._salt, digest_size=16).digest()
        first = Record(service, username, 0, None, None, source, same)
        made = await self._made.make_first(first, READING, variables or None)
        if is_absent:
            self._made.hold(first, made)
        return source, made

    def _keep(self, service: str, username: str, before: Record | None, made: Made | None) -> None:
        """Keep what was read before its record was stored, and nothing of the one before."""
        if before is not None:
            self._made.drop(before)
        if made is None:
            return
        for found in self._vaults.at(service, None):
            if found.record.username == username and is_adopted(found.record):
                self._made.adopt(found.record, made)

    def _drop_made(self, service: str, username: str | None) -> bool:
        """Forget what was made or read that an index refused; tell whether that can be had anew."""
        renewable = [
            found.record
            for found in self._vaults.at(service, None)
            if found.record.adopted is not None and username in {None, found.record.username}
        ]
        for record in renewable:
            self._made.drop(record)
        return bool(renewable)

    async def logout(self, request: Request, _body: memoryview) -> Answer:
        """Remove credentials, and return which.

        If an index `refused` what a command made or a keyring had, that is forgotten and the entry
        stays.
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
            service,
            user,
            provider=provider,
            every=request.flag("all"),
            limits=read_entry(request),
        )
        for found in removed:
            self._made.drop(found.record)
        if request.flag("purge"):
            for found in removed:
                await self._adopted.purge(found.record)
        named, _ = page_of_entries(removed[:MAX_NAMED], 0, self._token_of)
        return success_answer(request.number, removed=named, count=len(removed))


def trust_of(request: Request) -> tuple[bytes, ...]:
    """Return the marks of what the login's environment names towards the index. Raises Failure."""
    try:
        return read_marks(request.text("trust") or "")
    except ValueError as error:
        raise Failure("bad-request", f"The trust is not valid: {error}.") from None


def _require_adoptable(request: Request, body: memoryview) -> None:
    """Raise Failure if a login with `adopt` has a secret, or what adopted credentials cannot have."""
    if len(body) != (request.count("environment") or 0):
        raise Failure("bad-request", "A login needs either a secret or `adopt`.")
    if request.flag("sealed"):
        raise Failure("bad-request", "What stays in a keyring is not sealed: others read it.")
    if body:
        require_variables(body)


def _needs_relay(service: str, token: IndexToken | None) -> bool:
    """Tell whether a sealed secret is used by relays alone: no token can be attenuated from it.

    Raises Failure if it could not be used at all.
    """
    if token is not None and token.is_attenuable:
        return False
    if "://" in service and sys.platform != "win32":
        return True
    why = "this system has no relay" if "://" in service else f"{service} is not a URL"
    raise Failure(
        "refused",
        "No token can be attenuated from this credential, so a relay alone could use it if it were"
        f" sealed, and {why}.",
        "leave `--sealed` out",
    )
