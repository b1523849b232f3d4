"""The distribution files that a command line names, as they are before the command starts.

The agent shows them in its first question about an upload, and a yes covers their digests alone.
They are hashed here and not by the agent, since their disk may not answer. A command that uploads
and names no file sends what lies in `dist`.
"""

from __future__ import annotations

import os
import stat

from tokenward.exec import command
from tokenward_os.files import SAFE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

MOST_BYTES = 60 * 1024
"""The longest listing: the body of one request takes a little more."""

_SUFFIXES = (".whl", ".tar.gz", ".zip")
_PATTERN = frozenset("*?[")
_CHUNK = 1 << 20


def listing_of(program: Sequence[str], cwd: str) -> str:
    """Return the files that CMD names, each in a line `SHA-256 SIZE NAME`; "" for none."""
    lines: list[str] = []
    left = MOST_BYTES
    for path in _paths(program, cwd):
        digest = _digest(path)
        name = os.path.basename(path)
        if digest is None or not name.isascii() or not name.isprintable() or " " in name:
            continue
        line = f"{digest[0]} {digest[1]} {name}\n"
        left -= len(line)
        if left < 0:
            break
        lines.append(line)
    return "".join(lines)


def _paths(program: Sequence[str], cwd: str) -> list[str]:
    found = [path for word in command.words(program)[1:] for path in _expand(word, cwd)]
    if not found and command.uploads(program):
        found = list(_expand("dist/*", cwd))
    return list(dict.fromkeys(found))


def _expand(word: str, cwd: str) -> Iterator[str]:
    """Yield the distribution files of one word, which may be a pattern."""
    if "\0" in word:
        return
    names = [word]
    if not _PATTERN.isdisjoint(word) and "**" not in word:
        import glob

        names = sorted(glob.glob(word, root_dir=cwd)) or names
    for name in names:
        if name.endswith(_SUFFIXES):
            yield os.path.normpath(os.path.join(cwd, name))


def _digest(path: str) -> tuple[str, int] | None:
    """Return the SHA-256 of a plain file in hex, and its size; None if it cannot be read."""
    import hashlib

    try:
        descriptor = os.open(path, os.O_RDONLY | SAFE)
        with open(descriptor, "rb") as file:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                return None
            hashed, size = hashlib.sha256(), 0
            while data := file.read(_CHUNK):
                hashed.update(data)
                size += len(data)
    except OSError:
        return None
    return hashed.hexdigest(), size
