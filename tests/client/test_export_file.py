"""The export's format: as its page says, and refused as soon as one byte is another."""

from __future__ import annotations

import json
from hashlib import sha256
from pathlib import Path
from typing import Any

import msgpack
import pytest
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id
from hypothesis import given, settings
from hypothesis import strategies as st

from tokenward import backup
from tokenward.backup import ExportEntry, WrongPassphraseError, encrypt_export, parse_export
from tokenward.errors import CommandError

VECTORS = Path(__file__).parent.parent / "vectors" / "export-v1.json"
PASSPHRASE = b"open sesame"
ENTRIES = [
    ExportEntry(
        "https://upload.pypi.org/legacy/", "__token__", 1, None, "disabled", b"pypi-\xff\x00"
    ),
    ExportEntry("opaque name", "", 2, 2**53 - 1, "keyring", b""),
    ExportEntry("https://h.example/", "alice", 3, None, "keyring", None),
]

pytestmark = pytest.mark.xdist_group("export file")


@pytest.fixture(scope="module")
def data() -> bytes:
    return encrypt_export(ENTRIES, PASSPHRASE, 1790000000)


def packed(value: object) -> bytes:
    return msgpack.packb(value) or b""


def refusal(data: bytes) -> str:
    with pytest.raises(CommandError) as refused:
        parse_export(data, "b.tokenward").open(PASSPHRASE)
    assert str(refused.value).startswith("b.tokenward ")
    return str(refused.value)


def with_sum(data: bytes) -> bytes:
    return data + sha256(data).digest()


def test_what_goes_in_comes_out(data: bytes) -> None:
    assert parse_export(data, "b").open(PASSPHRASE) == ENTRIES
    assert parse_export(data, "b").created == 1790000000


def test_only_an_export_with_a_recipe_has_the_version_that_0_1_refuses(data: bytes) -> None:
    """0.1 would store the recipe as a password, and hand it out."""
    assert data.startswith(b"tokenward-export 1\n")
    recipe = ExportEntry("https://h.example/", "a", 4, None, "command", b'{"command": ["true"]}')
    more = encrypt_export([*ENTRIES, recipe], PASSPHRASE, 1790000000)
    assert more.startswith(b"tokenward-export 2\n")
    assert parse_export(more, "b").open(PASSPHRASE) == [*ENTRIES, recipe]


def test_no_secret_is_in_the_file_or_in_a_description(data: bytes) -> None:
    assert b"pypi-\xff" not in data
    assert "pypi-" not in repr(ENTRIES).replace("pypi.org", "")


def test_two_exports_of_the_same_have_nothing_in_common(data: bytes) -> None:
    other = encrypt_export(ENTRIES, PASSPHRASE, 1790000000)
    assert other[-100:] != data[-100:]
    assert parse_export(other, "b").salt != parse_export(data, "b").salt


def test_a_wrong_passphrase_is_told_from_damage(data: bytes) -> None:
    with pytest.raises(WrongPassphraseError, match=r"^The passphrase does not open b\.$"):
        parse_export(data, "b").open(b"open sesamE")
    changed = bytearray(data[:-32])
    changed[-1] ^= 1
    assert "damaged, or it was changed" in refusal(bytes(changed) + data[-32:])


def test_a_change_that_mends_the_sum_does_not_open(data: bytes) -> None:
    changed = bytearray(data[:-32])
    changed[-1] ^= 1
    with pytest.raises(WrongPassphraseError):
        parse_export(with_sum(bytes(changed)), "b").open(PASSPHRASE)


@given(st.data())
@settings(max_examples=300)
def test_no_byte_can_be_another(data: bytes, draw: st.DataObject) -> None:
    at = draw.draw(st.integers(0, len(data) - 1))
    changed = bytearray(data)
    changed[at] ^= draw.draw(st.integers(1, 255))
    with pytest.raises(CommandError):
        parse_export(bytes(changed), "b")


def test_an_export_that_was_cut_off_anywhere_says_so(data: bytes) -> None:
    start = data.index(b"\n") + 1
    for length in range(start, len(data)):
        assert refusal(data[:length]) == "b.tokenward is truncated: its end is missing.", length
    assert refusal(data + b"x").startswith("b.tokenward is damaged, or it was changed")


def test_what_is_no_export_and_what_is_too_new_say_so(data: bytes) -> None:
    assert (
        refusal(b"")
        == refusal(b"tokenward-vault 2\n")
        == "b.tokenward is not an export of tokenward."
    )
    newer = data.replace(b"export 1\n", b"export 12\n", 1)
    assert refusal(newer) == (
        "b.tokenward is an export of version 12, and this tokenward reads up to 2."
    )
    assert "version 0" in refusal(data.replace(b"export 1\n", b"export 0\n", 1))
    assert "damaged" in refusal(data.replace(b"export 1\n", b"export x\n", 1))


HEADER = {"created": 1, "salt": bytes(16), "memory": 8192, "passes": 1, "lanes": 1, "size": 28}


@pytest.mark.parametrize(
    "change",
    [
        {"memory": 8191},
        {"memory": 2**18 + 1},
        {"passes": 9},
        {"passes": 0},
        {"lanes": 17},
        {"lanes": True},
        {"salt": bytes(15)},
        {"salt": "0123456789abcdef"},
        {"created": -1},
        {"size": 27},
        {"more": 1},
        {"salt": None},
    ],
)
def test_no_header_makes_its_reader_work_without_end(change: dict[str, Any]) -> None:
    header = packed(HEADER | change)
    start = b"tokenward-export 1\n" + len(header).to_bytes(4) + header
    assert "damaged" in refusal(with_sum(start + bytes(28)))


def test_a_header_of_another_kind_is_refused() -> None:
    for header in (b"\xc1", packed([1]), packed({1: 2}), b"", b"\x80\x80"):
        start = b"tokenward-export 1\n" + len(header).to_bytes(4) + header
        assert "damaged" in refusal(with_sum(start + bytes(28)))
    assert "damaged" in refusal(b"tokenward-export 1\n\xff\xff\xff\xff" + bytes(2000))


@pytest.mark.parametrize(
    "body",
    [
        b"",
        packed([]),
        packed({"records": {}}),
        packed({"records": [], "more": 1}),
        packed({"records": [["s", "u", 1, None, "p"]]}),
        packed({"records": [["s", "u", 1, None, "p", "text"]]}),
        packed({"records": [["s", "u", -1, None, "p", b""]]}),
        packed({"records": [["s", 7, 1, None, "p", b""]]}),
        packed({"records": []}) + b"\xc0",
        b"\x82" + 2 * packed({"records": []})[1:],
        packed({"records": [["s", "u", msgpack.Timestamp(1), None, "p", b""]]}),
    ],
)
def test_a_body_of_another_kind_is_refused(body: bytes) -> None:
    header = packed(HEADER | {"size": 28 + len(body)})
    before = b"tokenward-export 1\n" + len(header).to_bytes(4) + header
    key = Argon2id(salt=bytes(16), length=32, iterations=1, lanes=1, memory_cost=8192).derive(
        PASSPHRASE
    )
    nonce = bytes(12)
    data = with_sum(before + nonce + ChaCha20Poly1305(key).encrypt(nonce, body, before))
    assert "damaged" in refusal(data)


def test_the_vector_is_what_is_written_and_what_the_page_says() -> None:
    vector = json.loads(VECTORS.read_text())
    data = bytes.fromhex(vector["file"])
    records = [
        [*record[:5], None if record[5] is None else bytes.fromhex(record[5])]
        for record in vector["records"]
    ]
    passphrase = vector["passphrase"].encode()
    salt, nonce = bytes.fromhex(vector["salt"]), bytes.fromhex(vector["nonce"])
    assert backup._encrypt(records, passphrase, vector["created"], salt, nonce) == data
    assert [
        [e.service, e.username, e.created, e.expires, e.provider, e.secret]
        for e in parse_export(data, "b").open(passphrase)
    ] == records
    # By docs/EXPORT.md alone.
    line, _, rest = data.partition(b"\n")
    assert line == b"tokenward-export 1"
    length = int.from_bytes(rest[:4], "big")
    header = msgpack.unpackb(rest[4 : 4 + length])
    before = data[: len(line) + 5 + length]
    body = data[len(before) : len(before) + header["size"]]
    assert data[len(before) + header["size"] :] == sha256(before + body).digest()
    key = Argon2id(
        salt=header["salt"],
        length=32,
        iterations=header["passes"],
        lanes=header["lanes"],
        memory_cost=header["memory"],
    ).derive(passphrase)
    assert key.hex() == vector["key"]
    opened = ChaCha20Poly1305(key).decrypt(body[:12], body[12:], before)
    assert msgpack.unpackb(opened) == {"records": records}
