"""The end of a token that is not a macaroon: what a JWT says of itself, and what hosts are known for.

The claims of a JWT (RFC 7519) are not secret, so they may be an object; the text is only a view. A
host is known for its end if its tokens do not show one: AWS CodeArtifact's last for 12 hours, an
access token of Google for one hour. Pure.
"""

from __future__ import annotations

import json
import re

from tokenward_protocol.base64url import decode_into, decoded_size
from tokenward_protocol.caveats import LATEST
from tokenward_protocol.macaroons import SPARE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

_USUAL: Final = (
    ("aws", re.compile(r"https://[a-z0-9-]+\.d\.codeartifact\.[a-z0-9-]+\.amazonaws\.com/"), 43200),
    ("oauth2accesstoken", re.compile(r"https://[a-z0-9-]+-python\.pkg\.dev/"), 3600),
)
"""User names and hosts whose secrets are tokens of so many seconds."""


def usual_seconds(service: str, username: str) -> int | None:
    """Return how long the tokens of a service (a key) live at most, None if that is not known."""
    return next((s for user, url, s in _USUAL if user == username and url.match(service)), None)


def jwt_claims(text: memoryview) -> dict[str, object] | None:
    """Return the claims of a JWT (RFC 7519), None if the text is not a JWT."""
    if bytes(text[:3]) != b"eyJ":  # the base64 of `{"`, with which a JWT begins
        return None
    dots = [at for at, byte in enumerate(text) if byte == 0x2E]
    if len(dots) != 2:
        return None
    payload = text[dots[0] + 1 : dots[1]]
    try:
        raw = bytearray(decoded_size(len(payload)) + SPARE)
        size = decode_into(payload, memoryview(raw))
        claims = json.loads(raw[:size])
    except (ValueError, RecursionError):
        return None
    return claims if isinstance(claims, dict) else None


def jwt_end(claims: dict[str, object]) -> int | None:
    """Return when a JWT expires, None if it does not say so."""
    end = claims.get("exp")
    # It may have a fraction; Python also reads NaN, Infinity, and integers of any length.
    if not isinstance(end, int | float) or isinstance(end, bool) or not abs(end) < LATEST:
        return None
    return int(end)
