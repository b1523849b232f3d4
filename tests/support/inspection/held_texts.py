"""What lies below a folder in use, and which files there hold a text: a secret that was to be in none.

The agent removes the files and folders of a run that has ended at any time, so both take what goes
meanwhile for what was not there; `Path.rglob` raises `FileNotFoundError`.
"""

from __future__ import annotations

import fnmatch
import os
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


def paths_below(folder: Path, pattern: str = "*") -> Iterator[Path]:
    """Yield the files and folders below a folder whose name matches a pattern."""
    for place, folders, files in os.walk(folder):
        yield from (Path(place, name) for name in fnmatch.filter([*folders, *files], pattern))


def files_below(folder: Path, pattern: str = "*") -> Iterator[tuple[Path, bytes]]:
    """Yield the files below a folder whose name matches a pattern, and what each one holds."""
    for path in paths_below(folder, pattern):
        try:
            if path.is_file():
                yield path, path.read_bytes()
        except FileNotFoundError:
            continue


def files_with(folder: Path, *texts: str | bytes) -> list[Path]:
    """Return the files below a folder that hold one of these texts."""
    needles = [text.encode() if isinstance(text, str) else text for text in texts]
    return [path for path, data in files_below(folder) if any(it in data for it in needles)]
