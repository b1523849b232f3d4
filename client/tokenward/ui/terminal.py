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
- Colour only where it carries meaning, and only on a stream that is a terminal which can show it (or
  with `--color always`); every text is as clear without.
- On a terminal a line is no wider than it: a message is broken at blanks, and a table that is too
  wide becomes a block for each row. A pipe or a file gets whole lines.
"""

from __future__ import annotations

import os
import sys

from tokenward.errors import CommandError
from tokenward.ui.formatting import columns, escape, fit, stack, text_of, width_of, wrap

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from contextlib import AbstractContextManager
    from typing import TextIO

    from tokenward.ui.formatting import Part
    from tokenward.ui.questions import Questions

COLORS = ("auto", "always", "never")
"""The values of `--color`."""

_STYLES = {"bold": "1", "dim": "2", "red": "1;31", "yellow": "33", "cyan": "36"}

_NARROWEST = 20
"""Columns; a terminal that claims to have fewer is not believed."""


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
        self._color = color
        self._is_plain = bool(environ.get("NO_COLOR")) or environ.get("TERM", "dumb") == "dumb"

    # Messages.

    def say(self, text: str, hint: str = "") -> None:
        """Report what was done, and print a hint."""
        if not self._quiet:
            self._tell(text)
        self.hint(hint)

    def hint(self, text: str) -> None:
        """Print a hint; "" prints nothing."""
        if text and not self._quiet:
            self._tell(text, "hint:", "cyan")

    def warn(self, text: str, hint: str = "") -> None:
        """Print a warning and a hint; "" prints nothing."""
        if text and not self._quiet:
            self._tell(text, "warning:", "yellow")
        self.hint(hint)

    def detail(self, text: str) -> None:
        """Print where something came from, with `-v` only."""
        if self.verbose:
            self._tell(text)

    def fail(self, message: str, hint: str = "") -> None:
        """Print an error and a hint, with `-q` too."""
        self._tell(message, "error:", "red")
        if hint:
            self._tell(hint, "hint:", "cyan")

    def at_work(self, text: str) -> AbstractContextManager[None]:
        """Say on a terminal what a command is doing, if that takes longer than a second."""
        from tokenward.ui.progress import after_a_second

        shown = not self._quiet and bool(_is_terminal(sys.stderr))
        return after_a_second(lambda: self._tell(text) if shown else None)

    def _tell(self, text: str, label: str = "", style: str = "") -> None:
        if sys.stderr is None:
            return
        whole = escape(f"{label} {text}" if label else text)
        width = width_of_terminal(sys.stderr)
        indent = " " * (len(label) + 1 if label else 2)
        lines = wrap(whole, width, indent) if width else [whole]
        if label:
            lines[0] = self._paint(sys.stderr, (label, style)) + lines[0][len(label) :]
        try:
            sys.stderr.write("\n".join([*lines, ""]))
            sys.stderr.flush()
        except (OSError, ValueError):
            pass  # stderr has no reader; the command goes on

    def _paint(self, stream: TextIO | None, part: Part) -> str:
        """Return the escaped text of a part, in its colour if the stream can show it."""
        text = text_of(part)
        if isinstance(part, str) or not text or self._color == "never":
            return text
        if self._color == "auto" and (self._is_plain or not _is_terminal(stream)):
            return text
        return f"\x1b[{_STYLES[part[1]]}m{text}\x1b[0m"

    # Data.

    @property
    def shows_data(self) -> bool:
        """Whether stdout is a terminal, so that a person reads what is written there."""
        return _is_terminal(sys.stdout)

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
        from tokenward_protocol.light import json_text

        self.data(json_text(value))

    def table(
        self,
        rows: Sequence[Sequence[Part]],
        *,
        headed: bool = True,
        above: Mapping[int, str] | None = None,
    ) -> None:
        """Write rows in columns to stdout; the first is the heading if `headed`.

        `above` has headings for the rows that it names by their places.
        """
        width = width_of_terminal(sys.stdout)
        lines = columns(rows)
        blocks = [[line] for line in lines]
        if width and max(map(width_of, lines)) > width:
            blocks = [stack(row, width) for row in rows]
            blocks[:headed] = [[]] * headed
        elif headed:
            blocks[0] = [[(text_of(part), "bold") for part in lines[0]]]
        shown: list[str | list[Part]] = []
        for at, block in enumerate(blocks):
            if above and at in above:
                shown.append([(above[at], "bold")])
            shown += block
        self.lines(shown)

    def lines(self, lines: Sequence[str | list[Part]]) -> None:
        """Write lines to stdout, with every unprintable character escaped.

        On a terminal the last part of a line that is too wide is broken, below itself.
        """
        width = width_of_terminal(sys.stdout)
        parts: list[list[Part]] = [[line] if isinstance(line, str) else line for line in lines]
        shown = [fitted for line in parts for fitted in fit(line, width or width_of(line))]
        self.data("\n".join("".join(self._paint(sys.stdout, p) for p in line) for line in shown))

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


def width_of_terminal(stream: TextIO | None) -> int:
    """Return how many columns a stream's terminal has, 0 if it is none or does not know."""
    if stream is None or not _is_terminal(stream):
        return 0
    try:
        width = os.get_terminal_size(stream.fileno()).columns
    except (OSError, ValueError):
        return 0
    return max(width, _NARROWEST) if width else 0


def _is_terminal(stream: TextIO | None) -> bool:
    try:
        return stream is not None and stream.isatty()
    except (OSError, ValueError):  # the stream is closed
        return False


def _write_all(descriptor: int, data: bytes) -> None:
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(descriptor, rest) :]
