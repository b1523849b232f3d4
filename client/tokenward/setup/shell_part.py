"""The part `shell`: the manual pages and the completions, where `man` and the shells look for them.

Below `$XDG_DATA_HOME`, by default `~/.local/share`: man, bash with its package and fish look there. zsh
does so only if its `fpath` has the folder. Installed by a distribution they are found anyway, so
this part is written only if the user names it.
"""

from __future__ import annotations

from tokenward import shipped
from tokenward.setup.work import WholeFile

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

PART = "shell"


def steps(environ: Mapping[str, str], home: str) -> Iterator[WholeFile]:
    """Yield a step for each file. Raises CommandError if one was not installed."""
    data = environ.get("XDG_DATA_HOME", "")
    data = data if data.startswith("/") else f"{home}/.local/share"
    for name in (*shipped.COMPLETIONS.values(), *shipped.ALIASES, *shipped.PAGES):
        path = f"{data}/{name}"
        yield WholeFile(PART, path, shipped.read(name), 0o644, f"move {path} away")
