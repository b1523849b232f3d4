"""`auth` alone: where the user stands, and what to do next.

It starts no agent, asks nothing and changes nothing; the exit status is 0 even if something is
wrong, since `auth doctor` is the command that judges.
"""

from __future__ import annotations

import os
import sys
from contextlib import suppress

from tokenward.commands.status import running_status, vault_state
from tokenward.credentials.listing import list_all
from tokenward.errors import CommandError
from tokenward.settings import directories
from tokenward.setup import journal
from tokenward.ui.formatting import columns, count_of
from tokenward_protocol import VERSION

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from tokenward.commands import Namespace, Parser, Session
    from tokenward.ui.formatting import Part

    Steps = list[tuple[str, str]]

_USUAL: Steps = [
    ("auth login [INDEX]", "log in to PyPI, TestPyPI or an index of your own"),
    ("auth list", "what is stored"),
    ("auth exec -- COMMAND", "run a command that uses the credentials"),
    ("auth lock", "lock the vaults; auth unlock opens them again"),
    ("auth doctor", "check that everything works"),
]


def describe(_parser: Parser, _command: str) -> None:
    """Add nothing: there is no word after `auth`."""


def run(_arguments: Namespace, session: Session) -> None:
    """Print the state and the next steps."""
    is_set_up = sys.platform == "win32" or bool(journal.parts(directories.state(session.environ)))
    try:
        header = running_status(session)
        count = _count_stored(header, session)
    except CommandError as failed:
        told = [str(failed), *([f"What helps: {failed.hint}"] if failed.hint else [])]
        _print("", told, [("auth doctor", "what is wrong")], session)
        return
    if count == 0:
        _print(
            "nothing is stored yet", ["To get started:"], _first_steps(session, is_set_up), session
        )
        return
    state = "" if header is None else vault_state(header)[0]
    held = "" if count is None else f", {count_of(count, 'credential')}"
    said = {"": "not running; it starts when it is needed", "Unlocked": f"unlocked{held}"}
    steps = list(_USUAL)
    if state in {"Locked", "Closed"}:
        steps = [
            ("auth unlock", "open the vaults; tools get nothing before"),
            *_USUAL[:3],
            _USUAL[4],
        ]
    if not is_set_up:
        steps.insert(0, _SET_UP)
    _print(said.get(state, state.lower()), [], steps, session)


_SET_UP = ("auth setup", "let twine, uv, pip and others find tokenward")


def _count_stored(header: dict[str, Any] | None, session: Session) -> int | None:
    """Count what is stored: 0 only if that is certain, None if it is not known."""
    if header is None:
        folder = session.directory
        vaults = (f"{folder}/{name}.vault" for name in ("keyring", "disabled"))
        return None if any(map(os.path.lexists, vaults)) else 0
    if vault_state(header)[0] not in {"Unlocked", "Nothing is stored yet"}:
        return None
    return len(list_all(session.connect(start=False).ask)[0])


def _first_steps(session: Session, is_set_up: bool) -> Steps:
    steps = [] if is_set_up else [_SET_UP]
    steps += [("auth login", "log in to PyPI"), ("auth login URL -u NAME", "or to another index")]
    if found := _plain_secrets(session):
        files, number = found
        what = f"take over {count_of(number, 'secret')} of {files}"
        steps.append(("auth import", what))
    return steps


def _plain_secrets(session: Session) -> tuple[str, int] | None:
    """Return the files that hold secrets for indexes, and how many, or None."""
    from tokenward import sources
    from tokenward.sources.document import open_document

    home = directories.home(session.environ)
    files, number = [], 0
    with suppress(CommandError):  # a file that cannot be read is for `auth doctor`
        known = sources.gather(session.settings, session.environ, home)
        for name, source in sources.FILES.items():
            for path in sources.paths(name, session.environ, home):
                document = open_document(name, path, known, source.look)
                count = sum(not one.foreign for one in document.found) if document else 0
                if count:
                    files.append(path.replace(home, "~", 1))
                    number += count
    return (", ".join(files), number) if files else None


def _print(state: str, said: list[str], steps: Steps, session: Session) -> None:
    rows = [(("  " + command, "cyan"), what) for command, what in steps]
    lines: list[str | list[Part]] = [[(f"tokenward {VERSION}", "bold"), f"  {state}".rstrip()], ""]
    lines += [*said, ""] if said else []
    session.terminal.lines([*lines, *columns(rows), "", "All commands: auth --help"])
