"""The files that are installed beside the commands: manual pages, and completions for shells.

They lie below a folder `share`, which is elsewhere for each way to install: the environment's own, the
user's, a checkout's, the system's. The first one that has them is taken.
"""

from __future__ import annotations

import os
import sys

from tokenward.errors import CommandError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

COMPLETIONS = {
    "bash": "bash-completion/completions/auth",
    "fish": "fish/vendor_completions.d/auth.fish",
    "zsh": "zsh/site-functions/_auth",
}
"""The completion of each shell, below `share`."""

ALIASES = (
    "bash-completion/completions/tokenward",
    "fish/vendor_completions.d/tokenward.fish",
)
"""The same for the other name of the program."""

PAGES = ("man/man1/auth.1", "man/man1/tokenward.1", "man/man8/tokenward-agent.8")


def read(name: str) -> str:
    """Return the text of a file below `share`. Raises CommandError if it is not installed."""
    for folder in _folders():
        try:
            with open(f"{folder}/{name}", encoding="utf-8") as file:
                return file.read()
        except OSError:
            continue
    raise CommandError(
        f"{name} was not installed with tokenward.", "install tokenward again, from a wheel"
    )


def _folders() -> Iterator[str]:
    import site

    beside = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    yield f"{beside}/share"  # pip install --target
    yield f"{os.path.dirname(beside)}/share"  # a checkout
    yield f"{sys.prefix}/share"
    yield f"{site.getuserbase()}/share"
    yield "/usr/share"
