"""Looks for the credential in what an index answers, and lets nothing of it through.

An index that shows what it was sent, in an error page or for debugging, would hand the credential to
the tool. Found is the credential as it is and as it was sent, in any part of an answer that is not
compressed or written in another way. Pure.
"""

from __future__ import annotations

from tokenward_relay.refusal import Refusal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence


def require_none(text: bytes, needles: Sequence[bytes]) -> None:
    """Raise Refusal 502 if a text holds one of `needles`."""
    if any(needle in text for needle in needles):
        raise Refusal(502, "the index sent the credential back")


def without_echo(pieces: Iterable[bytes], needles: Sequence[bytes]) -> Iterator[bytes]:
    """Yield the pieces of a body, in other pieces; raise Refusal 502 at the first of `needles`.

    What may be the beginning of a needle is held back until more is known.
    """
    held = b""
    for piece in pieces:
        data = held + piece if held else piece
        require_none(data, needles)
        size = len(data) - _begun(data, needles)
        held = data[size:]
        if size:
            yield data[:size]
    if held:
        yield held


def _begun(data: bytes, needles: Sequence[bytes]) -> int:
    """Return how many bytes at the end of `data` may be the beginning of a needle."""
    most = 0
    for needle in needles:
        at = data.find(needle[:1], max(0, len(data) - len(needle) + 1))
        while at >= 0:
            if needle.startswith(data[at:]):
                most = max(most, len(data) - at)
                break
            at = data.find(needle[:1], at + 1)
    return most
