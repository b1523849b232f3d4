"""All output to the user and, with questions.py, all questions: no other file prints or asks.

Style of the output:

- A failure, a warning or a notice is one sentence that names the thing: it has a full stop, and a
  capital unless it begins with a name, a URL, a path or an option. "Stored the token for pypi."
- A hint says what helps: a phrase in lower case without a full stop, with only commands and options
  in backquotes. "make room on the disk and do it again", "`auth unlock`".
- The code that raises an error or answers a request writes both in this form; nothing is corrected
  here. Failures are shown as `error: SENTENCE`, with `hint: PHRASE` below.
- Notices and hints go to stderr; data (a secret, JSON, a path, a table) is all that goes to stdout.
  `-q` silences notices, never an error or data; `-v` adds where things came from. No message holds
  a secret.
- Questions are asked on /dev/tty (the console on Windows), whatever stdin and stdout are. The user
  is asked only if stderr is a terminal and /dev/tty opens.
- Colour only if stderr is a terminal that can show it, and never in data.
"""

from __future__ import annotations

import os
import sys

from tokenward.errors import CommandError
from tokenward.ui.formatting import columns, escape

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from contextlib import AbstractContextManager
    from typing import TextIO

    from tokenward.ui.questions import Questions

COLORS = ("auto", "always", "never")
"""The values of `--color`."""

_RED, _CYAN, _YELLOW, _OFF = "\x1b[1;31m", "\x1b[36m", "\x1b[33m", "\x1b[0m"


class OutputClosedError(Exception):
    """The reader of our stdout is gone."""


class Terminal:
    """The user's terminal, if there is one. `color` is `auto`, `always` or `never`.

    With `attended` set to False no question is asked, whatever terminal there is.
    """

    def __init__(
        self,
        environ: Mapping[str, str],
        *,
        color: str = "auto",
        quiet: bool = False,
        verbose: bool = False,
    ) -> None:
        self.attended = True
        self._questions: Questions | None = None
        self._quiet = quiet
        self.verbose = verbose
        self._colored = color == "always" or (
            color == "auto"
            and not environ.get("NO_COLOR")
            and environ.get("TERM", "dumb") != "dumb"
            and _is_terminal(sys.stderr)
        )

    # Messages.

    def say(self, text: str, hint: str = "") -> None:
        """Report what was done, and print a hint."""
        if not self._quiet:
            self._tell(escape(text))
        self.hint(hint)

    def hint(self, text: str) -> None:
        """Print a hint; "" prints nothing."""
        if text and not self._quiet:
            self._tell(self._paint(_CYAN, "hint:") + f" {escape(text)}")

    def warn(self, text: str, hint: str = "") -> None:
        """Print a warning and a hint; "" prints nothing."""
        if text and not self._quiet:
            self._tell(self._paint(_YELLOW, "warning:") + f" {escape(text)}")
        self.hint(hint)

    def detail(self, text: str) -> None:
        """Print where something came from, with `-v` only."""
        if self.verbose:
            self._tell(escape(text))

    def fail(self, message: str, hint: str = "") -> None:
        """Print an error and a hint, with `-q` too."""
        self._tell(self._paint(_RED, "error:") + f" {escape(message)}")
        if hint:
            self._tell(self._paint(_CYAN, "hint:") + f" {escape(hint)}")

    def _paint(self, color: str, word: str) -> str:
        return f"{color}{word}{_OFF}" if self._colored else word

    def _tell(self, line: str) -> None:
        if sys.stderr is None:
            return
        try:
            sys.stderr.write(line + "\n")
            sys.stderr.flush()
        except (OSError, ValueError):
            pass  # stderr has no reader; the command goes on

    # Data.

    def data(self, text: str | bytes) -> None:
        """Write data (text in UTF-8) and a newline to stdout at once, unescaped.

        Raises OutputClosedError if its reader is gone, CommandError if it cannot be written.
        """
        line = text.encode("utf-8", "surrogateescape") if isinstance(text, str) else text
        if sys.stdout is None:
            raise CommandError("Standard output is closed, so nothing can be written to it.", "")
        try:
            sys.stdout.flush()
            _write_all(sys.stdout.fileno(), line + b"\n")
        except BrokenPipeError:
            raise OutputClosedError from None
        except OSError as failed:
            raise CommandError(
                f"Standard output cannot be written: {failed.strerror}.", ""
            ) from None

    def json(self, value: object) -> None:
        """Write one JSON object to stdout."""
        from tokenward.light import json_text

        self.data(json_text(value))

    def table(self, rows: Sequence[Sequence[str]]) -> None:
        """Write rows in columns to stdout; the first is the heading."""
        self.lines(columns(rows))

    def lines(self, lines: Sequence[str]) -> None:
        """Write lines to stdout, with every unprintable character escaped."""
        self.data("\n".join(map(escape, lines)))

    # Questions.

    def unseen(self) -> AbstractContextManager[None]:
        """Hide all input from the first secret on; input typed ahead is lost."""
        return self._dialogue().unseen()

    def is_there(self) -> bool:
        """Return whether the user can be asked."""
        return self.attended and _is_terminal(sys.stderr) and self._dialogue().can_be_answered()

    def ask(self, question: str) -> str:
        """Ask for one visible line, and return it trimmed.

        Raises CommandError if the input ends without an answer.
        """
        return self._dialogue().line(f"{escape(question)} ").strip()

    def ask_secret(self, question: str, *, alone: bool = False) -> str:
        """Ask for one hidden line, and return it as typed.

        Raises CommandError if the input ends first, or with `alone` if more lines came with it.
        """
        return self._dialogue().hidden_line(f"{escape(question)} ", alone=alone)

    def confirm(self, question: str) -> bool:
        """Ask yes or no; every answer but a yes is no."""
        return self.ask(f"{question} [y/N]").lower() in {"y", "yes"}

    def _dialogue(self) -> Questions:
        if self._questions is None:
            from tokenward.ui.questions import Questions

            self._questions = Questions()
        return self._questions


def _is_terminal(stream: TextIO | None) -> bool:
    try:
        return stream is not None and stream.isatty()
    except (OSError, ValueError):  # the stream is closed
        return False


def _write_all(descriptor: int, data: bytes) -> None:
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(descriptor, rest) :]
