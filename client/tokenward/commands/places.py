"""`auth dir`: print the credentials directory. `auth trust DIR`: obey a project's settings about it.

A missing directory is made (mode 0700), so that `cd "$(auth dir)"` works. If it cannot be made, its
path is printed all the same.
"""

from __future__ import annotations

import os

from tokenward.files import own_folders

TYPE_CHECKING = False
if TYPE_CHECKING:
    from tokenward.commands import Namespace, Parser, Session


def describe(parser: Parser, command: str) -> None:
    """Add options and examples."""
    if command == "dir":
        parser.examples("auth dir           print it", 'ls -la "$(auth dir)"')
    else:
        parser.add_positional("directory", "DIR", "the project's directory")
        parser.examples("auth trust .    obey [tool.uv] here until the file changes")


def run(arguments: Namespace, session: Session) -> None:
    """Print the directory, or record the current settings of a project as trusted."""
    if arguments.command == "dir":
        _print_directory(session)
        return
    file, is_news = session.settings.trust(arguments.directory)
    session.terminal.say(
        f"{file} is {'trusted until it changes' if is_news else 'already trusted'}."
    )
    session.write_json({"file": file, "changed": is_news})


def _print_directory(session: Session) -> None:
    found = session.settings.directories
    if found.chosen_by:
        session.terminal.detail(f"Chosen by {found.chosen_by}.")
    try:
        own_folders.make(found.credentials)
    except OSError as failed:
        session.terminal.detail(f"{found.credentials} cannot be made: {failed.strerror}.")
    if not session.json:
        session.terminal.data(os.fsencode(found.credentials))
    session.write_json({"directory": found.credentials, "chosen_by": found.chosen_by or None})
