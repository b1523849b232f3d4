"""Write share/, which is laid out as installed, and docs/COMMANDS.md: what shells, `man` and the manual show.

The commands' own parsers are the one truth; nothing here says again what an option does. The files
are kept in the repository, so that a build needs nothing but the checkout, and `--check`, which a
test runs, tells which of them no longer say what the commands do.
"""

from __future__ import annotations

import sys
from pathlib import Path

from generating import bash, fish, man, manual, zsh
from generating.commands import every_command

ROOT = Path(__file__).resolve().parent.parent


def files() -> dict[str, str]:
    """Return the text of every generated file by its path in the checkout."""
    commands = every_command()
    return {
        "docs/COMMANDS.md": manual.page(commands),
        "share/bash-completion/completions/auth": bash.completion(commands),
        "share/bash-completion/completions/tokenward": bash.ALIAS,
        "share/fish/vendor_completions.d/auth.fish": fish.completion(commands),
        "share/fish/vendor_completions.d/tokenward.fish": fish.ALIAS,
        "share/man/man1/auth.1": man.auth(commands),
        "share/man/man1/tokenward.1": man.ALIAS,
        "share/man/man8/tokenward-agent.8": man.agent(),
        "share/zsh/site-functions/_auth": zsh.completion(commands),
    }


def main() -> int:
    """Write all of them, or with `--check` name those that differ and return 1."""
    differing = []
    for name, text in files().items():
        path = ROOT / name
        if path.is_file() and path.read_text("utf-8") == text:
            continue
        differing.append(name)
        if "--check" not in sys.argv[1:]:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, "utf-8")
            print(f"wrote {name}")
    if differing and "--check" in sys.argv[1:]:
        print(f"Not as the commands are: {', '.join(differing)}; run ./scripts/generate")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
