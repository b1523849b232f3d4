"""What shows that a text holds a secret, for texts that are to be stored or shown in the open.

A help against mistakes and no protection: a secret without any mark looks like any other word. Pure.
"""

from __future__ import annotations

import re

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

_KNOWN: Final = re.compile(
    r"(?:^|[^A-Za-z0-9])(?:"
    r"pypi-[\w-]{20}|devpi-[\w-]{20}|gh[opsu]_\w{20}|github_pat_\w{20}|glpat-[\w-]{15}"
    r"|eyJ[\w-]{10,}\.[\w-]{10}|hv[sb]\.[\w-]{20}|ops_eyJ|ya29\.[\w-]{10}|AKIA[0-9A-Z]{16}"
    r"|tokenward-run-[\w-]{20})",
    re.ASCII,
)
"""The beginnings of tokens of indexes, of code hosts and of clouds, and a JWT."""

_NAMED: Final = re.compile(
    r"(?:pass(?:word|wd|phrase)|secret|token|api[-_]?key)[\"']?\s*[:=]\s*[\"']?[^\s\"'/]"
    r"|://[^/\s:@]*:[^/\s@]+@",
    re.IGNORECASE,
)
"""A value behind a name that says what it is; a password in a URL."""

_RUN: Final = re.compile(r"[A-Za-z0-9+_=.~-]{20,}", re.ASCII)


def is_marked(text: str) -> bool:
    """Tell whether a text has a mark of a secret."""
    return bool(_KNOWN.search(text) or _NAMED.search(text))


def may_show(text: str) -> bool:
    """Tell whether a text may show a secret: it is marked, or has a long run of letters and digits."""
    return is_marked(text) or any(
        any(map(str.isdigit, run)) and any(map(str.isalpha, run)) for run in _RUN.findall(text)
    )
