"""The credentials that a relay holds: each for one request, a read's for a minute.

They come from the agent, which judges every one. The buffers here are wiped; copies within h11 and
OpenSSL end with the process. A lock makes the relay forget them all.
"""

from __future__ import annotations

import base64
import contextlib
import threading
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Final

    from tokenward_relay.agent_link import AgentLink
    from tokenward_relay.form import Upload
    from tokenward_relay.grants import Grant

READ_SECONDS: Final = 60
"""Seconds for which the credential of a read is kept."""

_SHORTEST_NEEDLE: Final = 8
"""Bytes of a secret that is worth looking for in an answer: a shorter one is in any page."""


class Authorization:
    """The value of one Authorization header, and what must not come back from an index.

    `number` is the question's that it answers.
    """

    def __init__(self, username: bytes, secret: bytearray, number: int = 0) -> None:
        self.number = number
        self._pair = bytearray(username + b":") + secret
        self._secret = secret
        self.header = bytearray(b"Basic ") + base64.b64encode(self._pair)

    @property
    def needles(self) -> tuple[bytes, ...]:
        """The secret as it is and as it was sent."""
        found = bytes(self._secret), bytes(self.header[6:])
        return tuple(each for each in found if len(each) >= _SHORTEST_NEEDLE)

    def wipe(self) -> None:
        """Overwrite it."""
        for buffer in (self._pair, self._secret, self.header):
            buffer[:] = bytes(len(buffer))


class Credentials:
    """Gets credentials from the agent."""

    def __init__(self, link: AgentLink, grants: tuple[Grant, ...]) -> None:
        self._link = link
        self._grants = grants
        self._asking = {grant: threading.Lock() for grant in grants}
        self._kept: dict[Grant, tuple[Authorization, float]] = {}
        self.locks = 0
        """How often everything was forgotten: what is being sent stops when it grows."""

    def for_read(self, grant: Grant) -> Authorization:
        """Return the authorization for a read. Raises Refusal."""
        with self._asking[grant]:  # sixty downloads at once are one question
            kept = self._kept.get(grant)
            if kept is not None and time.monotonic() < kept[1]:
                return kept[0]
            found = self._ask("read", grant)
            self._kept[grant] = found, time.monotonic() + READ_SECONDS
            return found

    @contextlib.contextmanager
    def for_publish(
        self, grant: Grant, upload: Upload, while_waiting: Callable[[], object]
    ) -> Iterator[Authorization]:
        """Lend the authorization for one upload, once the agent allows it. Raises Refusal."""
        found = self._ask("publish", grant, while_waiting, **upload._asdict())
        try:
            yield found
        finally:
            found.wipe()

    def forget_read(self, grant: Grant) -> None:
        """Forget what an index did not accept."""
        self._kept.pop(grant, None)

    def forget(self) -> None:
        """Forget everything that is kept, and stop what is being sent."""
        self.locks += 1
        while self._kept:
            _, (found, _) = self._kept.popitem()
            found.wipe()

    def _ask(
        self,
        question: str,
        grant: Grant,
        while_waiting: Callable[[], object] | None = None,
        **values: object,
    ) -> Authorization:
        number = self._grants.index(grant)
        header, secret = self._link.ask(question, while_waiting, grant=number, **values)
        return Authorization(header["username"].encode(), secret, header["id"])
