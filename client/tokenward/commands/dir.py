"""`auth dir`: print the credentials directory, for backups and to look at its permissions.

A missing directory is made (mode 0700), so that `cd "$(auth dir)"` works. If it cannot be made, its
path is printed all the same.
"""

from __future__ import annotations

import os

from tokenward.files import own_folders

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import Namespace

    from tokenward.session import Session
    from tokenward.ui.argument_parser import Parser


def describe(parser: Parser, _command: str) -> None:
    """Add examples."""
    parser.examples("auth dir           print it", 'ls -la "$(auth dir)"')


def run(_arguments: Namespace, session: Session) -> None:
    """Print the directory."""
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
