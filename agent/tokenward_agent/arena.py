"""The only place where a secret lies in the open: locked memory, lent in blocks, wiped on return.

A secret is opened into a block, used from there and wiped in the same callback. A block is a
writable memoryview, so sockets (``recv_into``, ``send``), pipes (``os.readv``) and ciphers
(``decrypt_into``) work on it without making an object of its content.

The region is the best that the system grants (locked_memory.py; windows/memory.py on Windows);
`kind` names it. If it is not locked, the caller warns once and ``status`` always says so.

It refuses to lend more than it has (ArenaFull) instead of moving secrets to unlocked memory, to
take back a block of another arena, and to let a block be used after its return. One thread takes
and gives; any thread may read a block that it was lent. It does not protect a secret from root (in
``mlock`` memory), from the program itself, or from the hibernation image of a machine that
hibernates.
"""

from __future__ import annotations

import ctypes
import mmap
import sys
from bisect import bisect
from typing import Final

if sys.platform == "win32":
    from tokenward_agent.windows.memory import map_locked
else:
    from tokenward_agent.locked_memory import map_locked


DEFAULT_SIZE: Final = 4 << 20
"""Bytes: half of the 8 MiB that Linux lets a user's process lock since 5.16, touched as used."""

_GRAIN: Final = 64  # bytes of a cache line; blocks are rounded up to it


class ArenaFull(MemoryError):  # noqa: N818 - a MemoryError, named for its meaning
    """No gap is long enough; the caller drops something or answers `busy`."""


def wipe(view: memoryview) -> None:
    """Overwrite the whole writable, contiguous *view* with zeros."""
    if view.nbytes:
        ctypes.memset(ctypes.addressof(ctypes.c_char.from_buffer(view)), 0, view.nbytes)


class Arena:
    """One locked region of *size* bytes (rounded up to whole pages) and its blocks.

    `kind` names the protection in force: ``memfd_secret``, ``mlock``, ``VirtualLock`` or
    ``unlocked: REASON``. `view` is the whole region, for tests and checks.
    """

    def __init__(self, size: int = DEFAULT_SIZE) -> None:
        size = -(-size // mmap.PAGESIZE) * mmap.PAGESIZE
        self._memory, self.kind = map_locked(size)
        self.view = memoryview(self._memory)
        self._free: list[tuple[int, int]] = [(0, size)]  # (offset, length), sorted, never adjacent
        self._blocks: dict[int, tuple[memoryview, int, int]] = {}  # id(view): view, offset, length

    def __repr__(self) -> str:
        return f"Arena({len(self.view)} bytes, {self.kind}, {len(self._blocks)} blocks)"

    @property
    def free_bytes(self) -> int:
        """Bytes not handed out, over all gaps."""
        return sum(length for _, length in self._free)

    def allocate(self, size: int) -> memoryview:
        """Return a zeroed block of *size* bytes (0 is fine). Raises ArenaFull."""
        length = _round_up(size)
        for index, (offset, gap) in enumerate(self._free):
            if gap >= length:
                self._shorten_gap(index, length)
                return self._hand_out(offset, size, length)
        raise ArenaFull(f"The locked memory has no room for {size} more bytes.")

    def release(self, block: memoryview) -> None:
        """Wipe *block*, take it back and make its view (not slices of it) unusable.

        Raises ValueError if `allocate` or `grow` did not return it, or if it was given back before.
        """
        _, offset, length = self._entry(block)
        wipe(self.view[offset : offset + length])
        del self._blocks[id(block)]
        block.release()
        self._insert_gap(offset, length)

    def grow(self, block: memoryview, size: int) -> memoryview:
        """Return a block of *size* bytes with the content of *block* first; give *block* back.

        It grows in place if the memory behind it is free. Raises ArenaFull and leaves *block* as it
        was.
        """
        _, offset, length = self._entry(block)
        if size < len(block):
            raise ValueError("a block does not shrink")
        more = _round_up(size) - length
        index = bisect(self._free, (offset,))  # the first gap behind the block
        start, gap = self._free[index] if index < len(self._free) else (-1, 0)
        if more <= 0 or (start == offset + length and gap >= more):
            if more > 0:
                self._shorten_gap(index, more)
            del self._blocks[id(block)]
            block.release()
            return self._hand_out(offset, size, length + max(more, 0))
        larger = self.allocate(size)  # may raise: until here *block* is untouched
        larger[: len(block)] = block
        self.release(block)
        return larger

    def _entry(self, block: memoryview) -> tuple[memoryview, int, int]:
        try:
            return self._blocks[id(block)]
        except KeyError:
            raise ValueError("not a block of this arena, or given back before") from None

    def _hand_out(self, offset: int, size: int, length: int) -> memoryview:
        block = self.view[offset : offset + size]
        self._blocks[id(block)] = block, offset, length
        return block

    def _shorten_gap(self, index: int, length: int) -> None:
        """Cut *length* bytes off the front of the gap at *index*."""
        offset, gap = self._free[index]
        if gap == length:
            del self._free[index]
        else:
            self._free[index] = offset + length, gap - length

    def _insert_gap(self, offset: int, length: int) -> None:
        """Add a gap and join it with its neighbours, so that gaps are never adjacent."""
        index = bisect(self._free, (offset,))
        if index < len(self._free) and self._free[index][0] == offset + length:
            length += self._free.pop(index)[1]
        if index and sum(self._free[index - 1]) == offset:
            index -= 1
            before, gap = self._free.pop(index)
            offset, length = before, gap + length
        self._free.insert(index, (offset, length))


def _round_up(size: int) -> int:
    return max(-(-size // _GRAIN), 1) * _GRAIN
