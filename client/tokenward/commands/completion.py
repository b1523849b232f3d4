"""`auth completion`: print a shell's completion of `auth`, wherever it is installed."""

from __future__ import annotations

from tokenward import shipped
from tokenward.ui.argument_parser import one_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from tokenward.commands import Namespace, Parser, Session


def describe(parser: Parser, _command: str) -> None:
    """Add options and examples."""
    shells = sorted(shipped.COMPLETIONS)
    parser.add_positional("shell", "SHELL", "bash, fish or zsh", type=one_of(shells))
    parser.examples(
        'eval "$(auth completion bash)"                          in ~/.bashrc',
        'eval "$(auth completion zsh)"                           in ~/.zshrc, after compinit',
        "auth completion fish > ~/.config/fish/completions/auth.fish",
        "auth setup shell                                        or all of it, and the manual pages",
    )


def run(arguments: Namespace, session: Session) -> None:
    """Print the script."""
    session.terminal.data(shipped.read(shipped.COMPLETIONS[arguments.shell]).rstrip("\n"))
