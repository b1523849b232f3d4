"""Write what shells and `man` show of the commands into share/, which is laid out as installed.

The commands' own parsers are the one truth; nothing here says again what an option does. The files
are kept in the repository, so that a build needs nothing but the checkout, and `--check`, which a
test runs, tells which of them no longer say what the commands do.
"""

from __future__ import annotations

import sys
from pathlib import Path

from generating import bash, fish, man, zsh
from generating.commands import every_command

SHARE = Path(__file__).resolve().parent.parent / "share"


def files() -> dict[str, str]:
    """Return the text of every generated file by its path in share/."""
    commands = every_command()
    return {
        "bash-completion/completions/auth": bash.completion(commands),
        "bash-completion/completions/tokenward": bash.ALIAS,
        "fish/vendor_completions.d/auth.fish": fish.completion(commands),
        "fish/vendor_completions.d/tokenward.fish": fish.ALIAS,
        "man/man1/auth.1": man.auth(commands),
        "man/man1/tokenward.1": man.ALIAS,
        "man/man8/tokenward-agent.8": man.agent(),
        "zsh/site-functions/_auth": zsh.completion(commands),
    }


def main() -> int:
    """Write all of them, or with `--check` name those that differ and return 1."""
    differing = []
    for name, text in files().items():
        path = SHARE / name
        if path.is_file() and path.read_text("utf-8") == text:
            continue
        differing.append(name)
        if "--check" not in sys.argv[1:]:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, "utf-8")
            print(f"wrote share/{name}")
    if differing and "--check" in sys.argv[1:]:
        print(f"Not as the commands are: {', '.join(differing)}; run ./scripts/generate")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
