"""Bazel's credential helper protocol, which uv speaks too: one JSON object in, one out.

    {"uri": "https://index.example/x"}  ->  {"headers": {"Authorization": ["Basic …"]}}

`{"headers": {}}` is a miss. `expires` (RFC 3339) is when the credential expires, if it does: the
tool keeps it until then. A user name in the URI is a filter, a password there is ignored. Pure.

https://github.com/EngFlow/credential-helper-spec
"""

from __future__ import annotations

import base64
import json

from tokenward.errors import CommandError
from tokenward.ui.formatting import timestamp

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from tokenward.credentials.lookup import FoundCredential


def uri_of(request: str) -> str:
    """Return the URI of a request. Raises CommandError if it is malformed."""
    try:
        asked = json.loads(request)
    except (ValueError, RecursionError):
        asked = None
    if not isinstance(asked, dict):
        raise CommandError(
            "Standard input is not a JSON object.",
            'write {"uri": "https://h.example/"} to it',
        )
    uri = asked.get("uri")
    if not isinstance(uri, str):
        raise CommandError("The `uri` of the request is not text.")
    if "://" not in uri:
        raise CommandError("The request's `uri` is not absolute.", "begin it with https://")
    return uri


def answer(found: FoundCredential | None) -> dict[str, Any]:
    """Return the response. Raises CommandError for a user name that HTTP cannot carry."""
    if found is None:
        return {"headers": {}}
    if ":" in found.username:  # HTTP would count the rest as the password
        raise CommandError("The account's user name has a colon, which HTTP cannot carry.")
    both = found.username.encode() + b":" + found.secret
    response: dict[str, Any] = {
        "headers": {"Authorization": [f"Basic {base64.b64encode(both).decode()}"]}
    }
    if found.expires is not None:
        response["expires"] = timestamp(found.expires)
    return response
