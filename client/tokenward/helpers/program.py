"""What every helper program is: started by a tool, reads what that says, answers on stdout.

Nothing is read past a limit, and what is no UTF-8 is refused. Errors are the sentences of the rest
of the client; a tool that has one line for them gets sentence and hint in one.
"""

from __future__ import annotations

import os
from contextlib import closing

from tokenward.errors import CommandError
from tokenward.session import Session
from tokenward.ui.secret_input import stdin
from tokenward.ui.terminal import OutputClosedError, Terminal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

FAILED = 2

MAX_INPUT = 256 * 1024
"""Bytes of the longest thing a tool may say: a secret of the longest kind, escaped, and more."""


def run(work: Callable[[Session], int]) -> int:
    """Do `work` in a session in which nobody is asked; return the exit status.

    What it raises becomes a sentence on stderr.
    """
    terminal = Terminal(os.environ)
    terminal.attended = False
    try:
        with closing(Session(terminal, os.environ, json=False)) as session:
            return work(session)
    except CommandError as failed:
        terminal.fail(str(failed), failed.hint)
    except KeyboardInterrupt:
        terminal.fail("Interrupted.")
    except OutputClosedError:
        pass  # nobody reads it
    return FAILED


def text() -> str:
    """Read stdin to its end. Raises CommandError for what is no text."""
    return _decoded(stdin(MAX_INPUT))


def lines() -> Iterator[str]:
    """Yield the lines of stdin as they come. Raises CommandError for what is no text."""
    while line := stdin(MAX_INPUT, line=True):
        yield _decoded(line)


def _decoded(data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError:
        pass  # raised below: the exception would hold what was read
    raise CommandError("What stdin holds is not UTF-8 text.")


def line_of(error: CommandError) -> str:
    """Return sentence and hint in one line, for a tool that shows one."""
    return f"{error} ({error.hint})" if error.hint else str(error)
