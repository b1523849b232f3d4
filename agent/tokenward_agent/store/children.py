"""Attenuated tokens (children), made from a stored token, which never leaves the agent.

A child is made in three regions of the arena within one callback: the stored token is opened into
the first, its macaroon decoded into the second, the child written into the third; all are wiped at
the end. The child waits to be sent sealed, like every secret. No object ever holds a token, an
identifier or a signature; descriptions hold project names, times and the index's user numbers.

A token that is not a macaroon, or is of an index that is not known to accept children, is not
attenuated.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import NamedTuple

from tokenward_agent.arena import wipe
from tokenward_agent.keyed_hash import mac_into
from tokenward_agent.store.process_key import KeptSecret  # noqa: TC001 - NamedTuple reads its annotations
from tokenward_agent.vault.sealing import context
from tokenward_protocol.admission import Admitted, admitted
from tokenward_protocol.index_tokens import Child, child_size, plan, read, same_origin, write_child
from tokenward_protocol.macaroons import MAX_TOKEN, SPARE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Protocol

    from tokenward_agent.arena import Arena
    from tokenward_agent.store.index_clocks import IndexClocks
    from tokenward_agent.store.process_key import ProcessKey
    from tokenward_protocol.index_tokens import IndexToken

    class Sealed(Protocol):
        """A secret that is sealed while in memory, of `size` bytes when open."""

        size: int

        def open_into(self, view: memoryview) -> None:
            """Write the secret into `view`. Raise Gone if its key was wiped."""
            ...


class Made(NamedTuple):
    """A child to be sent: its sealed bytes, its description, and its end by the local clock."""

    secret: KeptSecret
    child: Child
    expires: int


class Children:
    """Makes the children of one agent's tokens; `clocks` are the clocks of their indexes."""

    def __init__(self, arena: Arena, key: ProcessKey, clocks: IndexClocks) -> None:
        self._key = key
        self.clocks = clocks
        self._text, self._raw, self._out = (arena.take(MAX_TOKEN + SPARE) for _ in range(3))

    def make(
        self,
        secret: Sealed,
        now: int,
        end: int,
        projects: tuple[str, ...] = (),
        likely: tuple[str, ...] = (),
        ahead: int = 0,
    ) -> Made | None:
        """Make a child of a secret; return None if the secret cannot be attenuated.

        The arguments are those of index_tokens.plan. Times are in seconds since 1970 by the local
        clock, and the index's clock is so many seconds *ahead* of it. Raise Unfit, and Gone if the
        secret's key was wiped.
        """
        with self._opened(secret) as token:
            if token is None or not token.narrows:
                return None
            child = plan(token, now + ahead, end + ahead, projects, likely)
            size = child_size(token, child)
            write_child(token, child, self._text[: secret.size], self._raw, mac_into, self._out)
            kept = self._key.seal(self._out[:size], context(b"tokenward child"))
            return Made(kept, child, child.expires - ahead)

    def seen(self, secret: Sealed) -> IndexToken | None:
        """Return what is visible of a secret, None if it is not an index's token. Raise Gone."""
        with self._opened(secret) as token:
            return token

    def seen_in(self, body: memoryview) -> IndexToken | None:
        """Return what is visible of a plaintext secret in *body*."""
        with self._wiped():
            return _read(body, self._out)

    def judged(self, service: str, username: str, body: memoryview, now: int) -> Admitted:
        """Judge a plaintext secret in *body* that is to be stored. Raise NotAdmitted.

        Its times are judged by the index's clock if known; `now` is in seconds since 1970 by the
        local clock.
        """
        with self._wiped():
            return admitted(service, username, body, self._raw, now + self.clocks.ahead(service))

    def descends(self, body: memoryview, secret: Sealed) -> bool:
        """Tell whether *body* is a narrower token of the same issue as a secret. Raise Gone."""
        with self._opened(secret) as token:
            other = None if token is None else _read(body, self._out)
            return (
                token is not None
                and other is not None
                and same_origin(token, self._raw, other, self._out)
                and other.restrictions.caveats > token.restrictions.caveats
            )

    @contextmanager
    def _opened(self, secret: Sealed) -> Iterator[IndexToken | None]:
        """Open a secret and read it; None if it is not an index's token."""
        with self._wiped():
            if secret.size > MAX_TOKEN:
                yield None
                return
            text = self._text[: secret.size]
            secret.open_into(text)
            yield _read(text, self._raw)

    @contextmanager
    def _wiped(self) -> Iterator[None]:
        try:
            yield
        finally:
            for region in (self._text, self._raw, self._out):
                wipe(region)


def _read(text: memoryview, raw: memoryview) -> IndexToken | None:
    try:
        return read(text, raw)
    except ValueError:
        return None
