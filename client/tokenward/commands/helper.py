"""`auth helper`: the credential helper protocol of Bazel and uv on stdin and stdout.

A tool runs it, so it never prompts the user, not even on a terminal.
"""

from __future__ import annotations

from tokenward.helpers import bazel, credentials, program
from tokenward.ui import argument_parser
from tokenward.ui.formatting import credential_text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import Namespace

    from tokenward.session import Session
    from tokenward.ui.argument_parser import Parser


def describe(parser: Parser, _command: str) -> None:
    """Add options and examples."""
    argument_parser.add_positional(
        parser,
        "action",
        "get",
        type=argument_parser.one_of(["get"]),
        metavar="ACTION",
        help="get: answer the request on stdin",
    )
    parser.add_argument(
        "--protocol",
        type=argument_parser.one_of(["bazel"]),
        metavar="bazel",
        required=True,
        help="the protocol of the tool",
    )
    parser.examples(
        """auth helper --protocol bazel get <<< '{"uri": "https://h.example/"}'""",
        "bazel build --credential_helper=h.example=/path/to/a/script/of/that/command //...",
    )


def run(_arguments: Namespace, session: Session) -> None:
    """Answer one request."""
    session.terminal.attended = False
    uri = bazel.uri_of(program.read_text())
    service = credentials.service_of(uri)
    found = (
        None
        if service is None
        else credentials.find(
            session, service, service.username, "write the user name into the URI"
        )
    )
    if found is not None:
        kind, place = found.where
        session.terminal.detail(
            f"From the {kind} {place}: {credential_text(found.username, found.service)}."
        )
    session.terminal.json(bazel.answer(found))
