"""The line editor for a hidden line: the effect of each key.

Erase, word erase, kill and end work as the terminal is set up. Any other key that writes no
character (an arrow, Tab, Ctrl-A, Alt and a letter) is ignored and reported: an invisible cursor
cannot be moved, and the bytes of such a key are not part of a secret. The marks around a paste are
ignored silently. Pure.
"""

from __future__ import annotations

_ESCAPE = 0x1B
PASTE_MARKS = (b"[200~", b"[201~")


class TypedLine:
    """The line so far; the arguments are the terminal's control characters.

    `passed_over` becomes true with each ignored key; `behind` is the input after the line's end.
    """

    def __init__(self, erase: bytes, kill: bytes, end: bytes, word: bytes = b"\x17") -> None:
        self._erase = frozenset(erase + b"\x7f\x08") - {0}
        self._kill, self._end, self._word = kill, end, word
        self._typed = bytearray()
        self._key: bytearray | None = None  # the bytes after an escape character
        self._in_character = False  # the last byte is part of a character of several bytes
        self.passed_over = False
        self.behind = b""

    @property
    def is_in_key(self) -> bool:
        """Whether a key that sends several characters is not complete yet."""
        return self._key is not None

    def end_key(self) -> None:
        """End an incomplete key: it was Escape, or an unknown key."""
        self._key = None
        self.passed_over = True

    def clear(self) -> None:
        """Start anew."""
        self._typed.clear()
        self._key = None

    def feed(self, data: bytes) -> bytes | None:
        """Take input. Return the line once it is complete, None before.

        Raises EOFError for the end character on an empty line.
        """
        for at, byte in enumerate(data):
            char = bytes((byte,))
            if char in {b"\n", b"\r"}:
                self.behind = data[at + 1 :]
                return bytes(self._typed)
            if self._key is not None and byte != _ESCAPE:
                self._in_character = False
                self._more_of_key(byte)
            elif byte == _ESCAPE:
                self.passed_over |= self._key is not None
                self._key = bytearray()
            elif char == self._end:
                if not self._typed:
                    raise EOFError
                return bytes(self._typed)
            else:
                self._take(byte, char)
        return None

    def _take(self, byte: int, char: bytes) -> None:
        if byte in self._erase:
            self._backspace()
        elif char == self._kill:
            self._typed.clear()
        elif char == self._word:
            bare = bytes(self._typed).rstrip()
            del self._typed[max(bare.rfind(b" "), bare.rfind(b"\t")) + 1 :]
        elif byte < 0x20 or (byte & 0xC0 == 0x80 and not self._in_character):
            self.passed_over = (
                True  # a key, or the rest of a character that began as one: Alt and é
            )
        else:
            self._in_character = byte >= 0x80
            self._typed.append(byte)

    def _more_of_key(self, byte: int) -> None:
        key = self._key = bytearray() if self._key is None else self._key
        key.append(byte)
        if key.startswith(b"["):  # up to its final byte; F1 is [[ and a letter on Linux' console
            done = len(key) > 1 and 0x40 <= byte <= 0x7E and key != b"[["
        else:
            done = key != b"O"  # an arrow or F1 is O and a letter; else it is Alt and a letter
        if done:
            self.passed_over |= bytes(key) not in PASTE_MARKS
            self._key = None

    def _backspace(self) -> None:
        """Delete one character with its UTF-8 continuation bytes (10xxxxxx)."""
        while self._typed and self._typed.pop() & 0xC0 == 0x80:
            pass
