"""The head of a request and of an answer: who asks, for which host, and which headers go on.

h11 has read the head; these are the rules that it leaves open. Towards an index goes what is listed
in `_TO_INDEX` and nothing else, and the credential is added last, when `Connection` was obeyed. Back
to the tool goes everything but what is between two hosts, and what would make the tool hold or ask
for a credential.

The capability of a run is compared in constant time, as bytes.
"""

from __future__ import annotations

import binascii
import re
from hmac import compare_digest
from typing import NamedTuple

from tokenward_protocol.url_parts import PartError, host_and_port
from tokenward_relay.refusal import Refusal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from typing import Final, TypeAlias

    from tokenward_relay.grants import Grant

    Headers: TypeAlias = Iterable[tuple[bytes, bytes]]

MAX_HEAD: Final = 64 << 10
"""Bytes of the longest head."""

MAX_HEADERS: Final = 100

_TO_INDEX: Final = {
    *(b"accept", b"accept-charset", b"accept-encoding", b"accept-language", b"cache-control"),
    *(b"content-length", b"content-type", b"if-match", b"if-modified-since", b"if-none-match"),
    *(b"if-range", b"if-unmodified-since", b"pragma", b"range", b"user-agent"),
}
"""What a request with our credential may say: no other credential, no other path, method or host."""

_BETWEEN_TWO: Final = {
    *(b"connection", b"expect", b"http2-settings", b"keep-alive", b"te", b"trailer"),
    *(b"transfer-encoding", b"upgrade"),
}
"""What one connection says for itself; and all of Proxy-*."""

_ELSEWHERE: Final = {
    *(b"forwarded", b"host", b"via", b"x-http-method", b"x-http-method-override"),
    *(b"x-method-override", b"x-original-url", b"x-rewrite-url"),
}
"""What makes some servers read another path, method or host than the relay did; and X-Forwarded-*."""

_NOT_FOR_TOOLS: Final = {
    *(b"alt-svc", b"authentication-info", b"set-cookie", b"set-cookie2"),
    *(b"strict-transport-security", b"www-authenticate"),
}
"""A session cookie is a credential; a challenge makes tools prompt; the others lead past the relay."""

_LENGTH: Final = re.compile(rb"[0-9]{1,15}")
_AUTHORITY: Final = re.compile(
    rb"(\[[0-9A-Fa-f:.]{2,45}\]|[A-Za-z0-9._-]{1,254})(?::([1-9][0-9]{0,4}))?"
)
_ABSOLUTE: Final = re.compile(rb"http://([^/?#]*)(/[^#]*)?", re.IGNORECASE)
_NOT_THIS_RUN: Final = "this is not a request of a run that is open"


class Head(NamedTuple):
    """A request without its body; names of headers are in lower case, the version is b"1.1"."""

    method: bytes
    target: bytes
    headers: tuple[tuple[bytes, bytes], ...]
    version: bytes

    def __repr__(self) -> str:
        return f"Head({self.method!r}, {len(self.headers)} headers)"  # they hold credentials

    def values(self, name: bytes) -> list[bytes]:
        """Return the values of every header of that name."""
        return [value for found, value in self.headers if found == name]


def check_head(head: Head, size: int = 0) -> None:
    """Refuse a head that two readers could read in two ways, or that is too long.

    `size` is its length in bytes if the caller knows it; what was read is counted in any case.
    Raises Refusal: 431 or 400.
    """
    counted = len(head.target) + sum(len(name) + len(value) + 4 for name, value in head.headers)
    if max(size, counted) > MAX_HEAD or len(head.headers) > MAX_HEADERS:
        raise Refusal(431, f"the head has more than {MAX_HEAD} bytes or {MAX_HEADERS} headers")
    if head.version not in {b"1.0", b"1.1"}:
        raise Refusal(400, "the request is not in HTTP/1.1")
    lengths, codings = head.values(b"content-length"), head.values(b"transfer-encoding")
    if len(lengths) + len(codings) > 1:
        raise Refusal(400, "the head says the length of its body more than once")
    if not all(map(_LENGTH.fullmatch, lengths)):
        raise Refusal(400, "the head has a length that is not a number")
    if any(value.lower() != b"chunked" for value in codings) or (
        codings and head.version == b"1.0"
    ):
        raise Refusal(400, "the body comes in a coding that is not chunked")
    if head.method == b"CONNECT" and not is_empty_body(head):
        raise Refusal(400, "a tunnel does not begin with a body")
    if head.values(b"upgrade"):
        raise Refusal(400, "the request asks for another protocol")
    if len(head.values(b"host")) > 1:
        raise Refusal(400, "the head names more than one host")


def is_empty_body(head: Head) -> bool:
    """Tell whether a request has no body, as a read."""
    lengths = head.values(b"content-length")
    return not head.values(b"transfer-encoding") and all(int(value) == 0 for value in lengths)


def parse_connect(target: bytes) -> tuple[str, int]:
    """Read the host (lower case, no trailing dot, IPv6 without brackets) and port of a CONNECT.

    Raises Refusal 400.
    """
    found = _authority(target)
    if found is None or not found[1]:
        raise Refusal(400, "the target of the tunnel is not a host and a port")
    return found


def parse_absolute(target: bytes) -> tuple[str, int, bytes]:
    """Read host, port and origin-form target of `http://host[:port]/path`.

    The path is not judged: other hosts than an index may have any; parse_target judges that of an
    index. Raises Refusal 400.
    """
    found = _ABSOLUTE.fullmatch(target)
    where = _authority(found[1]) if found else None
    if found is None or where is None:
        raise Refusal(400, "the target is not a URL with http, a host and a path")
    return where[0], where[1] or 80, found[2] or b"/"


def require_capability(head: Head, capability: bytes | bytearray | memoryview) -> None:
    """Refuse a request to the proxy that does not hold the capability. Raises Refusal 407."""
    if not _holds(head.values(b"proxy-authorization"), capability):
        raise Refusal(407, _NOT_THIS_RUN)


def reverse_capability(head: Head, capability: bytes | bytearray | memoryview, port: int) -> None:
    """Refuse a request to the loopback URL that does not hold the capability, or names another host.

    A page in a browser can have its own name lead to 127.0.0.1, but not say that it is 127.0.0.1.
    Raises Refusal: 421 or 403.
    """
    if head.values(b"host") != [b"127.0.0.1:%d" % port]:
        raise Refusal(421, "the request names another host than this relay")
    if not _holds(head.values(b"authorization"), capability):
        raise Refusal(403, _NOT_THIS_RUN)


def require_host(head: Head, grant: Grant) -> None:
    """Refuse a request for another host than that of the grant. Raises Refusal 421."""
    hosts = head.values(b"host")
    found = _authority(hosts[0]) if len(hosts) == 1 else None
    default = 443 if grant.scheme == "https" else 80
    if found is None or (found[0], found[1] or default) != (grant.host, grant.port):
        raise Refusal(421, f"the request names another host than that of {grant.name}")


def require_own(head: Head, grant: Grant, capability: bytes | bytearray | memoryview) -> None:
    """Refuse a publish that has no credential of the tool's own. Raises Refusal 400.

    The `capability` is not one: it must not leave.
    """
    values = head.values(b"authorization")
    if len(values) != 1 or _holds(values, capability):
        raise Refusal(
            400,
            f"this publish to {grant.name} has no credential of the command's own",
            f"`auth login {grant.scheme}://{grant.authority.decode()}/` stores one that a relay adds",
        )


def headers_for_index(
    head: Head,
    grant: Grant,
    authorization: bytes | None,
    content: tuple[bytes, int] | None = None,
) -> list[tuple[bytes, bytes]]:
    """Return the headers of a read or a publish, as they go to the index.

    `authorization` is the value of ours; None leaves the tool's own, for a publish that it signs by
    itself. `content` is type and length of a body that was written anew.
    """
    mute = _named_by_connection(head.headers)
    kept = [
        (name, value)
        for name, value in head.headers
        if name in _TO_INDEX and name not in mute and not (content and name[:8] == b"content-")
    ]
    if content is not None:
        kept += [(b"content-type", content[0]), (b"content-length", b"%d" % content[1])]
    own = [authorization] if authorization is not None else head.values(b"authorization")
    return [(b"host", grant.authority), *kept, *((b"authorization", value) for value in own)]


def headers_to_pass(
    head: Head, grant: Grant, capability: bytes | bytearray | memoryview = b""
) -> list[tuple[bytes, bytes]]:
    """Return the headers of a request that goes as the tool sent it: its own credentials with it.

    The `capability` is not one of them: a tool that has nothing better sends it as its password.
    """
    mute = _BETWEEN_TWO | _ELSEWHERE | _named_by_connection(head.headers)
    kept = [
        (name, value)
        for name, value in head.headers
        if name not in mute and not name.startswith((b"proxy-", b"x-forwarded-"))
        if name != b"authorization" or not _holds([value], capability)
    ]
    return [(b"host", grant.authority), *kept]


def headers_for_tool(
    headers: Headers, needles: Sequence[bytes] = (), *, passed: bool = False
) -> list[tuple[bytes, bytes]]:
    """Return the headers of an answer, as they go to the tool.

    `needles` are what the answer may not hold: the secret, and its Basic form. `passed`: the answer
    is to a request with the tool's own credentials, and keeps cookies and challenges. Raises Refusal
    502 if a header holds a needle.
    """
    lower = [(name.lower(), name, value) for name, value in headers]
    mute = _BETWEEN_TWO | _named_by_connection([(low, value) for low, _, value in lower])
    if any(low == b"transfer-encoding" for low, _, _ in lower):
        mute |= {b"content-length"}  # RFC 9112, 6.3: the coding decides
    if not passed:
        mute |= _NOT_FOR_TOOLS
    kept = [
        (name, value)
        for low, name, value in lower
        if low not in mute and not low.startswith(b"proxy-")
    ]
    if any(
        needle in name or needle in value for name, value in kept for needle in needles if needle
    ):
        raise Refusal(502, "the index sent the credential back in a header")
    return kept


def status_for_tool(status: int, grant: Grant) -> int:
    """Return the status that a tool sees. Raises Refusal where it would make the tool prompt."""
    if status == 401:
        url = f"{grant.scheme}://{grant.authority.decode()}/"
        raise Refusal(
            403,
            f"{grant.name} did not accept {grant.whose}",
            "" if grant.own else f"`auth login {url}` stores another one",
        )
    if status == 407:
        raise Refusal(502, f"{grant.name} answered as a proxy would")
    return status


def _authority(text: bytes) -> tuple[str, int] | None:
    """Read `host[:port]`, the port 0 if there is none; None for anything else."""
    found = _AUTHORITY.fullmatch(text)
    if found is None:
        return None
    try:
        host, port = host_and_port(text.decode("ascii"))
    except PartError:
        return None
    return host.strip("[]"), int(port or 0)


def _holds(values: Sequence[bytes], capability: bytes | bytearray | memoryview) -> bool:
    """Tell whether the only value is Basic with the capability as its password."""
    scheme, _, coded = values[0].partition(b" ") if len(values) == 1 else (b"", b"", b"")
    if scheme.lower() != b"basic" or not len(capability):
        return False
    try:
        pair = binascii.a2b_base64(coded.strip(), strict_mode=True)
    except binascii.Error:
        return False
    return compare_digest(pair.partition(b":")[2], capability)


def _named_by_connection(headers: Headers) -> set[bytes]:
    values = (value for name, value in headers if name == b"connection")
    return {word.strip().lower() for value in values for word in value.split(b",")}
