"""The form of an upload: what is read, what is refused, and what the index reads at last.

The attacks of tests/relay/attacks/forms.toml are the examples; here are the properties.
"""

from __future__ import annotations

import hashlib
import io
import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from packaging.utils import canonicalize_name

from support.relay.readers import guess, read_upload
from tokenward_relay.form import (
    MAX_FIELDS,
    MAX_PARTS,
    Form,
    FormReader,
    Part,
    RewrittenForm,
    StoredFile,
    Upload,
    boundary_of,
    check_form,
)
from tokenward_relay.grants import Grant
from tokenward_relay.head import Head
from tokenward_relay.refusal import Refusal

TOKEN = b"0123456789abcdefghijklmnopqrstuv"
FILE = b"wheel \r\n--BBB-\r\n--BB"
SHA256 = hashlib.sha256(FILE).hexdigest().encode()
NAME = b"mine-1.9-py3-none-any.whl"
CORP = Grant("corp", "https", "index.example", 443, upload=(b"",), projects=("mine", "my-pkg-2"))
GOOD: list[tuple[bytes, bytes]] = [
    (b":action", b"file_upload"),
    (b"name", b"mine"),
    (b"version", b"1.9"),
    (b"filetype", b"bdist_wheel"),
    (b"sha256_digest", SHA256),
]


def part(name: bytes, value: bytes, file: bytes | None = None) -> bytes:
    named = b"" if file is None else b'; filename="%b"' % file
    return b'--BBB\r\nContent-Disposition: form-data; name="%b"%b\r\n\r\n%b\r\n' % (
        name,
        named,
        value,
    )


def body(*parts: tuple[bytes, ...]) -> bytes:
    every = parts or (*GOOD, (b"content", FILE, NAME))
    return b"".join(part(*each) for each in every) + b"--BBB--\r\n"


def feed(raw: bytes, size: int = 64, max_file: int = 1 << 20) -> FormReader:
    reader = FormReader(b"BBB", io.BytesIO, max_file)
    for at in range(0, len(raw), size):
        reader.feed(raw[at : at + size])
    return reader


def upload(raw: bytes) -> Upload:
    return check_form(feed(raw).finish(), CORP)


def rewritten(form: Form) -> tuple[bytes, bytes]:
    """Return type and body of the new form."""
    new = RewrittenForm(form, TOKEN)
    pieces = [p if isinstance(p, bytes) else content(p) for p in new.parts()]
    assert new.length == sum(map(len, pieces))
    return new.content_type, b"".join(pieces)


def content(file: StoredFile) -> bytes:
    assert isinstance(file.spool, io.BytesIO)
    return file.spool.getvalue()


def assert_every_reader_reads(form: Form, judged: Upload) -> None:
    """Hold what four readers see in the new form against what was judged in the old one."""
    fields, file, written = read_upload(*rewritten(form))
    assert canonicalize_name(fields["name"].decode()) == judged.project
    assert judged.project in CORP.projects
    assert fields["version"].decode() == judged.version
    assert fields["sha256_digest"].lower().decode() == judged.sha256
    assert fields.get("filetype", judged.filetype.encode()).decode() == judged.filetype
    assert (file, len(written)) == (judged.file, judged.size)
    old = [(part.name, part.value) for part in form.parts if part.file is None]
    digests = {"md5_digest", "blake2_256_digest"}
    assert dict(old).items() - fields.items() == {
        pair for pair in dict(old).items() if pair[0] in digests
    }


def test_a_form_says_what_it_publishes() -> None:
    size = len(FILE)
    assert upload(body()) == ("mine", "1.9", NAME.decode(), size, SHA256.decode(), "bdist_wheel")


@pytest.mark.parametrize("size", [1, 2, 3, 7, 64, 1 << 20])
def test_a_form_is_the_same_in_pieces_of_any_size(size: int) -> None:
    form = feed(body(), size).finish()
    assert [(p.name.encode(), p.value) for p in form.parts if p.file is None] == GOOD
    assert [content(p.file) for p in form.parts if p.file is not None] == [FILE]
    assert_every_reader_reads(form, check_form(form, CORP))


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
def test_a_form_is_fed_in_bytes_of_every_kind(
    kind: type[bytes | bytearray | memoryview],
) -> None:
    reader = FormReader(b"BBB", io.BytesIO)
    reader.feed(kind(body()))
    assert check_form(reader.finish(), CORP).file == NAME.decode()


def test_the_new_form_has_the_parts_in_order_and_nothing_of_the_old_one_around_them() -> None:
    kind, raw = rewritten(feed(body()).finish())
    assert kind == b"multipart/form-data; boundary=" + TOKEN
    assert raw.startswith(b'--%b\r\nContent-Disposition: form-data; name=":action"\r\n\r\n' % TOKEN)
    assert raw.endswith(b"\r\n--%b--\r\n" % TOKEN)
    assert re.findall(rb'name="([^"]+)"(?!;)', raw) == [*(name for name, _ in GOOD), NAME]
    assert raw.count(b"application/octet-stream") == 1


@pytest.mark.parametrize("token", [b"", b"short", b"x" * 71, b"-" * 40, TOKEN[:-1] + b'"'])
def test_a_boundary_is_many_letters_and_digits(token: bytes) -> None:
    with pytest.raises(ValueError, match="boundary"):
        RewrittenForm(feed(body()).finish(), token)


def test_a_boundary_that_a_field_holds_is_not_taken() -> None:
    form = feed(body(*GOOD, (b"description", b"x" + TOKEN), (b"content", FILE, NAME))).finish()
    with pytest.raises(ValueError, match="boundary"):
        RewrittenForm(form, TOKEN)


def test_a_form_is_whole_or_refused() -> None:
    raw = body()
    for end in range(len(raw) - 2):
        with pytest.raises(Refusal):
            feed(raw[:end]).finish()
    for end in (len(raw) - 2, len(raw) - 1, len(raw)):  # the last end of line may be missing
        assert feed(raw[:end]).finish()


@pytest.mark.parametrize("size", [1, 5, 1 << 20])
@pytest.mark.parametrize("rest", [b"x", b"\r\nx", b"\n", b"--BBB--\r\n", b"\r\n" + body()])
def test_nothing_stands_behind_a_form(rest: bytes, size: int) -> None:
    with pytest.raises(Refusal, match="behind"):
        feed(body() + rest, size)


def test_limits_are_refused_as_too_large() -> None:
    for raw in (
        body(*[(b"a", b"")] * (MAX_PARTS + 1)),
        body((b"description", b"x" * (MAX_FIELDS + 1))),
        body((b"content", b"x" * 2000, NAME), (b"gpg_signature", b"x" * 2000, NAME + b".asc")),
    ):
        with pytest.raises(Refusal) as caught:
            feed(raw, 1 << 20, max_file=3000)
        assert caught.value.status == 413
    assert feed(body((b"content", b"x" * 3000, NAME)), 1 << 20, max_file=3000).finish()
    assert feed(body(*[(b"a", b"")] * MAX_PARTS), 1 << 20).finish()


def test_what_the_parser_finds_wrong_is_printed_nowhere(caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(Refusal):
        feed(body().replace(b"Content-Disposition", b"Content Disposition"))
    assert caplog.text == ""


@pytest.mark.parametrize(
    ("project", "version", "file"),
    [
        ("mine", "1.9", "mine-1.9.tar.gz"),
        ("mine", "1.9", "Mine-1.9.0.zip"),
        ("mine", "1.9", "mine-1.9-1-cp311.cp312-abi3-manylinux_2_17_x86_64.whl"),
        ("mine", "1!1.9rc1.post2.dev3+a.b", "mine-1!1.9rc1.post2.dev3+a.b-py3-none-any.whl"),
        ("my-pkg-2", "1.0", "my_pkg_2-1.0.tar.gz"),
        ("my-pkg-2", "1.0", "my.pkg.2-1.0.tar.gz"),
        ("my-pkg-2", "1.0", "my_pkg_2-1.0-py3-none-any.whl"),
    ],
)
def test_a_file_of_this_version_is_known_by_its_name(project: str, version: str, file: str) -> None:
    assert published(project, version, file).project == project


@pytest.mark.parametrize(
    ("project", "version", "file"),
    [
        ("my-pkg-2", "1.0", "my-pkg-2-1.0.tar.gz"),
        ("my-pkg-2", "1.0", "my.pkg-2-1.0.tar.gz"),
        ("mine", "1.9", "mine-1.9-1.tar.gz"),
        ("mine", "1.9", "mine-1.9-py3-none.whl"),
        ("mine", "1.9", "mine-1.9-py3-none-any-x-y.whl"),
        ("mine", "1.9", "mine-v1.9.tar.gz"),
        ("mine", "1.9", "mine-1.9.tar.bz2"),
        ("mine", "1.9", "mine-1.9.tgz"),
        ("mine", "1.9", "mine-1.9.whl"),
        ("mine", "1.9", "mine-1.9.TAR.GZ"),
        ("mine", "1.9", "mine.tar.gz"),
        ("mine", "1.9", "-1.9.tar.gz"),
        ("mine", "1.9", "mine-1.9.tar.gz\n"),
        ("mine", "x", "mine-x.tar.gz"),
    ],
)
def test_a_file_that_an_index_may_take_for_another_is_refused(
    project: str, version: str, file: str
) -> None:
    with pytest.raises(Refusal, match=r"is not a file of|disposition"):
        published(project, version, file)


def published(project: str, version: str, file: str) -> Upload:
    fields = (
        (b":action", b"file_upload"),
        (b"name", project.encode()),
        (b"version", version.encode()),
    )
    return upload(body(*fields, (b"content", FILE, file.encode())))


def test_a_refused_project_names_the_option() -> None:
    with pytest.raises(Refusal) as caught:
        published("stranger", "1.0", "stranger-1.0.tar.gz")
    assert caught.value.text == "this run may publish mine and my-pkg-2, not stranger"
    assert "`auth exec --project stranger`" in caught.value.hint


@pytest.mark.parametrize(
    ("headers", "boundary"),
    [
        ([(b"content-type", b"multipart/form-data; boundary=BBB")], b"BBB"),
        ([(b"content-type", b'multipart/form-data;boundary="a/b:c=d"')], b"a/b:c=d"),
        ([(b"content-type", b"Multipart/Form-Data; Boundary=BBB")], b"BBB"),
    ],
)
def test_the_boundary_is_that_of_the_content_type(
    headers: list[tuple[bytes, bytes]], boundary: bytes
) -> None:
    assert boundary_of(Head(b"POST", b"/", tuple(headers), b"1.1")) == boundary


def test_a_body_that_is_not_one_form_is_refused() -> None:
    with pytest.raises(Refusal) as caught:
        boundary_of(Head(b"POST", b"/", (), b"1.1"))
    assert caught.value.status == 415


NAMES = st.sampled_from(
    [
        *(
            b":action",
            b"name",
            b"version",
            b"filetype",
            b"sha256_digest",
            b"Name",
            b"content",
            b"name[]",
        ),
        *(
            b"md5_digest",
            b"classifiers",
            b"description",
            b"gpg_signature",
            b"VERSION",
            b"metadata_version",
        ),
    ]
)
VALUES = st.one_of(
    st.sampled_from(
        [
            *(
                b"file_upload",
                b"remove_pkg",
                b"mine",
                b"stranger",
                b"MINE",
                b"1.9",
                b"1.9.0",
                b"2.0",
                SHA256,
            ),
            *(
                b"bdist_wheel",
                b"sdist",
                b"",
                b"\r",
                b"\n",
                b"\r\n",
                b"\r\n--BBB",
                b"--BBB--",
                b"x\r",
            ),
        ]
    ),
    st.binary(max_size=40),
)
FILES = st.sampled_from(
    [
        NAME,
        b"mine-1.9.tar.gz",
        b"stranger-1.9.tar.gz",
        b"mine-2.0-py3-none-any.whl",
        b"",
        NAME + b".asc",
    ]
)
HARMLESS = st.sampled_from([b"classifiers", b"description", b"md5_digest", b"attestations", b"x"])
PARTS = st.one_of(
    st.tuples(HARMLESS, VALUES), st.tuples(NAMES, VALUES), st.tuples(NAMES, VALUES, FILES)
)


@given(
    st.lists(st.tuples(st.integers(0, 9), PARTS), max_size=3),
    st.sets(st.integers(0, 4), max_size=1),
)
@example([(0, (b"description", b"\r\n--BBB"))], set())
def test_what_the_index_reads_is_what_was_judged(
    added: list[tuple[int, tuple[bytes, ...]]], dropped: set[int]
) -> None:
    """Whatever stands in the form: fields twice, in other letters, missing, with odd values."""
    parts: list[tuple[bytes, ...]] = [
        *(pair for at, pair in enumerate(GOOD) if at not in dropped),
        (b"content", FILE, NAME),
    ]
    for at, more in added:
        parts.insert(at, more)
    try:
        form = feed(body(*parts)).finish()
        judged = check_form(form, CORP)
    except Refusal as refused:
        assert refused.status in {400, 413}  # noqa: PT017 - one of two good outcomes
        return
    assert_every_reader_reads(form, judged)


PIECES = st.sampled_from(
    [
        *(
            b"\r\n",
            b"\n",
            b"\r",
            b"--BBB",
            b"--BBB--",
            b"--BBB\r\n",
            b" ",
            b'"',
            b";",
            b":",
            b"\0",
            b"\t",
        ),
        *(
            b'; name="name"',
            b'; filename="x"',
            b"filename*=utf-8''x",
            b"remove_pkg",
            b"stranger",
            b"--",
        ),
        *(
            b"Content-Disposition: form-data",
            b"\r\n\r\n",
            b"Content-Type: text/plain\r\n",
            b"name",
            b"\\",
        ),
        part(b"name", b"stranger"),
        part(b":action", b"remove_pkg"),
        part(b"content", FILE, b"stranger-1.9.tar.gz"),
    ]
)
ROOMY = body(*GOOD, (b"description", b"All of it.\r\n" * 100), (b"content", FILE * 20, NAME))
ROOMY = ROOMY.replace(SHA256, hashlib.sha256(FILE * 20).hexdigest().encode())
EDITS = st.lists(
    st.tuples(st.integers(0, len(ROOMY)), st.integers(0, 12), PIECES), min_size=1, max_size=4
)


@given(EDITS, st.integers(1, 700))
def test_what_the_index_reads_is_what_was_judged_however_a_form_is_broken(
    edits: list[tuple[int, int, bytes]], size: int
) -> None:
    """Pieces put in or in place of others, anywhere in the bytes of a good form, which has room for them."""
    raw = ROOMY
    for at, cut, piece in edits:
        raw = raw[:at] + piece + raw[at + cut :]
    try:
        form = feed(raw, size).finish()
        judged = check_form(form, CORP)
    except Refusal as refused:
        assert refused.status in {400, 413}  # noqa: PT017 - one of two good outcomes
        return
    assert_every_reader_reads(form, judged)


STEMS = st.lists(st.sampled_from([*"m-_.1v", "mine", "py3", "1.0", "1rc1"]), max_size=8).map(
    "".join
)
VERSIONS = st.sampled_from(
    ["1", "1.0", "v1", "1rc1", "1.0+a.1", "1-1", "1.post1", "1_1", "1!2", "py3.1"]
)
ENDS = st.sampled_from([".tar.gz", ".zip", "-py3-none-any.whl", "-1-py3-none-any.whl", ".whl"])


@given(STEMS, VERSIONS, ENDS)
@example("mine-1", "1", ".tar.gz")
@example("mine.x-1", "9", ".tar.gz")
@example("mine", "v1.9-2", "-py3-none-any.whl")
@example("my-pkg", "1.0", ".tar.gz")
def test_an_index_that_goes_by_the_file_alone_sees_the_same_project(
    stem: str, version: str, end: str
) -> None:
    """By pypiserver's own guess, which is not that of packaging."""
    stored = StoredFile(f"{stem}-{version}{end}", io.BytesIO(), 0, hashlib.sha256().hexdigest())
    named = {":action": b"file_upload", "name": stem.encode(), "version": version.encode()}
    parts = [*(Part(name, value) for name, value in named.items()), Part("content", b"", stored)]
    project = canonicalize_name(stem)
    try:
        judged = check_form(Form(tuple(parts)), CORP._replace(projects=(project,)))
    except Refusal:
        return
    guessed = guess(judged.file)
    assert guessed is not None
    assert canonicalize_name(guessed[0]) == project
