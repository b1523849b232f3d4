"""`auth trust DIR`: obey a project's settings about providers and directories."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import Namespace

    from tokenward.session import Session
    from tokenward.ui.argument_parser import Parser


def describe(parser: Parser, _command: str) -> None:
    """Add options and examples."""
    parser.add_positional("directory", "DIR", metavar="DIR", help="the project's directory")
    parser.examples("auth trust .    obey [tool.uv] here until the file changes")


def run(arguments: Namespace, session: Session) -> None:
    """Record the current content of the file as trusted."""
    file, is_news = session.settings.trust(arguments.directory)
    if is_news:
        session.terminal.say(f"{file} is trusted until it changes.")
    else:
        session.terminal.say(f"{file} is already trusted.")
    session.write_json({"file": file, "changed": is_news})
