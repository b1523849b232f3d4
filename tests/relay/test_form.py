"""The form of an upload: what is read, what is refused, and what the index reads at last."""

from __future__ import annotations

import hashlib
import io

import pytest

from tokenward_relay.form import (
    FormReader,
    RewrittenForm,
    StoredFile,
    Upload,
    boundary_of,
    check_form,
)
from tokenward_relay.grants import Grant
from tokenward_relay.head import Head
from tokenward_relay.refusal import Refusal

FILE = b"wheel \r\n--BBB-\r\n--BB"
SHA256 = hashlib.sha256(FILE).hexdigest().encode()
NAME = b"mine-1.9-py3-none-any.whl"
CORP = Grant("corp", "https", "index.example", 443, upload=(b"",), projects=("mine",))
GOOD = {
    b":action": b"file_upload",
    b"name": b"mine",
    b"version": b"1.9",
    b"filetype": b"bdist_wheel",
    b"sha256_digest": SHA256,
}


def part(name: bytes, value: bytes, file: bytes | None = None) -> bytes:
    named = b"" if file is None else b'; filename="%b"' % file
    return b'--BBB\r\nContent-Disposition: form-data; name="%b"%b\r\n\r\n%b\r\n' % (
        name,
        named,
        value,
    )


def body(fields: dict[bytes, bytes] = GOOD, file: bytes = NAME) -> bytes:
    parts = b"".join(part(name, value) for name, value in fields.items())
    return parts + part(b"content", FILE, file) + b"--BBB--\r\n"


def read(raw: bytes, size: int = 7) -> tuple[FormReader, list[io.BytesIO]]:
    spools: list[io.BytesIO] = []

    def open_file() -> io.BytesIO:
        spools.append(io.BytesIO())
        return spools[-1]

    reader = FormReader(b"BBB", open_file)
    for at in range(0, len(raw), size):
        reader.feed(raw[at : at + size])
    return reader, spools


def upload(raw: bytes) -> Upload:
    return check_form(read(raw)[0].finish(), CORP)


def test_a_form_says_what_it_publishes() -> None:
    size = len(FILE)
    assert upload(body()) == ("mine", "1.9", NAME.decode(), size, SHA256.decode(), "bdist_wheel")


@pytest.mark.parametrize("size", [1, 2, 3, 7, 64, 1 << 20])
def test_a_form_is_the_same_in_pieces_of_any_size(size: int) -> None:
    reader, spools = read(body(), size)
    assert check_form(reader.finish(), CORP).sha256 == SHA256.decode()
    assert [spool.getvalue() for spool in spools] == [FILE]


def test_the_form_that_goes_on_is_written_anew() -> None:
    reader, _ = read(body())
    new = RewrittenForm(reader.finish(), b"t" * 32)
    pieces = [FILE if isinstance(p, StoredFile) else p for p in new.parts()]
    assert new.length == len(b"".join(pieces))
    assert b"BBB\r" not in b"".join(p for p in new.parts() if isinstance(p, bytes))


def test_the_boundary_is_that_of_the_content_type() -> None:
    head = Head(b"POST", b"/", ((b"content-type", b"multipart/form-data; boundary=BBB"),), b"1.1")
    assert boundary_of(head) == b"BBB"
    with pytest.raises(Refusal) as caught:
        boundary_of(Head(b"POST", b"/", (), b"1.1"))
    assert caught.value.status == 415
