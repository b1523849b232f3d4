"""Which files hold a text: a secret that was to be in none of them."""

from __future__ import annotations

import os
from pathlib import Path


def files_with(folder: Path, *texts: str | bytes) -> list[Path]:
    """Return the files below a folder that hold one of these texts.

    A file or folder that is removed meanwhile, as the agent does with those of a run that has ended,
    holds none.
    """
    needles = [text.encode() if isinstance(text, str) else text for text in texts]
    found = []
    paths = (Path(place, name) for place, _, names in os.walk(folder) for name in names)
    for path in paths:
        try:
            data = path.read_bytes() if path.is_file() else b""
        except FileNotFoundError:
            continue
        if any(needle in data for needle in needles):
            found.append(path)
    return found
