"""Reading settings files: there or not there, and one clear sentence for anything odd.

What an error says never quotes a file's text, which may hold passwords; it names the file and the
line. A FIFO or a socket is refused instead of waited for, and nothing past `MAX_SIZE` is read.
"""

from __future__ import annotations

import os
import stat

from tokenward.errors import CommandError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

MAX_SIZE = 1024 * 1024
"""Bytes of the largest settings file."""

MAX_PARTS = 32
"""Parts of the longest key, as in `[tool.uv]`, which has two."""

_PART_AND_DOT = rb"(?:[\w-]++|\"[^\"\n]*+\"|'[^'\n]*+')[ \t]*+\.[ \t]*+"


def read(path: str, limit: int = MAX_SIZE) -> bytes | None:
    """Return what the file holds, at most `limit` bytes, or None where there is none.

    Raises CommandError otherwise.
    """
    try:
        with open(path, "rb", opener=_without_waiting) as file:
            kind = os.fstat(file.fileno()).st_mode
            if not (stat.S_ISREG(kind) or stat.S_ISCHR(kind)):  # /dev/null is an empty file
                raise CommandError(f"{path} is no ordinary file.")
            data = file.read(limit + 1)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "its name is not valid"
        raise CommandError(f"{path} cannot be read: {reason}.") from None
    if len(data) > limit:
        raise CommandError(f"{path} is larger than {limit} bytes.")
    return data


def parse_toml(data: bytes, path: str) -> dict[str, Any]:
    """Parse TOML. Raises CommandError with the line of the first mistake.

    A key of very many parts is refused: it takes tomllib the square of their number, so that a
    checkout with a key of 100 KiB would hold up every command for half a minute.
    """
    import re
    import tomllib

    if re.search(rb"(?<![\w.-])(?:%b){%d}" % (_PART_AND_DOT, MAX_PARTS), data):
        raise CommandError(f"{path} has a key of more than {MAX_PARTS} parts.")
    try:
        return tomllib.loads(data.decode().replace("\r\n", "\n"))
    except UnicodeDecodeError:
        raise CommandError(f"{path} is not UTF-8 text.") from None
    except (ValueError, RecursionError) as error:  # also a number with thousands of digits
        where = re.search(r"line \d+", str(error))
        raise CommandError(
            f"{path} is not valid TOML ({where[0] if where else 'at its end'})."
        ) from None


def upward(directory: str) -> Iterator[str]:
    """Yield an absolute directory and all above it."""
    yield directory
    while directory != (above := os.path.dirname(directory)):
        directory = above
        yield directory


def _without_waiting(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_CLOEXEC | getattr(os, "O_NONBLOCK", 0))
