"""A foreign `keyring` program for tests: real enough to be run, small enough to be read."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


def keyring_program(folder: Path) -> Path:
    """Put a program there that keeps what it is given in files, as the interface says."""
    program = folder / "keyring"
    program.write_text(
        "#!/bin/sh\n"
        f'file="{folder}/item-$(echo "$2 $3" | tr / _)"\n'
        'case "$1" in\n'
        '  set) /bin/cat > "$file" ;;\n'
        '  get) [ -f "$file" ] || exit 1; /bin/cat "$file" ;;\n'
        '  del) [ -f "$file" ] || exit 1; /bin/rm "$file" ;;\n'
        "  *) exit 2 ;;\n"
        "esac\n"
    )
    program.chmod(0o755)
    return program
