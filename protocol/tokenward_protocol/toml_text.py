"""Reading TOML that somebody wrote, with the line of a mistake and nothing else of the text.

What is wrong is told without a word of the file, which may hold passwords. Pure; what imports this
pays for `tomllib`, so it is imported by whoever has a file to read.
"""

from __future__ import annotations

import re
import tomllib

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

MAX_PARTS = 32
"""Parts of the longest key, as in `[tool.uv]`, which has two."""

_PART_AND_DOT = rb"(?:[\w-]++|\"[^\"\n]*+\"|'[^'\n]*+')[ \t]*+\.[ \t]*+"


def parse(data: bytes) -> dict[str, Any]:
    """Return the table that a file's bytes hold.

    Raises ValueError with what is wrong, worded to follow the file's name. A key of very many parts
    is refused: it takes tomllib the square of their number, so that a file with a key of 100 KiB
    would hold up its reader for half a minute.
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
