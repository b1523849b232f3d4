"""What all helper programs share: a tool starts them, writes to stdin and reads stdout.

Input has a limit, and is refused if it is not UTF-8. Errors are the messages of the rest of the
client; a tool that shows one line gets sentence and hint in one.
"""

from __future__ import annotations

import os

from tokenward.ending import leave
from tokenward.errors import CommandError
from tokenward.session import Session
from tokenward.ui.secret_input import read_stdin
from tokenward.ui.terminal import OutputClosedError, Terminal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

FAILED = 2

MAX_INPUT = 256 * 1024
"""The maximum length of a tool's input in bytes: the longest secret, escaped, and more."""


def run(work: Callable[[Session], int]) -> int:
    """Do `work` in a session that never prompts, and end the process; or return the exit status.

    Its errors are printed to stderr.
    """
    return leave(_done(work))


def _done(work: Callable[[Session], int]) -> int:
    terminal = Terminal(os.environ)
    terminal.attended = False
    try:
        session = Session(terminal, os.environ, json=False)
        try:
            return work(session)
        finally:
            session.close()
    except CommandError as failed:
        terminal.fail(str(failed), failed.hint)
    except KeyboardInterrupt:
        terminal.fail("Interrupted.")
    except OutputClosedError:
        pass  # stdout has no reader
    return FAILED


def read_text() -> str:
    """Read stdin to its end. Raises CommandError if it is not text."""
    return _decode(read_stdin(MAX_INPUT))


def read_lines() -> Iterator[str]:
    """Yield the lines of stdin as they come. Raises CommandError if they are not text."""
    while line := read_stdin(MAX_INPUT, line=True):
        yield _decode(line)


def _decode(data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError:
        pass  # raised below: the exception would hold the input
    raise CommandError("Standard input is not UTF-8 text.")


def error_line(error: CommandError) -> str:
    """Return sentence and hint in one line, for a tool that shows one."""
    return f"{error} ({error.hint})" if error.hint else str(error)
