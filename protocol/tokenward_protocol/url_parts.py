"""The pieces of a URL, each in its one canonical spelling: host, port, path, user info.

RFC 3986 for paths and percent-coding, UTS 46 (non-transitional, by the package `idna`) for host
names outside ASCII, RFC 5952 for IPv6. Parts that WHATWG URL, RFC 3986 and inet_aton read
differently are refused. urls.py puts the pieces together and says which of them make a difference.

Every refusal is a `PartError` that quotes nothing of its input: in a mistyped URL the port may be a
password.
"""

from __future__ import annotations

_UNRESERVED = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~"
_PATH = _UNRESERVED + "!$&'()*+,;=:@/"  # what stands in a path as itself: RFC 3986, 3.3
_HOST = "abcdefghijklmnopqrstuvwxyz0123456789-_."
_HEX = "0123456789abcdefABCDEF"


class PartError(Exception):
    """A predicate to print after the masked URL ("has no host"), and a hint."""

    def __init__(self, predicate: str, hint: str = "") -> None:
        super().__init__(predicate, hint)
        self.predicate = predicate
        self.hint = hint


def host_and_port(authority: str) -> tuple[str, str]:
    """Split and normalise `host[:port]`: the port without leading zeros, or ""."""
    if authority.startswith("["):
        inside, bracket, rest = authority[1:].partition("]")
        if not bracket or (rest and rest[0] != ":"):
            raise PartError("has a bracket without an IPv6 address")
        return _ipv6(inside), _port(rest[1:])
    host, _, port = authority.partition(":")
    if ":" in port:
        raise PartError(
            "has more than one colon in its host", "write an IPv6 address in brackets: [::1]"
        )
    return _host(host), _port(port)


def path_key(path: str) -> str:
    """Decode unreserved characters, encode others, remove dot segments, end with one slash."""
    if path.strip(_PATH):  # empty if every character may stand as itself
        path = _recode(path)
    if "/." in path:
        segments: list[str] = []
        for segment in path[1:].split("/"):
            if segment == "..":
                del segments[-1:]
            elif segment != ".":
                segments.append(segment)
        path = "/" + "/".join(segments)
    return path.rstrip("/") + "/"


def decode(text: str) -> str:
    """Percent-decode a user name or password. Raises PartError if the bytes are not UTF-8."""
    if "%" not in text:
        return text
    plain, *coded = text.split("%")
    raw = bytearray(plain.encode())
    for piece in coded:
        raw.append(_byte(piece))
        raw += piece[2:].encode()
    try:
        return raw.decode()
    except UnicodeDecodeError:
        pass  # raised below: the exception's context would hold the bytes
    raise PartError("has user info that is not UTF-8 after percent-decoding")


def _host(host: str) -> str:
    if not host:
        raise PartError("names no host")
    if not host.isascii() or "xn--" in host.lower():
        host = _idna(host)
    host = host.lower().removesuffix(".")
    labels = host.split(".")
    if host.strip(_HOST) or len(host) > 253 or not all(0 < len(label) <= 63 for label in labels):
        raise PartError("has no valid host name")
    if _is_number(labels[-1]) and not (len(labels) == 4 and all(map(_is_octet, labels))):
        raise PartError(
            "has a numeric host that programs read differently",
            "write an IPv4 address as four decimal numbers",
        )
    return host


def _is_number(label: str) -> bool:
    """Tell whether WHATWG URL or inet_aton reads a host that ends in `label` as IPv4."""
    return label.isdigit() or (label.startswith("0x") and not label[2:].strip(_HEX))


def _is_octet(label: str) -> bool:
    return label.isdigit() and len(label) <= 3 and label == str(int(label)) and int(label) < 256


def _idna(host: str) -> str:
    import idna

    if len(host) <= 253:
        try:
            return idna.encode(host, uts46=True, transitional=False).decode("ascii")
        except UnicodeError:
            pass
    raise PartError("has no valid internationalized host name (UTS 46)")


def _ipv6(address: str) -> str:
    import ipaddress

    try:
        packed = ipaddress.IPv6Address(address).packed if "%" not in address else b""
    except ValueError:
        packed = b""
    if not packed:
        raise PartError("has no valid IPv6 address in its brackets")
    # Not str(): since Python 3.13 it writes mapped addresses differently, and uv writes them so.
    text = ":".join(f"{int.from_bytes(packed[at : at + 2]):x}" for at in range(0, 16, 2))
    for zeros in range(8, 1, -1):
        run = ":".join(["0"] * zeros)
        before, found, after = f":{text}:".partition(f":{run}:")
        if found:
            return f"[{before[1:]}::{after[:-1]}]"
    return f"[{text}]"


def _port(port: str) -> str:
    if not port:
        return ""
    number = port.lstrip("0")
    if not (port.isascii() and port.isdigit() and 0 < len(number) <= 5 and int(number) <= 65535):
        raise PartError(
            "has a port that is not a number from 1 to 65535",
            "in a user name or password write %2F for /, %3F for ? and %23 for #",
        )
    return number


def _recode(path: str) -> str:
    plain, *coded = path.split("%")
    parts = [_encode(plain)]
    for piece in coded:
        char = chr(_byte(piece))
        parts.append(char if char in _UNRESERVED else "%" + piece[:2].upper())
        parts.append(_encode(piece[2:]))
    return "".join(parts)


def _encode(text: str) -> str:
    if not text.strip(_PATH):
        return text
    return "".join(c if c in _PATH else "".join(f"%{b:02X}" for b in c.encode()) for c in text)


def _byte(piece: str) -> int:
    """Read the two hexadecimal digits at the start of `piece`."""
    if len(piece) < 2 or piece[0] not in _HEX or piece[1] not in _HEX:
        raise PartError("has a % without two hexadecimal digits", "write %25 for a percent sign")
    return int(piece[:2], 16)
