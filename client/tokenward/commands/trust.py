"""`auth trust DIR`: obey what a project's settings say about providers and directories."""

from __future__ import annotations

from tokenward.ui import argument_parser

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import Namespace

    from tokenward.session import Session
    from tokenward.ui.argument_parser import Parser


def describe(parser: Parser, _command: str) -> None:
    """Add options and examples."""
    argument_parser.add_positional(
        parser, "directory", "DIR", metavar="DIR", help="the project's directory"
    )
    parser.examples("auth trust .    obey [tool.uv] here until the file changes")


def run(arguments: Namespace, session: Session) -> None:
    """Remember the file as it is now."""
    file, is_news = session.settings.trust(arguments.directory)
    if is_news:
        session.terminal.say(f"{file} is obeyed as it is now; when it changes, trust it again.")
    else:
        session.terminal.say(f"{file} is trusted already.")
    session.done({"file": file, "changed": is_news})
