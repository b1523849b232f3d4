"""What an index answers to one request, and how a request fails."""

from __future__ import annotations

import json
import re

from tokenward_protocol.light import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any, Protocol

    class IndexWeb(Protocol):
        """Sends requests to indexes. It follows no redirect and never retries."""

        def ask(
            self,
            method: str,
            url: str,
            headers: Mapping[str, str] | None = None,
            data: bytes | None = None,
            /,
        ) -> IndexReply:
            """Send a request and return the answer, whatever its status. Raises WebError."""
            ...


MOST_BYTES = 256 * 1024
"""Bytes of an answer; more is not read."""


class WebError(Exception):
    """A host could not be asked, or its answer is not as its documentation says.

    `str()` is one sentence without secrets.
    """


_SENDABLE = re.compile("[ -~]*")


def require_sendable(host: str, headers: Mapping[str, str]) -> None:
    """Raise WebError unless all values of headers for a host can be sent as they are."""
    if not all(_SENDABLE.fullmatch(value) for value in headers.values()):
        raise WebError(f"The secret for {host} has characters that cannot be sent in a header.")


class IndexReply(Record):
    """An answer: its status, its body, and its time by the host's clock, or None."""

    host: str
    status: int
    body: bytes
    moment: float | None = None

    def fields(self) -> dict[str, Any]:
        """Return the body as a JSON object. Raises WebError if it is not one."""
        try:
            value = json.loads(self.body)
        except (ValueError, RecursionError):
            value = None
        if not isinstance(value, dict):
            raise WebError(f"The answer of {self.host} is not a JSON object.")
        return value

    def unexpected_error(self) -> WebError:
        """Return the error for an answer that is not documented."""
        return WebError(f"{self.host} answered with the status {self.status}.")
