"""The questions of terminal.py, loaded with the first one."""

from __future__ import annotations

import sys
from contextlib import ExitStack, closing, contextmanager

from tokenward.errors import CommandError
from tokenward.ui.secret_input import one_line

if sys.platform == "win32":
    from tokenward.windows.console import Console
else:
    from tokenward.ui.prompt import Console

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator


class Questions:
    """The console for questions; their texts are escaped already."""

    def __init__(self) -> None:
        self._span: ExitStack | None = None
        self._held: Console | None = None  # set while input is hidden

    def can_be_answered(self) -> bool:
        """Return whether there is a terminal."""
        try:
            _console().close()
        except CommandError:
            return False
        return True

    @contextmanager
    def unseen(self) -> Iterator[None]:
        """Hide all input from the first secret on; input typed ahead is lost."""
        if self._span is not None:
            yield
            return
        with ExitStack() as span:
            self._span = span
            try:
                yield
            finally:
                self._span = self._held = None

    def line(self, prompt: str) -> str:
        """Ask for a visible line. Raises CommandError as `Terminal.ask`."""
        with self._asking(unseen=False) as console:
            try:
                return _text(console.line(prompt))
            except EOFError:
                raise _unanswered_error() from None

    def hidden_line(self, prompt: str, *, alone: bool) -> str:
        """Ask for a hidden line. Raises CommandError as `Terminal.ask_secret`."""
        with self._asking(unseen=True) as console:
            try:
                typed = console.hidden_line(prompt)
            except EOFError:
                raise _unanswered_error() from None
        return _text(one_line(typed if alone else typed.partition(b"\n")[0], "The answer"))

    @contextmanager
    def _asking(self, *, unseen: bool) -> Iterator[Console]:
        """Yield the console. Raises CommandError without a terminal."""
        if self._held is not None:
            yield self._held
            return
        with ExitStack() as stack:
            console = stack.enter_context(closing(_console()))
            if unseen and self._span is not None:
                stack.enter_context(console.unseen())
                self._span.push(stack.pop_all())
                self._held = console
            yield console


def _console() -> Console:
    """Return the console. Raises CommandError without a terminal."""
    try:
        return Console()
    except OSError:
        raise CommandError(
            "There is no terminal to ask on.", "write the secret to stdin, as a pipe or a file"
        ) from None


def _text(typed: bytes) -> str:
    try:
        return typed.decode()
    except UnicodeDecodeError:
        pass  # raised below: the exception would hold the answer
    raise CommandError("The answer is not UTF-8.", "use a terminal that is set to UTF-8")


def _unanswered_error() -> CommandError:
    return CommandError("The input ended before the question was answered.", "")
