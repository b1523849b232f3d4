"""Derived tokens: attenuated from a stored token, which itself never leaves the agent.

A token is derived in three regions of the arena within one callback: the stored token is opened
into the first, its macaroon decoded into the second, the derived token written into the third; all
are wiped at the end. The derived token waits sealed until it is sent, like every secret. No object
ever holds a token, an identifier or a signature; descriptions hold project names, times and the
index's user numbers. A token that is not a macaroon, or whose index is not known to accept derived
tokens, is not attenuated.

An index accepts a token by its own clock. If the local clock is an hour late, a token derived for
an hour has expired at once; if it is early, the token lives longer than requested. So a command that
talks to an index reports the time there. The differences are kept in memory only, and forgotten when
the local clock was set, since that was probably to correct it; the boot clock shows such a jump. A
report that was late or slow errs to derived tokens that end too early.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Final, NamedTuple

from tokenward_agent.arena import wipe
from tokenward_agent.failure import Failure, SecretSource
from tokenward_agent.store.closed_vaults import origin
from tokenward_agent.store.memory_records import KeptSecret  # noqa: TC001 - NamedTuple reads its annotations
from tokenward_agent.vault.sealing import context, mac_into
from tokenward_protocol.admission import Admission, admit
from tokenward_protocol.index_tokens import (
    Derivation,
    derived_size,
    plan_derivation,
    read_token,
    same_origin,
    write_derived,
)
from tokenward_protocol.macaroons import MAX_TOKEN, SPARE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tokenward_agent.arena import Arena
    from tokenward_agent.clock import Clock
    from tokenward_agent.store.lookup import StoredRecord
    from tokenward_agent.store.memory_records import ProcessKey
    from tokenward_agent.vault.record import Limits
    from tokenward_protocol.index_tokens import IndexToken


FARTHEST: Final = 86400
"""Most seconds by which two clocks may differ: any mix-up of time zones, but not more."""

MOST: Final = 64  # indexes whose clocks are known at a time
_MOST_SEEN: Final = 1024  # secrets of which it is known that they cannot be attenuated
_UNSET: Final = 1  # seconds by which two clocks of whole seconds may seem to drift apart


class _Offset(NamedTuple):
    ahead: int
    since_start: int  # the local wall clock minus the boot clock


class IndexClocks:
    """The clocks of the indexes for which one agent derives tokens; `clock` is the local one."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._seen: dict[str, _Offset] = {}

    def record(self, service: str, now: int) -> int:
        """Note that the clock of a service's index shows *now*, in seconds since 1970.

        Return the seconds by which it is ahead of the local clock; 0 is not kept. Raises Failure.
        """
        ahead = now - self._clock.wall()
        if abs(ahead) > FARTHEST:
            raise Failure("bad-request", "The clock of an index may differ by at most a day.")
        index = origin(service)
        self._seen.pop(index, None)
        if ahead:
            self._seen[index] = _Offset(ahead, self._since_start())
            if len(self._seen) > MOST:
                del self._seen[next(iter(self._seen))]
        return ahead

    def ahead(self, service: str) -> int:
        """Return the seconds by which a service's index is ahead, 0 if unknown."""
        index = origin(service)
        seen = self._seen.get(index)
        if seen is None:
            return 0
        moved = self._since_start() - seen.since_start
        if abs(moved) > _UNSET:
            del self._seen[index]
            return 0
        return seen.ahead - max(moved, 0)

    def _since_start(self) -> int:
        return self._clock.wall() - self._clock.boot()


class Derived(NamedTuple):
    """A derived token to be sent: its sealed bytes, its description, its end by the local clock."""

    secret: KeptSecret
    derivation: Derivation
    expires: int


class DerivedTokens:
    """Derives tokens from those of one agent; `clocks` are the clocks of their indexes."""

    def __init__(self, arena: Arena, key: ProcessKey, clocks: IndexClocks) -> None:
        self._key = key
        self.clocks = clocks
        self._text, self._raw, self._out = (arena.allocate(MAX_TOKEN + SPARE) for _ in range(3))
        self._not_attenuable: set[bytes] = set()  # sealed; a password is opened once to see it

    def derive(
        self,
        secret: SecretSource,
        now: int,
        end: int,
        projects: tuple[str, ...] = (),
        likely: tuple[str, ...] = (),
        ahead: int = 0,
    ) -> Derived | None:
        """Derive a token from a secret; return None if the secret cannot be attenuated.

        The arguments are those of index_tokens.plan_derivation. Times are in seconds since 1970 by
        the local clock, and the index's clock is so many seconds *ahead* of it. Raises
        NotAttenuable, and KeyDestroyed if the secret's key was wiped.
        """
        if secret.sealed in self._not_attenuable:
            return None
        with self._open(secret) as token:
            if token is None or not token.is_attenuable:
                if len(self._not_attenuable) == _MOST_SEEN:
                    self._not_attenuable.clear()
                self._not_attenuable.add(secret.sealed)
                return None
            derivation = plan_derivation(token, now + ahead, end + ahead, projects, likely)
            size = derived_size(token, derivation)
            write_derived(
                token, derivation, self._text[: secret.size], self._raw, mac_into, self._out
            )
            kept = self._key.seal(self._out[:size], context(b"tokenward child"))
            return Derived(kept, derivation, derivation.expires - ahead)

    def read_token(self, secret: SecretSource) -> IndexToken | None:
        """Return what is visible of a secret, None if it is not an index's token. Raises KeyDestroyed."""
        with self._open(secret) as token:
            return token

    def read_limits(self, found: StoredRecord) -> Limits:
        """Return the projects that a stored token is visibly limited to, None for all."""
        return limits_of(self.read_token(found.secret()))

    def read_open_token(self, body: memoryview) -> IndexToken | None:
        """Return what is visible of a plaintext secret in *body*."""
        with self._wiping():
            return _read(body, self._out)

    def admit(self, service: str, username: str, body: memoryview, now: int) -> Admission:
        """Judge a plaintext secret in *body* that is to be stored. Raises NotAdmitted.

        Its times are judged by the index's clock if known; `now` is in seconds since 1970 by the
        local clock.
        """
        with self._wiping():
            return admit(service, username, body, self._raw, now + self.clocks.ahead(service))

    def is_same(self, body: memoryview, secret: SecretSource) -> bool:
        """Tell whether *body* is a secret, if that is no longer than a token. Raises KeyDestroyed."""
        if len(body) != secret.size or secret.size > MAX_TOKEN:
            return False
        with self._wiping():
            text = self._text[: secret.size]
            secret.open_into(text)
            return text == body

    def is_derived_from(self, body: memoryview, secret: SecretSource) -> bool:
        """Tell whether *body* was derived from a secret. Raises KeyDestroyed."""
        with self._open(secret) as token:
            other = None if token is None else _read(body, self._out)
            return (
                token is not None
                and other is not None
                and same_origin(token, self._raw, other, self._out)
                and other.scope.caveats > token.scope.caveats
            )

    @contextmanager
    def _open(self, secret: SecretSource) -> Iterator[IndexToken | None]:
        """Open a secret and read it; None if it is not an index's token."""
        with self._wiping():
            if secret.size > MAX_TOKEN:
                yield None
                return
            text = self._text[: secret.size]
            secret.open_into(text)
            yield _read(text, self._raw)

    @contextmanager
    def _wiping(self) -> Iterator[None]:
        try:
            yield
        finally:
            for region in (self._text, self._raw, self._out):
                wipe(region)


def limits_of(token: IndexToken | None) -> Limits:
    """Return the projects that a token is visibly limited to, None for all."""
    projects = None if token is None else token.scope.projects
    return tuple(sorted(set(projects))) or None if projects else None


def _read(text: memoryview, raw: memoryview) -> IndexToken | None:
    try:
        return read_token(text, raw)
    except ValueError:
        return None
