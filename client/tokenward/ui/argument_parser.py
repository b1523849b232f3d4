"""The command line: the options and their types, and usage errors in our own sentences.

argparse reads the arguments, but its messages quote values, and a misplaced value may be a secret.
So its errors are rephrased: an error names the option, never the value.
"""

from __future__ import annotations

import argparse
import sys

from tokenward.errors import CommandError, HelpShown, sayable
from tokenward.ui.formatting import join_words, wrap
from tokenward.ui.terminal import COLORS, width_of_terminal
from tokenward_protocol import VERSION
from tokenward_protocol.messages import PROVIDERS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any, NoReturn

FORMATS = ("text", "json")

_WIDEST = 100
"""Columns of a help, however wide the terminal is."""

_GIVEN = " given"
"""The attribute of the namespace that lists the options that were read."""


class _ShowHelp(argparse.Action):
    """`--help` and `--version`: leave the parser with a text instead of printing and exiting."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> NoReturn:
        text = parser.format_help() if self.dest == "help" else f"tokenward {VERSION}"
        raise HelpShown(text.rstrip())


class _Once(argparse.Action):
    """Store a value once: an option that is given twice is an error, since two may be meant."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: object,
        option_string: str | None = None,
    ) -> None:
        """Store a value. Raises an error if there is one already."""
        given = vars(namespace).setdefault(_GIVEN, set())
        if option_string is not None and self.dest in given:
            parser.error(f"argument {option_string}: is given twice")
        given.add(self.dest)
        setattr(namespace, self.dest, values)


class Parser(argparse.ArgumentParser):
    """The parser of one command, with the options of every command; `--format` if `formats`."""

    def __init__(self, prog: str, summary: str, *, formats: bool = True) -> None:
        super().__init__(
            prog=prog,
            usage=f"{prog} [OPTIONS]",
            description=summary,
            add_help=False,
            allow_abbrev=False,
            formatter_class=_Formatter,
        )
        for name in None, "store":
            self.register("action", name, _Once)
        if sys.version_info >= (3, 14):
            self.color = False  # help is data, so it has no colour
        add = self.add_argument_group("options of every command").add_argument

        def add_choice(name: str, words: Sequence[str], default: str, what: str) -> None:
            said = f"{what} (default: {default})"
            add(name, type=one_of(words), metavar="|".join(words), default=default, help=said)

        add("-q", "--quiet", action="store_true", help="print only errors")
        what = "print where settings and credentials come from"
        add("-v", "--verbose", action="store_true", help=what)
        if formats:
            add_choice("--format", FORMATS, "text", "output format")
        self.set_defaults(format="text")
        add_choice("--color", COLORS, "auto", "colour of messages")
        add("-V", "--version", action=_ShowHelp, nargs=0, help="print the version")
        add("-h", "--help", action=_ShowHelp, nargs=0, help="print this help")

    def explain(self, text: str) -> None:
        """Put a paragraph below the summary."""
        lines = wrap(text, (width_of_terminal(sys.stdout) or _WIDEST) - 2)
        self.description = "\n".join([str(self.description), "", *lines])

    def examples(self, *lines: str) -> None:
        """Put examples at the end of the help."""
        self.epilog = "examples:\n" + "\n".join(f"  {line}" for line in lines)

    def add_flag(self, name: str, what: str) -> None:
        """Add an option without a value."""
        self.add_argument(name, action="store_true", help=what)

    def add_option(self, name: str, shown: str, what: str, **keywords: Any) -> None:
        """Add an option with a value, which the help shows as `shown`."""
        self.add_argument(name, metavar=shown, help=what, **keywords)

    def add_service(self, what: str) -> None:
        """Add the positional SERVICE."""
        self.add_positional("service", "[SERVICE]", what, nargs="?")

    def add_positional(self, name: str, shown: str, what: str, **keywords: Any) -> None:
        """Add a positional argument, and show it in the usage line as `shown`."""
        self.usage = f"{self.usage} {shown}"
        keywords.setdefault("metavar", shown.strip("[]. "))
        self.add_argument(name, help=what, **keywords)

    def add_program(self, what: str) -> None:
        """Add a program and its arguments: everything after the options, with or without `--`."""
        shown = "[--] CMD [ARG]..."
        self.add_positional("program", shown, what, nargs=argparse.REMAINDER, metavar="CMD")

    def add_words(self) -> None:
        """Add a program with its arguments behind `--`, the attribute `words`."""
        self.usage = f"{self.usage} [-- PROGRAM [ARG]...]"
        self.set_defaults(words=[])

    def add_width(self) -> None:
        """Add `--project` and `--ttl`, which ask for an attenuated token."""
        self.add_option(
            "--project", "NAME", "a token for this project only; may be repeated", action="append"
        )
        self.add_option("--ttl", "TIME", "a token that expires after 15m, 1h ...", type=lifetime)

    def add_username(self, what: str) -> None:
        """Add `-u/--username`, which must not be empty, and `--no-username` for an empty one."""
        self.add_argument(
            "-u", "--username", type=_not_empty("--no-username"), metavar="NAME", help=what
        )
        self.add_flag(
            "--no-username",
            "the user name is empty, for an index that takes a token as the password",
        )

    def add_secret(self, *flags: str, what: str) -> None:
        """Add an option that holds a secret; an empty one is an error."""
        instead = "--no-password" if "--password" in flags else ""
        self.add_argument(*flags, type=_not_empty(instead), metavar="SECRET", help=what)

    def add_provider(self, what: str) -> None:
        """Add `--keyring-provider`."""
        self.add_option("--keyring-provider", "PROVIDER", what, type=one_of(PROVIDERS))

    def add_passphrase_file(self) -> None:
        """Add `--passphrase-file`, which names the file with the passphrase of an export."""
        self.add_option(
            "--passphrase-file",
            "PATH",
            "a private file with the export's passphrase (default: ask for it)",
            type=_not_empty(),
        )

    def read(self, argv: Sequence[str]) -> argparse.Namespace:
        """Parse. Raises CommandError, or HelpShown for help and version."""
        words: Sequence[str] = []
        if self.get_default("words") is not None and "--" in argv:
            at = list(argv).index("--")
            argv, words = argv[:at], argv[at + 1 :]
            self.set_defaults(words=list(words))
        arguments, extra = self.parse_known_args(argv)
        for word in extra:
            if word.startswith("-") and word not in {"-", "--"}:
                raise self._unknown_option_error(word)
        if [word for word in extra if word != "--"]:
            raise self._usage_error(f"`{self.prog}` got too many arguments.")
        return arguments

    def _unknown_option_error(self, word: str) -> CommandError:
        """Return the error for an option that this command does not have."""
        from tokenward.ui.suggestions import SERVICE_OPTIONS, option_for

        option = word.partition("=")[0] if word.startswith("--") else word[:2]
        quoted = f"option `{option}`" if sayable(option) else "such option"
        hint = f"`{self.prog} --help`"
        if near := option_for(option, self._option_string_actions):
            hint = f"did you mean `{near}`?"
        elif option in SERVICE_OPTIONS and "[SERVICE]" in str(self.usage):
            hint = f"the index stands alone, as in `{self.prog} testpypi`"
        return CommandError(f"There is no {quoted}.", hint)

    def error(self, message: str) -> NoReturn:
        """Raise an error of argparse as a CommandError."""
        raise self._usage_error(_sentence(message))

    def _usage_error(self, sentence: str) -> CommandError:
        return CommandError(sentence, f"`{self.prog} --help`")


class _Formatter(argparse.RawDescriptionHelpFormatter):
    def __init__(self, prog: str) -> None:
        width = min(width_of_terminal(sys.stdout) or _WIDEST + 2, _WIDEST + 2) - 2
        super().__init__(prog, max_help_position=32, width=width)


def _sentence(message: str) -> str:
    """Rephrase an error of argparse without the value that it quotes."""
    argument, colon, problem = message.removeprefix("argument ").partition(": ")
    option = f"`{argument.rpartition('/')[2]}`"
    if message.startswith("the following arguments are required"):
        missing = [f"`{name}`" for name in problem.split(", ")]
        return f"{join_words(missing)} {'is' if len(missing) == 1 else 'are'} missing."
    if not colon:
        return "The arguments cannot be parsed."
    if problem.startswith("expected"):
        dash = ""
        if argument.startswith("-"):
            dash = f" (write {argument.rpartition('/')[2]}=VALUE for one that begins with a dash)"
        return f"{option} needs a value{dash}."
    if problem.startswith("ignored explicit"):
        return f"{option} takes no value."
    return f"{option} {problem}."


def one_of(allowed: Sequence[str]) -> Callable[[str], str]:
    """Return the type of an option that must be one of a few words."""

    def read(text: str) -> str:
        if text not in allowed:
            *most, last = allowed
            raise argparse.ArgumentTypeError(
                f"must be {', '.join(most)} or {last}" if most else f"must be {last}"
            )
        return text

    return read


def lifetime(text: str) -> int:
    """Parse the value of `--lifetime` to seconds."""
    from tokenward_protocol import durations

    try:
        return durations.parse_seconds(text)
    except ValueError:
        raise argparse.ArgumentTypeError(
            "is not a length of time above zero, such as 90m, 8h, 7d or 1h30m"
        ) from None


def user_id(text: str) -> int:
    """Parse the value of `--uid`."""
    from tokenward_protocol import folder_trust

    try:
        return folder_trust.user_id(text)
    except ValueError:
        raise argparse.ArgumentTypeError(
            "is not a user id, which is a number; `id -u NAME` prints one"
        ) from None


def moment(text: str) -> float:
    """Parse the value of `--since` to seconds since 1970, by the local clock without a zone."""
    from datetime import datetime
    from time import time

    from tokenward_protocol import durations

    try:
        return time() - durations.parse_seconds(text)
    except ValueError:
        pass
    try:
        return datetime.fromisoformat(text).timestamp()
    except (ValueError, OverflowError):
        raise argparse.ArgumentTypeError(
            "is neither a duration like 8h or 7d nor a date like 2026-01-31"
        ) from None


def _not_empty(instead: str = "") -> Callable[[str], str]:
    """Return the type of an option that must not be empty; `instead` is the option for empty."""

    def read(text: str) -> str:
        if not text:
            raise argparse.ArgumentTypeError(
                f"is empty; use `{instead}` for an empty one" if instead else "is empty"
            )
        return text

    return read
