"""The form of an upload: read as it streams, judged, and written anew.

What an index reads must be what was judged here, whatever its parser does with odd forms. So nothing
of the tool's own bytes around the values goes on: the form is written again with a boundary of the
relay's, one plain part a field. A form that is odd in a way that no tool's is, is refused before.

What is judged is in `check_form`. Each field that decides is there once, in whatever letters: indexes
differ in which of two they take. `md5_digest` and `blake2_256_digest` are left out of the new form,
since no index needs them beside `sha256_digest`, and what was not checked does not go on; a form
without `sha256_digest` gets the one that was computed.

Fields stay in memory; the file goes to a spool that the caller opens. The source of the form's fields
is https://docs.pypi.org/api/upload/.
"""

from __future__ import annotations

import re
from collections import Counter
from hashlib import sha256
from typing import NamedTuple, Protocol

from packaging.utils import canonicalize_name, parse_sdist_filename, parse_wheel_filename
from packaging.version import Version
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser

from tokenward_relay.refusal import Refusal, excerpt

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Final

    from tokenward_relay.grants import Grant
    from tokenward_relay.head import Head

MAX_PARTS: Final = 2000
MAX_FIELDS: Final = 8 << 20
"""Bytes of all fields with their heads."""

MAX_FILE: Final = 2 << 30
"""Bytes of all files, unless the caller sets another limit."""

FILES: Final = ("content", "gpg_signature")

_DECIDING: Final = {
    *(":action", "protocol_version", "name", "version", "filetype", "pyversion"),
    *("metadata_version", "sha256_digest", "md5_digest", "blake2_256_digest", "attestations"),
    *FILES,
}
_UNCHECKED: Final = {"md5_digest", "blake2_256_digest"}

_CONTENT_TYPE: Final = re.compile(
    rb"""multipart/form-data[ ]*;[ ]*boundary=("?)([A-Za-z0-9'()+_,./:=?-]{1,70})\1""",
    re.IGNORECASE,
)
_DISPOSITION: Final = re.compile(rb'form-data((?:; ?[a-z]+="[ !#-\[\]-~]*")+)')
_PARAMETER: Final = re.compile(rb'; ?([a-z]+)="([^"]*)"')
_FIELD: Final = re.compile(rb":?[A-Za-z][A-Za-z0-9_]{0,99}")
_PART_HEADERS: Final = {b"content-disposition", b"content-length", b"content-type", b"mime-version"}
_NAME: Final = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,200}[A-Za-z0-9])?")
_VERSION: Final = re.compile(r"[A-Za-z0-9.!+_-]{1,128}")
_FILE: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+!-]{0,250}")
# Indexes that go by the file's name end the project at the first dash with a digit behind it, or,
# where there are dots and several dashes, see a version only in digits with a dot behind them.
_STEM: Final = re.compile(r"(?:[A-Za-z0-9._]+|(?:(?!-[0-9])[A-Za-z0-9_-])+)-[0-9][A-Za-z0-9.!+_]*")
_TOKEN: Final = re.compile(rb"[A-Za-z0-9]{32,70}")


class SpoolFile(Protocol):
    """Where the bytes of a file go."""

    def write(self, data: memoryview, /) -> object:
        """Take all of `data`."""


class StoredFile(NamedTuple):
    """A file of a form: its name, where its bytes are, their number and their SHA-256 (hex)."""

    name: str
    spool: SpoolFile
    size: int
    sha256: str


class Part(NamedTuple):
    """A part of a form: a field with its value, or one with a file."""

    name: str
    value: bytes
    file: StoredFile | None = None


class Form(NamedTuple):
    """A whole form, its parts in order."""

    parts: tuple[Part, ...]


class Upload(NamedTuple):
    """What a form that was let through publishes; `project` is normalised, `sha256` hex."""

    project: str
    version: str
    file: str
    size: int
    sha256: str
    filetype: str


def boundary_of(head: Head) -> bytes:
    """Return the boundary of an upload's form. Raises Refusal 415 for any other kind of body."""
    types = head.values(b"content-type")
    found = _CONTENT_TYPE.fullmatch(types[0]) if len(types) == 1 else None
    if found is None or head.values(b"content-encoding"):
        raise Refusal(415, "an upload is one multipart/form-data with one boundary, not packed")
    return found[2]


class FormReader:
    """Reads a form piece by piece.

    Its methods raise Refusal (400, or 413 for a limit); after that the reader is of no use.
    """

    def __init__(
        self,
        boundary: bytes,
        open_file: Callable[[], SpoolFile],
        max_file: int = MAX_FILE,
    ) -> None:
        self._parser = MultipartParser(
            boundary,
            {
                "on_part_begin": self._begin_part,
                "on_header_field": self._add_to_name,
                "on_header_value": self._add_to_value,
                "on_header_end": self._end_header,
                "on_headers_finished": self._end_head,
                "on_part_data": self._add_data,
                "on_part_end": self._end_part,
                "on_end": self._end_form,
            },
        )
        self._parser.logger.disabled = True  # it would print pieces of the form
        self._open_file = open_file
        self._end = b"\r\n--" + boundary + b"--"
        self._tail = self._behind = b""
        self._ended = self._parsed = False
        self._field_room, self._file_room = MAX_FIELDS, max_file
        self._parts: list[Part] = []
        self._begin_part()

    def feed(self, data: bytes | bytearray | memoryview) -> None:
        """Read the next piece."""
        piece = bytes(data)
        cut = 0 if self._ended else self._find_end(piece)
        self._ended = self._ended or cut is not None
        try:
            self._parser.write(piece[:cut])
        except FormParserError:
            broken = True
        else:
            broken = self._parsed is not self._ended
        if broken:
            raise Refusal(400, "the form of the upload is not well-formed")
        if self._ended:
            self._behind += piece[cut : (cut or 0) + 3]
            if not b"\r\n".startswith(self._behind):
                raise Refusal(400, "the form of the upload has something behind its end")

    def finish(self) -> Form:
        """Return the form, when all of it was fed."""
        if not self._ended:
            raise Refusal(400, "the form of the upload is cut off")
        return Form(tuple(self._parts))

    def _find_end(self, piece: bytes) -> int | None:
        """Return where in `piece` the form ends, None if it goes on.

        The parser ignores everything behind the end, and does not say where that was.
        """
        most = len(self._end) - 1
        for start, text in ((-len(self._tail), self._tail + piece[:most]), (0, piece)):
            if (at := text.find(self._end)) >= 0:
                return start + at + len(self._end)
        self._tail = (self._tail + piece if len(piece) < most else piece)[-most:]
        return None

    def _begin_part(self) -> None:
        self._head: dict[bytes, bytes] = {}
        self._header, self._header_value, self._value = bytearray(), bytearray(), bytearray()
        self._name, self._file_name = "", ""
        self._spool: SpoolFile | None = None
        self._hash, self._size = sha256(), 0

    def _add_to_name(self, data: bytes, start: int, end: int) -> None:
        self._take_room(end - start)
        self._header += data[start:end]

    def _add_to_value(self, data: bytes, start: int, end: int) -> None:
        self._take_room(end - start)
        self._header_value += data[start:end]

    def _end_header(self) -> None:
        name = bytes(self._header).lower()
        if name in self._head or name not in _PART_HEADERS:
            raise Refusal(
                400, f"a part of the form has the header {excerpt(name)}, as no upload's has"
            )
        self._head[name] = bytes(self._header_value)
        self._header, self._header_value = bytearray(), bytearray()

    def _end_head(self) -> None:
        if len(self._parts) == MAX_PARTS:
            raise Refusal(413, f"the form has more than {MAX_PARTS} fields")
        found = _DISPOSITION.fullmatch(self._head.get(b"content-disposition", b""))
        pairs = _PARAMETER.findall(found[1]) if found else []
        parameters = dict(pairs)
        name = parameters.get(b"name", b"")
        if (
            len(parameters) != len(pairs)
            or parameters.keys() - {b"name", b"filename"}
            or not _FIELD.fullmatch(name)
        ):
            raise Refusal(400, "a part of the form has a name or a disposition that no upload has")
        self._name = name.decode("ascii")
        is_file = b"filename" in parameters
        if is_file is not (self._name in FILES):
            how = "is" if is_file else "is not"
            raise Refusal(400, f"{excerpt(self._name)} {how} sent as a file, unlike in an upload")
        if is_file:
            if any(part.name == self._name for part in self._parts):
                raise Refusal(400, f"the form has two files {self._name}")
            self._file_name = parameters[b"filename"].decode("ascii")
            self._spool = self._open_file()

    def _add_data(self, data: bytes, start: int, end: int) -> None:
        if self._spool is None:
            self._take_room(end - start)
            self._value += data[start:end]
            return
        self._file_room -= end - start
        if self._file_room < 0:
            raise Refusal(413, "the file is larger than the relay has room for")
        piece = memoryview(data)[start:end]
        self._spool.write(piece)
        self._hash.update(piece)
        self._size += end - start

    def _end_part(self) -> None:
        file = None
        if self._spool is not None:
            file = StoredFile(self._file_name, self._spool, self._size, self._hash.hexdigest())
        self._parts.append(Part(self._name, bytes(self._value), file))

    def _end_form(self) -> None:
        self._parsed = True

    def _take_room(self, size: int) -> None:
        self._field_room -= size
        if self._field_room < 0:
            raise Refusal(413, f"the fields of the form have more than {MAX_FIELDS} bytes")


def check_form(form: Form, grant: Grant) -> Upload:
    """Return what a form publishes, if the grant lets it. Raises Refusal 400."""
    count = Counter(part.name.lower() for part in form.parts)
    for part in form.parts:
        lower = part.name.lower()
        if lower in _DECIDING and (part.name != lower or count[lower] > 1):
            raise Refusal(400, f"the form names {lower} twice, or in other letters")
    fields = {part.name: part.value for part in form.parts}
    files = {part.name: part.file for part in form.parts if part.file is not None}
    if fields.get(":action") != b"file_upload":
        raise Refusal(
            400, f"this run may upload files to {grant.name}, and do nothing else by a form"
        )
    if "content" not in files:
        raise Refusal(400, "the form has no file")
    name, version = _text(fields, "name", _NAME), _text(fields, "version", _VERSION)
    project, file = canonicalize_name(name), files["content"]
    if project not in grant.projects:
        raise Refusal(
            400,
            f"this run may publish {' and '.join(grant.projects) or 'nothing'}, not {excerpt(project)}",
            f"`auth exec --project {project}` lets a run publish it",
        )
    filetype = _filetype(file.name, project, version)
    if fields.get("filetype", filetype.encode()) != filetype.encode():
        raise Refusal(400, f"{excerpt(file.name)} is not of the filetype that the form names")
    digest = fields.get("sha256_digest")
    if digest is not None and digest.lower() != file.sha256.encode():
        raise Refusal(400, f"{excerpt(file.name)} is not what its sha256_digest says")
    signature = files.get("gpg_signature")
    if signature is not None and signature.name != file.name + ".asc":
        raise Refusal(
            400, f"{excerpt(signature.name)} is not the signature of {excerpt(file.name)}"
        )
    return Upload(project, version, file.name, file.size, file.sha256, filetype)


def _text(fields: dict[str, bytes], name: str, pattern: re.Pattern[str]) -> str:
    text = fields.get(name, b"").decode("latin-1")
    if not pattern.fullmatch(text):
        raise Refusal(400, f"the form has no valid {name}")
    return text


def _filetype(file: str, project: str, version: str) -> str:
    """Return the type of a file that is by its name one of this version of the project.

    Wheels and sdists alone: PyPI takes no others since 2023. Raises Refusal 400.
    """
    kind, stem = "", file
    if file.endswith(".whl"):
        kind, stem = "bdist_wheel", "-".join(file.split("-")[:2])
    elif file.endswith((".tar.gz", ".zip")):
        kind, stem = "sdist", file.removesuffix(".zip").removesuffix(".tar.gz")
    try:
        named: tuple[str, Version] | None = None
        if kind and _FILE.fullmatch(file) and _STEM.fullmatch(stem):
            wheel = kind == "bdist_wheel"
            named = parse_wheel_filename(file)[:2] if wheel else parse_sdist_filename(file)
        fits = named == (project, Version(version))
    except ValueError:
        fits = False
    if not fits:
        raise Refusal(400, f"{excerpt(file)} is not a file of {project} {excerpt(version)}")
    return kind


class RewrittenForm:
    """A form that `check_form` let through, written anew.

    `token` is 32 to 70 random letters and digits, made after the whole form was read: nothing that
    the tool sent can hold it. `length` is that of the body in bytes. Raises ValueError for another
    token, or for one that a field holds.
    """

    def __init__(self, form: Form, token: bytes) -> None:
        if not _TOKEN.fullmatch(token) or any(token in part.value for part in form.parts):
            raise ValueError("this token cannot be the boundary of the form")
        self.boundary = token
        self.content_type = b"multipart/form-data; boundary=" + token
        self._pieces = list(self._write(form))
        self.length = sum(
            piece.size if isinstance(piece, StoredFile) else len(piece) for piece in self._pieces
        )

    def parts(self) -> Iterator[bytes | StoredFile]:
        """Yield the body in order: bytes, and files whose `size` bytes the caller reads itself."""
        return iter(self._pieces)

    def _write(self, form: Form) -> Iterator[bytes | StoredFile]:
        names = {part.name for part in form.parts}
        if "sha256_digest" not in names:
            digest = next(part.file.sha256 for part in form.parts if part.file is not None)
            yield self._field("sha256_digest", digest.encode())
        for part in form.parts:
            if part.file is not None:
                yield self._front(part.name, b'; filename="%b"' % part.file.name.encode("ascii"))
                yield part.file
                yield b"\r\n"
            elif part.name not in _UNCHECKED:
                yield self._field(part.name, part.value)
        yield b"--%b--\r\n" % self.boundary

    def _field(self, name: str, value: bytes) -> bytes:
        return b"%b%b\r\n" % (self._front(name, b""), value)

    def _front(self, name: str, file: bytes) -> bytes:
        kind = b"Content-Type: application/octet-stream\r\n" if file else b""
        return b'--%b\r\nContent-Disposition: form-data; name="%b"%b\r\n%b\r\n' % (
            *(self.boundary, name.encode("ascii")),
            *(file, kind),
        )
