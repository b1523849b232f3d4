"""What a mark in a secret may look like in what a program says or writes."""

from __future__ import annotations

import base64


def forms(mark: str) -> list[bytes]:
    """Return what the mark may look like; base64 in each of its three alignments."""
    raw = mark.encode()
    found = [raw, raw.hex().encode(), raw.hex().upper().encode()]
    found.append("".join(f"%{byte:02X}" for byte in raw).encode())
    for shift in range(3):
        whole = base64.b64encode(bytes(shift) + raw)
        found.append(whole[4 : len(whole) // 4 * 4 - 4])
    return found
