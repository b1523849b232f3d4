"""Forms and paths as others read them: what an index may make of what the relay lets through."""

from __future__ import annotations

import hashlib
import importlib.util
import posixpath
import re
from email import message_from_bytes
from email.message import Message
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias
from urllib.parse import unquote_to_bytes

from multipart import (
    PushMultipartParser,  # pyright: ignore[reportAttributeAccessIssue] - it is there
)
from packaging.utils import canonicalize_name
from packaging.version import Version
from python_multipart.multipart import Field, File, create_form_parser

if TYPE_CHECKING:
    from collections.abc import Callable

Read: TypeAlias = list[tuple[str, str | None, bytes]]
"""The parts of a form: name, file name or None, value."""


def by_email(kind: bytes, raw: bytes) -> Read:
    """Read a form with the standard library's parser of mails."""
    mail = message_from_bytes(b"Content-Type: %b\r\n\r\n%b" % (kind, raw))
    assert not mail.defects
    found: Read = []
    for part in mail.get_payload():
        assert isinstance(part, Message)
        name = part.get_param("name", header="content-disposition")
        value = part.get_payload(decode=True)
        assert isinstance(name, str)
        assert isinstance(value, bytes)
        found.append((name, part.get_filename(), value))
    return found


def by_multipart(kind: bytes, raw: bytes) -> Read:
    """Read a form with the package `multipart`, strictly."""
    found: Read = []
    with PushMultipartParser(kind.partition(b"boundary=")[2].decode(), strict=True) as parser:
        for event in parser.parse(raw):
            if isinstance(event, bytes | bytearray):
                found[-1] = (*found[-1][:2], found[-1][2] + bytes(event))
            elif event is not None:
                found.append((event.name, event.filename, b""))
    return found


def by_hand(kind: bytes, raw: bytes) -> Read:
    """Read a form as a careless server may: cut at the boundary, look for the two texts."""
    found: Read = []
    for piece in raw.split(b"--" + kind.partition(b"boundary=")[2])[1:-1]:
        front, _, value = piece.partition(b"\r\n\r\n")
        (name,) = re.findall(rb'[ ;]name="([^"]*)"', front)
        file = re.search(rb'filename="([^"]*)"', front)
        found.append((name.decode(), file and file[1].decode(), value[:-2]))
    return found


def by_python_multipart(kind: bytes, raw: bytes) -> Read:
    """Read a form with python-multipart's own reader of forms; files come last."""
    fields: Read = []
    files: Read = []

    def add_file(file: File) -> None:
        file.file_object.seek(0)
        names = ((file.field_name or b"").decode(), (file.file_name or b"").decode())
        files.append((*names, file.file_object.read()))

    def add_field(field: Field) -> None:
        fields.append(((field.field_name or b"").decode(), None, field.value or b""))

    parser = create_form_parser(
        {"Content-Type": kind}, add_field, add_file, config={"MAX_MEMORY_FILE_SIZE": 1 << 30}
    )
    parser.write(raw)
    parser.finalize()
    parser.close()
    return fields + files


def _pypiservers_guess() -> Callable[[str], tuple[str, str] | None]:
    """Return pypiserver's reading of a file's name, without all that comes with the package."""
    package = importlib.util.find_spec("pypiserver")
    assert package is not None
    assert package.origin is not None
    path = Path(package.origin).with_name("pkg_helpers.py")
    spec = importlib.util.spec_from_file_location("pkg_helpers", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    guess: Callable[[str], tuple[str, str] | None] = module.guess_pkgname_and_version
    return guess


guess = _pypiservers_guess()


def read_upload(kind: bytes, raw: bytes) -> tuple[dict[str, bytes], str, bytes]:
    """Return the fields, the file's name and the file of an upload on which all readers agree.

    Raises AssertionError where they differ, or where the form does not say one thing alone.
    """
    read = by_email(kind, raw)
    assert read == by_multipart(kind, raw) == by_hand(kind, raw)
    plain = [part for part in read if part[1] is None]
    files = {name: (file, value) for name, file, value in read if file is not None}
    assert [*plain, *((name, *file) for name, file in files.items())] == by_python_multipart(
        kind, raw
    )
    names = [name for name, _, _ in plain]
    decides = {"name", "version", ":action", "sha256_digest", "filetype", "metadata_version"}
    assert not {"md5_digest", "blake2_256_digest", "content", "gpg_signature"} & set(names)
    assert [name for name in decides if [n.lower() for n in names].count(name) > 1] == []
    fields = {name: value for name, _, value in plain}
    assert fields[":action"] == b"file_upload"
    assert files.keys() <= {"content", "gpg_signature"}
    name, content = files["content"]
    assert name is not None
    assert hashlib.sha256(content).hexdigest().encode() == fields["sha256_digest"].lower()
    guessed = guess(name)
    assert guessed is not None
    assert canonicalize_name(guessed[0]) == canonicalize_name(fields["name"].decode())
    version = guessed[1].partition("-")[0] if name.endswith(".whl") else guessed[1]
    assert Version(version) == Version(fields["version"].decode())
    return fields, name, content


def readings(target: bytes) -> set[bytes]:
    """Return the paths that servers may read in a target: decoded, cut and resolved in any order."""
    reading, found = target.partition(b"?")[0], set[bytes]()
    for _ in range(3):
        slashed = reading.replace(b"\\", b"/")
        for text in (slashed, re.sub(rb";[^/]*", b"", slashed)):
            found.add(posixpath.normpath(b"/" + text.lstrip(b"/")))
        reading = unquote_to_bytes(reading)
    return found
