"""What a mistyped word of the command line may mean: the closest known word, or another tool's word.

Pure. A suggestion is made of known words alone and never of the typed one, which may be a secret.
It is only ever said, never done: a command that was guessed wrong may remove a credential.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

COMMAND_WORDS = {
    "ls": "list",
    "show": "list",
    "whoami": "status",
    "info": "status",
    "add": "login",
    "set": "login",
    "store": "login",
    "signin": "login",
    "rm": "logout",
    "remove": "logout",
    "delete": "logout",
    "erase": "logout",
    "signout": "logout",
    "get": "token",
    "print": "token",
    "run": "exec",
    "start": "agent start",
    "stop": "agent stop",
    "restart": "agent restart",
    "password": "passphrase set",
    "backup": "export",
    "migrate": "import",
    "history": "log",
    "audit": "log",
    "check": "doctor",
    "init": "setup",
    "install": "setup",
    "configure": "setup",
}
"""What other tools and shells call a command of ours."""

OPTION_WORDS = {
    "--json": "--format json",
    "--user": "--username",
    "--pass": "--password",
    "-p": "--password",
    "--with-token": "--token -",
    "--password-stdin": "--password -",
    "--stdin": "--token -",
    "-y": "--yes",
    "-f": "--yes",
    "--force": "--yes",
    "--assume-yes": "--yes",
    "--dry": "--dry-run",
    "--debug": "--verbose",
}
"""The same for options; a suggestion counts only in a command that has it."""

SERVICE_OPTIONS = frozenset(
    {"--index", "--repository", "--repo", "--registry", "--url", "-r", "-i"}
)
"""Options by which other tools name an index, which stands alone here."""


def command_for(word: str, known: Iterable[str]) -> str:
    """Return the command of `known` that a wrong word may mean, or ""."""
    known = list(known)
    meant = COMMAND_WORDS.get(word, "")
    return meant if meant in known else closest(word, known)


def option_for(word: str, known: Iterable[str]) -> str:
    """Return the option of `known`, perhaps with a value, that a wrong one may mean, or ""."""
    known = list(known)
    meant = OPTION_WORDS.get(word, "")
    if meant.partition(" ")[0] in known:
        return meant
    return closest(word, [name for name in known if name.startswith("--")])


def closest(word: str, known: Iterable[str]) -> str:
    """Return the known word that differs least from `word`, or "" if none is close."""
    from difflib import get_close_matches

    found = get_close_matches(word.lower(), list(known), n=1, cutoff=0.7)
    return found[0] if found else ""
