"""`auth helper`: the credential helper protocol of Bazel and uv: one JSON object in, one out.

    {"uri": "https://index.example/x"}  ->  {"headers": {"Authorization": ["Basic …"]}}

`{"headers": {}}` is a miss. `expires` (RFC 3339) is when the credential expires, if it does: the
tool keeps it until then. A user name in the URI is a filter, a password there is ignored. A tool
runs this, so it never prompts the user, not even on a terminal.

https://github.com/EngFlow/credential-helper-spec
"""

from __future__ import annotations

import base64

from tokenward.errors import CommandError
from tokenward.helpers import program
from tokenward.ui.argument_parser import one_of
from tokenward.ui.formatting import timestamp

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from tokenward.commands import Namespace, Parser, Session
    from tokenward.credentials.lookup import FoundCredential


def describe(parser: Parser, _command: str) -> None:
    """Add options and examples."""
    what = "get: answer the request on stdin"
    parser.add_positional("action", "get", what, type=one_of(["get"]), metavar="ACTION")
    parser.add_option(
        "--protocol",
        "bazel",
        "the protocol of the tool",
        type=one_of(["bazel"]),
        required=True,
    )
    parser.examples(
        """auth helper --protocol bazel get <<< '{"uri": "https://h.example/"}'""",
        "bazel build --credential_helper=h.example=/path/to/a/script/of/that/command //...",
    )


def run(_arguments: Namespace, session: Session) -> None:
    """Answer one request."""
    session.terminal.attended = False
    uri = uri_of(program.read_text())
    service = program.service_of(uri)
    found = (
        None
        if service is None
        else program.find(session, service, service.username, "write the user name into the URI")
    )
    if found is not None:
        session.terminal.detail(found.origin)
    session.terminal.json(answer(found))


def uri_of(request: str) -> str:
    """Return the URI of a request. Raises CommandError if it is malformed."""
    asked = program.parse_object(
        request, "Standard input is not a JSON object.", 'write {"uri": "https://h.example/"} to it'
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
