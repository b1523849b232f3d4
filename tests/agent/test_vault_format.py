"""The vault file: vectors are read as they say, and no byte of a file can be changed unnoticed."""

from __future__ import annotations

import json
import re
import struct
from pathlib import Path
from typing import Any

import msgpack
import pytest
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id
from hypothesis import given
from hypothesis import strategies as st

from tokenward_agent.vault.body import AuditAnchor, Body, key_context
from tokenward_agent.vault.errors import VaultError
from tokenward_agent.vault.format import (
    HEAD_BYTES,
    RECORDS,
    VERSION,
    Header,
    parse_body,
    parse_head,
    serialise,
)
from tokenward_agent.vault.record import AdoptedSource, Lifetime, Record, secret_context
from tokenward_agent.vault.sealing import open_into
from tokenward_agent.vault.slot import unwrap_into, wrap

VECTORS = Path(__file__).parents[1] / "vectors"
DOCUMENT = Path(__file__).parents[2] / "docs" / "VAULT.md"
OLDER = ["vault-v1", "vault-v2-disabled", "vault-v2-keyring", "vault-v3-chains"]
READABLE = ["vault-worked", *OLDER, "vault-v4-disabled", "vault-v5-disabled"]
FIELDS = {1: 7, 2: 7, 3: 7, 4: 8, 5: 10}
KEY = bytes(range(32))
ID = "00112233445566778899aabbccddeeff"


def load(name: str) -> Any:
    return json.loads((VECTORS / f"{name}.json").read_text("utf-8"))


def refused() -> list[Any]:
    cases: list[Any] = load("vault-refused")["cases"]
    return [pytest.param(case, id=case["name"]) for case in cases]


def opened(data: bytes, slot_key: bytes, kind: str) -> tuple[Header, Body]:
    head = parse_head(data, "FILE")
    slot = head.header.slot(kind)
    assert slot is not None
    key = bytearray(32)
    unwrap_into(slot, slot_key, head.header.vault_id, memoryview(key))
    return head.header, parse_body(data, head, key, "FILE")


@pytest.mark.parametrize("name", READABLE)
def test_a_vector_is_read_as_it_says(name: str) -> None:
    vector = load(name)
    data = bytes.fromhex(vector["file"])
    for slot in vector["slots"]:
        header, body = opened(data, bytes.fromhex(slot["key"]), slot["kind"])
        assert header[:4] == tuple(vector[k] for k in ("vault", "provider", "generation", "seen"))
        found = header.slot(slot["kind"])
        assert found is not None
        params = {k: v.hex() if isinstance(v, bytes) else v for k, v in found.params.items()}
        assert params == slot["params"]
        records = [plain(header, each, vector) for each in body.records.values()]
        assert records == vector["records"]
        chains = [plain_chain(header, each, vector["data_key"]) for each in body.chains]
        assert chains == vector.get("chains", [])


def plain(header: Header, record: Record, vector: Any) -> dict[str, Any]:
    out = bytearray(65536)
    size = 0
    if record.secret is not None:
        place = secret_context(header.vault_id, record.service, record.username)
        key = bytes.fromhex(vector["data_key"])
        size = open_into(key, record.secret, place, memoryview(out))
    values = {
        **record._asdict(),
        "expires": None if record.expires is None else list(record.expires),
        "adopted": None if record.adopted is None else list(record.adopted),
        "secret": None if record.secret is None else out[:size].hex(),
        "projects": list(record.projects),
    }
    for name in Record._fields[FIELDS[vector["version"]] :]:
        assert not values.pop(name)
    return values


def plain_chain(header: Header, chain: AuditAnchor, data_key: str) -> dict[str, Any]:
    out = bytearray(32)
    place = key_context(header.vault_id, chain.name, chain.first)
    open_into(bytes.fromhex(data_key), chain.key, place, memoryview(out))
    return {**chain._asdict(), "key": out.hex(), "mac": chain.mac.hex()}


@pytest.mark.parametrize("name", READABLE)
def test_a_reader_written_from_the_document_alone_reads_the_same(name: str) -> None:
    """Nothing of ours in here: struct, msgpack and a cipher, as docs/VAULT.md describes them."""

    def bound(label: bytes, *fields: str | bytes | int) -> bytes:
        out = label + b"\0"
        for field in fields:
            if isinstance(field, int):
                raw = struct.pack(">Q", field)
            else:
                raw = field.encode() if isinstance(field, str) else field
            out += struct.pack(">I", len(raw)) + raw
        return out

    def unsealed(key: bytes, sealed: bytes, place: bytes) -> bytes:
        return ChaCha20Poly1305(key).decrypt(sealed[:12], sealed[12:], place)

    order = {
        "keyring": ["service", "username"],
        "program": ["program", "service", "username"],
        "passphrase": ["salt", "memory", "passes", "lanes"],
        "key-file": [],
    }
    vector = load(name)
    data = bytes.fromhex(vector["file"])
    line, _, rest = data.partition(b"\n")
    assert line == b"tokenward-vault %d" % vector["version"]
    (length,) = struct.unpack(">I", rest[:4])
    size = len(line) + 5 + length
    header = msgpack.unpackb(rest[4 : 4 + length])
    slot = header["slots"][0]
    params = [slot[name] for name in order[slot["kind"]]]
    data_key = unsealed(
        bytes.fromhex(vector["slots"][0]["key"]),
        slot["wrapped"],
        bound(b"tokenward slot", header["vault"], slot["kind"], *params),
    )
    assert data_key.hex() == vector["data_key"]
    body = msgpack.unpackb(unsealed(data_key, data[size:], data[:size]))
    for found, expected in zip(body["records"], vector["records"], strict=True):
        service, username, *others, secret = found[:7]
        place = bound(b"tokenward record", header["vault"], service, username)
        opened = None if secret is None else unsealed(data_key, secret, place).hex()
        assert len(found) == FIELDS[vector["version"]]
        assert [service, username, *others, opened, *found[7:]] == list(expected.values())
    for found, expected in zip(body.get("chains", []), vector.get("chains", []), strict=True):
        name, log, first, key, *others, mac = found
        place = bound(b"tokenward chain", header["vault"], name, first)
        shown = [name, log, first, unsealed(data_key, key, place).hex(), *others, mac.hex()]
        assert shown == list(expected.values())


def test_the_worked_example_of_the_document_is_the_vector() -> None:
    vector = load("vault-worked")
    blocks = re.findall(r"(?:^ *[0-9a-f]{8,}\n)+", DOCUMENT.read_text("utf-8"), re.MULTILINE)
    shown = [bytes.fromhex("".join(block.split())) for block in blocks]
    key_file, head, slot_context, wrapped, data_key, body, opened, place, sealed, secret = shown
    assert head + body == bytes.fromhex(vector["file"])
    assert ChaCha20Poly1305(key_file).decrypt(wrapped[:12], wrapped[12:], slot_context) == data_key
    assert ChaCha20Poly1305(data_key).decrypt(body[:12], body[12:], head) == opened
    assert ChaCha20Poly1305(data_key).decrypt(sealed[:12], sealed[12:], place) == secret
    assert secret.hex() == vector["records"][0]["secret"]
    assert wrapped in head
    assert sealed in opened


def test_the_passphrase_of_the_vector_gives_its_slot_key() -> None:
    vector = load("vault-v2-disabled")
    slot = vector["slots"][0]
    derived = Argon2id(
        salt=bytes.fromhex(slot["params"]["salt"]),
        length=32,
        iterations=slot["params"]["passes"],
        lanes=slot["params"]["lanes"],
        memory_cost=slot["params"]["memory"],
    ).derive(vector["passphrase"].encode())
    assert derived.hex() == slot["key"]


@pytest.mark.parametrize("case", refused())
def test_a_file_that_the_format_forbids_is_refused(case: Any) -> None:
    data = bytes.fromhex(case["file"])
    with pytest.raises(VaultError) as caught:
        if "key" in case:
            opened(data, bytes.fromhex(case["key"]), "key-file")
        else:
            parse_head(data, "FILE")
    assert case["reason"] in caught.value.message
    assert caught.value.message.startswith("FILE ")
    assert caught.value.code == "vault"
    assert caught.value.hint


@pytest.mark.parametrize("name", READABLE)
def test_no_byte_of_a_file_can_be_changed_cut_off_or_added(name: str) -> None:
    vector = load(name)
    data = bytes.fromhex(vector["file"])
    key = bytes.fromhex(vector["data_key"])

    def read(changed: bytes) -> None:
        parse_body(changed, parse_head(changed, "FILE"), key, "FILE")

    read(data)
    changes = [data[:i] + bytes([data[i] ^ 1]) + data[i + 1 :] for i in range(len(data))]
    changes += [data[:i] for i in range(len(data))]
    changes += [data + b"\0", data[:-1] + data[-1:] * 2]
    for changed in changes:
        with pytest.raises(VaultError):
            read(changed)


@pytest.mark.parametrize(
    "change",
    [
        {"vault_id": ID[::-1]},
        {"provider": "keyring"},
        {"generation": 8},
        {"seen": 0},
        {"slots": (wrap("key-file", {}, b"k" * 32, b"d" * 32, ID),)},
    ],
    ids=lambda change: next(iter(change)),
)
def test_a_header_of_another_save_does_not_go_with_a_body(change: dict[str, Any]) -> None:
    header = Header(ID, "disabled", 7, 9, (wrap("key-file", {}, KEY, KEY, ID),))
    ours, theirs = (
        serialise(header, Body({}), KEY),
        serialise(header._replace(**change), Body({}), KEY),
    )
    cut = parse_head(ours, "FILE").size
    mixed = theirs[: parse_head(theirs, "FILE").size] + ours[cut:]
    with pytest.raises(VaultError, match="it was changed"):
        parse_body(mixed, parse_head(mixed, "FILE"), KEY, "FILE")


@pytest.mark.parametrize("name", OLDER)
def test_an_older_version_is_written_as_version_4(name: str) -> None:
    vector = load(name)
    slot = vector["slots"][-1]
    key, kind = bytes.fromhex(slot["key"]), slot["kind"]
    header, body = opened(bytes.fromhex(vector["file"]), key, kind)
    assert not any(record.never_shown for record in body.records.values())
    data = serialise(header, body, bytes.fromhex(vector["data_key"]))
    assert parse_head(data, "FILE").version == 4
    assert opened(data, key, kind) == (header, body)


def test_version_5_is_written_as_long_as_version_4_cannot_say_what_is_held() -> None:
    vector = load("vault-v5-disabled")
    key = bytes.fromhex(vector["slots"][0]["key"])
    header, body = opened(bytes.fromhex(vector["file"]), key, "key-file")
    data_key = bytes.fromhex(vector["data_key"])
    data = serialise(header, body, data_key)
    assert parse_head(data, "FILE").version == VERSION == 5
    assert opened(data, key, "key-file") == (header, body)
    alone = {k: record for k, record in body.records.items() if record.relay_alone}
    several = {k: record for k, record in body.records.items() if record.projects}
    rest = {k: each for k, each in body.records.items() if k not in alone | several}
    assert any(record.never_shown for record in rest.values())
    for held, version in ((alone, 5), (several, 5), (rest, 4)):
        data = serialise(header, Body(held), data_key)
        assert parse_head(data, "FILE").version == version
        assert opened(data, key, "key-file") == (header, Body(held))


def test_a_newer_version_says_what_to_do() -> None:
    case = next(c for c in load("vault-refused")["cases"] if c["name"] == "a newer version")
    with pytest.raises(VaultError) as caught:
        parse_head(bytes.fromhex(case["file"]), "FILE")
    assert "its format is 6, and this one reads up to 5" in caught.value.message
    assert "update tokenward" in caught.value.hint


def test_the_head_of_a_file_is_enough_to_read_its_header() -> None:
    long = {"program": "/" + "p" * 4095, "service": "s" * 255, "username": "u" * 255}
    slots = (
        wrap("keyring", {"service": "s" * 255, "username": "u" * 255}, KEY, KEY, ID),
        wrap("program", long, KEY, KEY, ID),
        wrap("key-file", {}, KEY, KEY, ID),
    )
    data = serialise(Header(ID, "keyring", 1, 1, slots), Body({}), KEY) + b"x" * HEAD_BYTES
    assert parse_head(data[:HEAD_BYTES], "FILE") == parse_head(data, "FILE")


def test_more_credentials_than_can_be_read_back_are_not_written() -> None:
    record = Record("s", "", 1, None, None, None, b"x" * 28)
    records: dict[tuple[str, ...], Record]
    records = {("s", str(i)): record for i in range(RECORDS + 1)}
    header = Header(ID, "disabled", 1, 1, (wrap("key-file", {}, KEY, KEY, ID),))
    with pytest.raises(VaultError, match="full"):
        serialise(header, Body(records), KEY)


times = st.integers(0, 2**53 - 1)
texts = st.text(st.characters(codec="utf-8"), max_size=40)
names = texts | st.sampled_from([512]).map("é".__mul__)
lifetimes = st.none() | st.builds(Lifetime, times, st.text("0123456789abcdef-", max_size=36), times)
services = texts.filter(bool) | st.sampled_from([2048]).map("x".__mul__)
secrets = st.sampled_from([28, 29, 200, 65536 + 28]).map(bytes)
limits = st.lists(st.sampled_from(["mine", "two", "a-b"]), unique=True).map(sorted).map(tuple)
marks = st.tuples(st.sampled_from([(False, False), (True, False), (True, True)]), limits).map(
    lambda both: (*both[0], both[1])
)
stored = st.builds(
    lambda marked, *values: Record(*values, *marked),
    marks,
    *(services, names, times, st.none() | times, lifetimes, st.none(), secrets),
) | st.builds(
    Record,
    services,
    names,
    times,
    st.none() | times,
    lifetimes,
    st.builds(AdoptedSource, st.sampled_from(["keyring", "subprocess"]), services),
    st.none() | secrets,
    st.just(value=False),
    st.just(value=False),
    st.just(()),
)
digits = st.text("0123456789abcdef", min_size=16, max_size=16)
vouched = st.builds(
    AuditAnchor,
    digits,
    digits,
    st.integers(0, 9),
    st.just(bytes(60)),
    st.integers(10, 2**53 - 1),
    times,
    st.just(bytes(32)),
)


@given(
    generation=st.integers(1, 2**53 - 1),
    seen=times,
    records=st.lists(stored, unique_by=lambda record: record.key, max_size=6),
    chains=st.lists(vouched, max_size=3),
)
def test_what_is_written_is_read_back(
    generation: int, seen: int, records: list[Record], chains: list[AuditAnchor]
) -> None:
    slots = (wrap("key-file", {}, KEY, KEY, ID),)
    header = Header(ID, "disabled", generation, seen, slots)
    held = Body({record.key: record for record in records}, tuple(chains))
    data = serialise(header, held, KEY)
    head = parse_head(data, "FILE")
    assert head.header == header
    assert parse_body(data, head, KEY, "FILE") == held


@given(st.binary(max_size=200), st.booleans())
def test_any_bytes_are_refused_with_a_sentence(data: bytes, ours: bool) -> None:
    if ours:
        data = b"tokenward-vault 5\n" + len(data).to_bytes(4, "big") + data + b"\0" * 12
    with pytest.raises(VaultError) as caught:
        parse_head(data, "FILE")
    assert caught.value.message.startswith("FILE cannot be read: ")
