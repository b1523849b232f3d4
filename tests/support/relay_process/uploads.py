"""The form of an upload, as twine writes it, and the request that carries it."""

from __future__ import annotations

from support.relay_process.served import PROJECT, host_line

BOUNDARY = b"a-boundary-of-the-tools"
FILE = f"{PROJECT}-1.9-py3-none-any.whl".encode()
WHEEL = b"PK\x03\x04 a wheel" + bytes(range(256)) * 4
_FIELDS = {
    b":action": b"file_upload",
    b"protocol_version": b"1",
    b"name": PROJECT.encode(),
    b"version": b"1.9",
    b"filetype": b"bdist_wheel",
    b"pyversion": b"py3",
    b"metadata_version": b"2.1",
}


def form(content: bytes = WHEEL, **fields: bytes) -> bytes:
    """Return a form; `fields` are put in the place of its own."""
    parts = b"".join(
        b"--%b\r\nContent-Disposition: form-data; name=%b\r\n\r\n%b\r\n"
        % (BOUNDARY, b'"' + name + b'"', value)
        for name, value in (
            _FIELDS | {name.encode(): value for name, value in fields.items()}
        ).items()
    )
    head = b'Content-Disposition: form-data; name="content"; filename="%b"\r\n' % FILE
    kind = b"Content-Type: application/octet-stream\r\n\r\n"
    return parts + b"--%b\r\n%b%b%b\r\n--%b--\r\n" % (BOUNDARY, head, kind, content, BOUNDARY)


def upload(port: int, body: bytes | None = None, more: bytes = b"") -> bytes:
    """Return a whole request that uploads."""
    body = form() if body is None else body
    return head(port, len(body), more) + body


def head(port: int, length: int, more: bytes = b"") -> bytes:
    """Return the head of an upload of so many bytes."""
    kind = b"Content-Type: multipart/form-data; boundary=" + BOUNDARY + b"\r\n"
    size = b"Content-Length: %d\r\n" % length
    return b"POST /legacy/ HTTP/1.1\r\n" + host_line(port) + kind + size + more + b"\r\n"
