"""Which files hold a text: a secret that was to be in none of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


def files_with(folder: Path, *texts: str | bytes) -> list[Path]:
    """Return the files below a folder that hold one of these texts.

    A file that is removed meanwhile, as the agent does with those of a run that has ended, holds none.
    """
    needles = [text.encode() if isinstance(text, str) else text for text in texts]
    found = []
    for path in folder.rglob("*"):
        try:
            data = path.read_bytes() if path.is_file() else b""
        except FileNotFoundError:
            continue
        if any(needle in data for needle in needles):
            found.append(path)
    return found
