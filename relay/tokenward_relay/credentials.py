"""The credentials that a relay holds: each for one request, a read's for a minute or until its end.

They come from the agent, which judges every one. The buffers here are wiped, a read's after that
minute whether it is used or not; copies within h11 and OpenSSL end with the process. A lock makes the
relay forget them all.
"""

from __future__ import annotations

import base64
import contextlib
import threading
from typing import NamedTuple

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


class Authorization(NamedTuple):
    """The value of one Authorization header, and what must not come back from an index.

    `number` is the question's that it answers.
    """

    header: bytes
    needles: tuple[bytes, ...]
    number: int


class _Held:
    """A credential in buffers that can be wiped, and the number of the question that it answers.

    It may be kept for so many `seconds`.
    """

    def __init__(self, username: bytes, secret: bytearray, number: int, seconds: int) -> None:
        self.seconds = seconds
        self._number = number
        self._secret = secret
        self._pair = bytearray(username + b":") + secret
        self._coded = bytearray(base64.b64encode(self._pair))

    def lend(self) -> Authorization:
        """Return it for one request."""
        found = bytes(self._secret), bytes(self._coded)
        needles = tuple(each for each in found if len(each) >= _SHORTEST_NEEDLE)
        return Authorization(b"Basic " + found[1], needles, self._number)

    def wipe(self) -> None:
        """Overwrite it."""
        for buffer in (self._pair, self._secret, self._coded):
            buffer[:] = bytes(len(buffer))


class Credentials:
    """Gets credentials from the agent, and keeps those of reads for READ_SECONDS, or until their end."""

    def __init__(self, link: AgentLink, grants: tuple[Grant, ...]) -> None:
        self._link = link
        self._grants = grants
        self._asking = {grant: threading.Lock() for grant in grants}
        self._changing = threading.Lock()
        self._kept: dict[Grant, tuple[_Held, threading.Timer]] = {}
        self.locks = 0
        """How often everything was forgotten: what is being sent stops when it grows."""

    def for_read(self, grant: Grant) -> Authorization:
        """Return the authorization for a read. Raises Refusal."""
        with self._asking[grant]:  # sixty downloads at once are one question
            with self._changing:
                if grant in self._kept:
                    return self._kept[grant][0].lend()
                before = self.locks
            held = self._ask("read", grant)
            found = held.lend()
            timer = threading.Timer(held.seconds, self._let_go, (grant, held))
            timer.daemon = True
            with self._changing:
                if self.locks != before:  # a lock came with the answer
                    held.wipe()
                    return found
                self._kept[grant] = held, timer
            timer.start()
            return found

    @contextlib.contextmanager
    def for_publish(
        self, grant: Grant, upload: Upload, while_waiting: Callable[[], object]
    ) -> Iterator[Authorization]:
        """Lend the authorization for one upload, once the agent allows it. Raises Refusal."""
        held = self._ask("publish", grant, while_waiting, **upload._asdict())
        try:
            yield held.lend()
        finally:
            held.wipe()

    def forget_read(self, grant: Grant) -> None:
        """Forget what an index did not accept."""
        with self._changing:
            self._drop(grant)

    def forget(self) -> None:
        """Forget everything that is kept, and stop what is being sent."""
        with self._changing:
            self.locks += 1
            for grant in list(self._kept):
                self._drop(grant)

    def _let_go(self, grant: Grant, held: _Held) -> None:
        with self._changing:
            if grant in self._kept and self._kept[grant][0] is held:
                self._drop(grant)

    def _drop(self, grant: Grant) -> None:
        if grant in self._kept:
            held, timer = self._kept.pop(grant)
            timer.cancel()
            held.wipe()

    def _ask(
        self,
        question: str,
        grant: Grant,
        while_waiting: Callable[[], object] | None = None,
        **values: object,
    ) -> _Held:
        number = self._grants.index(grant)
        header, secret = self._link.ask(question, while_waiting, grant=number, **values)
        seconds = max(min(header.get("seconds", READ_SECONDS), READ_SECONDS), 0)
        return _Held(header["username"].encode(), secret, header["id"], seconds)
