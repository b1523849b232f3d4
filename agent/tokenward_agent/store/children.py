"""Children: narrower tokens, made from a stored one for whoever asks, so that it stays here.

Everything happens in three regions of the locked arena, within one callback, and is wiped before
that ends: the stored token is opened into one, its macaroon decoded into the next, the child
written into the third. What waits to be sent is the child, sealed like everything else. No object
ever holds a token, an identifier or a signature; those that a description is made of hold names of
projects, times and the index's numbers of users.

A token that is no macaroon, or of an index that is not known to read children, is left whole.
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
        """A secret at rest in memory, of `size` bytes when open."""

        size: int

        def open_into(self, view: memoryview) -> None:
            """Write the secret into `view`. Raises Gone if its key was destroyed."""
            ...


class Made(NamedTuple):
    """A child on its way out, what it says, and when it ends by the clock here."""

    secret: KeptSecret
    child: Child
    expires: int


class Children:
    """Makes the children of one agent's tokens; `clocks` are those that they end by."""

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
        """Make a child of a secret that can be narrowed, None of any other.

        As index_tokens.plan has it; times in seconds since 1970 by the clock here, of which the
        index's is so many seconds *ahead*. Raises Unfit, and Gone where the secret cannot be opened
        any more.
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
        """Return what is visible of a secret, None if it is no token of an index. Raises Gone."""
        with self._opened(secret) as token:
            return token

    def seen_in(self, body: memoryview) -> IndexToken | None:
        """Return what is visible of a secret that lies open in *body*."""
        with self._wiped():
            return _read(body, self._out)

    def judged(self, service: str, username: str, body: memoryview, now: int) -> Admitted:
        """Judge a secret that lies open in *body* and is to be stored. Raises NotAdmitted.

        By the index's clock, as far as that is known; `now` is in seconds since 1970 by the one here.
        """
        with self._wiped():
            return admitted(service, username, body, self._raw, now + self.clocks.ahead(service))

    def descends(self, body: memoryview, secret: Sealed) -> bool:
        """Tell whether *body* is of the same issue as a secret, and narrower. Raises Gone."""
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
        """Open a secret and read it; None if it is no token of an index."""
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
