"""A refusal: what the relay answers, instead of the index, to a request that it does not let through.

The text goes to the tool twice, as the reason phrase of the status line and as the body; some tools
show the one, some the other. It is a fragment that names the thing ("this run may not read /x/ of
corp"), and never holds a secret: only what the request itself says, cut short.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

MAX_TEXT: Final = 200
"""Characters: a reason phrase that every tool shows whole."""

_SHOWN: Final = 60


class Refusal(Exception):  # noqa: N818 - what it is
    """An answer of the relay's own: `status`, `text` for the tool, and a `hint` for the user or "".

    The text is made fit for a status line: visible ASCII and blanks, at most MAX_TEXT characters.
    """

    def __init__(self, status: int, text: str, hint: str = "") -> None:
        super().__init__(status, text)
        self.status = status
        self.text = _plain(text)[:MAX_TEXT]
        self.hint = _plain(hint)


def excerpt(raw: bytes | str) -> str:
    """Return what a request says (a path, a name) so that a text can hold it: short and plain."""
    text = _plain(raw if isinstance(raw, str) else raw.decode("latin-1"))
    return text if len(text) <= _SHOWN else text[: _SHOWN - 3] + "..."


def _plain(text: str) -> str:
    return "".join(char if " " <= char <= "~" else "?" for char in text)
