"""Reads TOML that a user wrote; an error names the line and quotes nothing of the text.

The file may hold passwords, so errors do not quote it. Pure. Importing this module imports `tomllib`,
which is slow, so callers import it only when they have a file to read.
"""

from __future__ import annotations

import re
import tomllib

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

MAX_PARTS = 32  # the most parts of a key; `[tool.uv]` has two
_PART_AND_DOT = rb"(?:[\w-]++|\"[^\"\n]*+\"|'[^'\n]*+')[ \t]*+\.[ \t]*+"


def parse_toml(data: bytes) -> dict[str, Any]:
    """Return the table in a file's bytes.

    Raises ValueError with a text that follows the file's name. A key of very many parts is refused:
    tomllib takes time with the square of their number, half a minute for a key of 100 KiB.
    """
    if re.search(rb"(?<![\w.-])(?:%b){%d}" % (_PART_AND_DOT, MAX_PARTS), data):
        raise ValueError(f"has a key of more than {MAX_PARTS} parts")
    try:
        return tomllib.loads(data.decode().replace("\r\n", "\n"))
    except UnicodeDecodeError:
        wrong = "is not UTF-8 text"
    except (ValueError, RecursionError) as error:  # also a number with thousands of digits
        where = re.search(r"line \d+", str(error))
        wrong = f"is not valid TOML ({where[0] if where else 'at its end'})"
    raise ValueError(wrong)
