"""Reading settings files: contents or None, and one clear sentence for anything odd.

Errors never quote a file's text, which may hold passwords; they name the file and the line. A FIFO
or a socket is refused instead of waited for, and nothing past `MAX_SIZE` is read.
"""

from __future__ import annotations

import os
import stat

from tokenward.errors import CommandError
from tokenward_os.files import SETTINGS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

MAX_SIZE = 1024 * 1024
"""The maximum size of a settings file in bytes."""


def read(path: str, limit: int = MAX_SIZE) -> bytes | None:
    """Return the file's contents, at most `limit` bytes, or None if it does not exist.

    Raises CommandError otherwise.
    """
    try:
        with open(path, "rb", opener=lambda name, flags: os.open(name, flags | SETTINGS)) as file:
            kind = os.fstat(file.fileno()).st_mode
            if not (stat.S_ISREG(kind) or stat.S_ISCHR(kind)):  # /dev/null is an empty file
                raise CommandError(f"{path} is not an ordinary file.")
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
    """Parse TOML. Raises CommandError with the line of the first error."""
    from tokenward_protocol import toml_text

    try:
        return toml_text.parse_toml(data)
    except ValueError as error:
        raise CommandError(f"{path} {error}.") from None


def upward(directory: str) -> Iterator[str]:
    """Yield an absolute directory and all above it."""
    yield directory
    while directory != (above := os.path.dirname(directory)):
        directory = above
        yield directory
