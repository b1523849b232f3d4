"""A vault in memory over its file: nothing acknowledged is lost, nothing removed can be opened."""

from __future__ import annotations

import json
import os
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tokenward_agent.vault.errors import VaultError, WrongKey
from tokenward_agent.vault.format import FILE_BYTES, parse_body, parse_head
from tokenward_agent.vault.record import AdoptedSource, Lifetime, Record, secret_context
from tokenward_agent.vault.sealing import Tampered, open_into
from tokenward_agent.vault.slot import unwrap_into
from tokenward_agent.vault.slot_changes import add_slot, rekey
from tokenward_agent.vault.storage import Storage
from tokenward_agent.vault.vault import Prepared, Vault
from tokenward_protocol.passphrases import ARGON2ID

if TYPE_CHECKING:
    from collections.abc import Callable

    from tokenward_agent.vault.slot import Param

    Records = dict[tuple[str, ...], Record]

SLOT_KEY = bytes(range(32))
OTHER_KEY = bytes(range(32, 64))
URL = "https://index.example/team"
NOW = 1_790_000_000
ARGON2ID_PARAMS: dict[str, Param] = {"salt": bytes(16), **ARGON2ID}


class Opened:
    """A vault and the memory that it was lent."""

    def __init__(self, place: Path, provider: str = "disabled") -> None:
        self.data_key = bytearray(32)
        self.vault = Vault(
            Storage(str(place), "disabled.vault"), provider, memoryview(self.data_key)
        )
        self.vault.install_header(self.vault.read_header())

    def unlocked(self) -> Vault:
        assert self.vault.install(self.vault.open("key-file", SLOT_KEY))
        return self.vault


@pytest.fixture
def place(tmp_path: Path) -> Path:
    (tmp_path / "credentials").mkdir(mode=0o700)
    return tmp_path / "credentials"


@pytest.fixture
def opened(place: Path) -> Opened:
    made = Opened(place)
    assert made.vault.install(made.vault.create("key-file", {}, SLOT_KEY, NOW))
    return made


def login(vault: Vault, service: str, secret: bytes, now: int = NOW) -> Record:
    record = Record(service, "ana", now, None, None, None, vault.seal(service, "ana", secret))
    assert vault.install(vault.save(lambda records: {**records, record.key: record}, now))
    return record


def logout(vault: Vault, service: str) -> None:
    def without(records: Records) -> Records:
        del records[service, "ana"]
        return records

    assert vault.install(vault.save(without, NOW))


def secret_of(vault: Vault, service: str) -> bytes:
    out = bytearray(100)
    return bytes(out[: vault.open_secret(vault.records[service, "ana"], memoryview(out))])


def secrets_that_open(place: Path, slot_keys: list[bytes], data_keys: list[bytes]) -> set[bytes]:
    """Open every file of the directory with every key that ever was; return what comes out."""
    found: set[bytes] = set()
    for path in place.iterdir():
        data = path.read_bytes()
        if not data:
            continue  # the lock file
        head = parse_head(data, str(path))
        keys = list(data_keys)
        for slot in head.header.slots:
            for slot_key in slot_keys:
                out = bytearray(32)
                try:
                    unwrap_into(slot, slot_key, head.header.vault_id, memoryview(out))
                except WrongKey:
                    continue
                keys.append(bytes(out))
        for key in keys:
            try:
                records = parse_body(data, head, key, str(path)).records
            except VaultError:
                continue
            for record in records.values():
                place_of = secret_context(head.header.vault_id, record.service, record.username)
                out = bytearray(100)
                for each in keys:
                    try:
                        size = open_into(each, record.secret or b"", place_of, memoryview(out))
                    except Tampered:
                        continue
                    found.add(bytes(out[:size]))
    return found


def test_a_vault_is_absent_then_open_then_closed_then_open_again(place: Path) -> None:
    first = Opened(place)
    assert (first.vault.state, first.vault.header) == ("absent", None)
    assert first.vault.install(first.vault.create("key-file", {}, SLOT_KEY, NOW))
    assert first.vault.state == "open"
    login(first.vault, URL, b"secret")
    assert secret_of(first.vault, URL) == b"secret"
    first.vault.close()
    assert (first.vault.state, dict(first.vault.records)) == ("closed", {})
    assert secret_of(first.unlocked(), URL) == b"secret"
    again = Opened(place)
    assert again.vault.state == "closed"
    assert again.vault.header == first.vault.header
    assert secret_of(again.unlocked(), URL) == b"secret"
    assert again.vault.latest_time == NOW


def test_a_closed_vault_holds_no_key_and_gives_nothing(opened: Opened) -> None:
    vault = opened.vault
    record = login(vault, URL, b"secret")
    assert any(opened.data_key)
    vault.close()
    assert opened.data_key == bytes(32)
    for asked in (
        lambda: vault.seal(URL, "ana", b"x"),
        lambda: vault.open_secret(record, memoryview(bytearray(100))),
        lambda: vault.save(lambda records: records, NOW),
        lambda: add_slot(vault, "key-file", {}, SLOT_KEY, NOW),
    ):
        with pytest.raises(VaultError) as caught:
            asked()
        assert (caught.value.code, caught.value.hint) == ("locked", "`auth unlock`")


def test_a_wrong_key_or_slot_opens_nothing_and_leaves_no_key(opened: Opened) -> None:
    opened.vault.close()
    with pytest.raises(WrongKey):
        opened.vault.open("key-file", OTHER_KEY)
    with pytest.raises(VaultError, match="has no passphrase slot"):
        opened.vault.open("passphrase", SLOT_KEY)
    assert opened.data_key == bytes(32)
    assert opened.vault.state == "closed"


def test_a_secret_opens_in_its_own_record_alone(opened: Opened) -> None:
    record = login(opened.vault, URL, b"secret")
    out = memoryview(bytearray(100))
    for moved in (record._replace(service=URL + "s"), record._replace(username="bob")):
        with pytest.raises(VaultError, match="does not open"):
            opened.vault.open_secret(moved, out)
    assert not any(out)


def test_two_agents_on_one_file_lose_no_write(opened: Opened, place: Path) -> None:
    one, other = opened.vault, Opened(place).unlocked()
    expected: dict[str, bytes] = {}
    for number in range(6):
        for vault in (one, other):
            service, secret = f"{URL}/{len(expected)}", b"secret %d" % number
            login(vault, service, secret)
            expected[service] = secret
    logout(one, f"{URL}/11")
    del expected[f"{URL}/11"]
    assert one.header is not None
    assert one.header.generation == 1 + 12 + 1
    fresh = Opened(place).unlocked()
    assert {service: secret_of(fresh, service) for service, _ in fresh.records} == expected


def test_two_agents_that_save_at_the_same_time_lose_no_write(opened: Opened, place: Path) -> None:
    def many(vault: Vault, name: str) -> None:
        for number in range(20):
            login(vault, f"{URL}/{name}/{number}", name.encode())

    vaults = {"one": opened.vault, "two": Opened(place).unlocked(), "six": Opened(place).unlocked()}
    threads = [threading.Thread(target=many, args=(vaults[name], name)) for name in vaults]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(Opened(place).unlocked().records) == 60


def test_a_vault_that_was_put_back_is_built_upon(opened: Opened, place: Path) -> None:
    file = place / "disabled.vault"
    login(opened.vault, f"{URL}/1", b"one")
    backup = file.read_bytes()
    login(opened.vault, f"{URL}/2", b"two")
    file.write_bytes(backup)
    login(opened.vault, f"{URL}/3", b"three")
    assert [service for service, _ in opened.vault.records] == [f"{URL}/1", f"{URL}/3"]


def test_a_change_that_fails_writes_nothing(opened: Opened, place: Path) -> None:
    login(opened.vault, URL, b"secret")
    before = (place / "disabled.vault").read_bytes()

    def failing(_records: Records) -> Records:
        raise LookupError

    with pytest.raises(LookupError):
        opened.vault.save(failing, NOW)
    too_long = Record("x" * 2049, "", NOW, None, None, AdoptedSource("keyring", "x"), None)
    with pytest.raises(ValueError, match="longer than 2048"):
        opened.vault.save(lambda records: {**records, too_long.key: too_long}, NOW)
    assert (place / "disabled.vault").read_bytes() == before
    assert list(opened.vault.records) == [(URL, "ana")]


def replaced_secret(opened: Opened) -> None:
    login(opened.vault, URL, b"new")


def removed_record(opened: Opened) -> None:
    logout(opened.vault, URL)


def removed_after_another_save(opened: Opened) -> None:
    login(opened.vault, f"{URL}/2", b"other")
    logout(opened.vault, URL)


@pytest.mark.parametrize("removal", [replaced_secret, removed_record, removed_after_another_save])
def test_no_file_opens_to_a_secret_that_was_removed(
    removal: Callable[[Opened], None], opened: Opened, place: Path
) -> None:
    login(opened.vault, URL, b"old")
    login(opened.vault, f"{URL}/kept", b"kept")
    keys = ([SLOT_KEY], [bytes(opened.data_key)])
    assert secrets_that_open(place, *keys) == {b"old", b"kept"}
    removal(opened)
    assert b"old" not in secrets_that_open(place, *keys)
    assert b"kept" in secrets_that_open(place, *keys)


def test_the_generation_before_is_kept_where_nothing_was_removed(
    opened: Opened, place: Path
) -> None:
    login(opened.vault, f"{URL}/1", b"one")
    before = (place / "disabled.vault").read_bytes()
    login(opened.vault, f"{URL}/2", b"two")
    assert (place / "disabled.vault.previous").read_bytes() == before


def test_another_slot_opens_the_same_vault(opened: Opened, place: Path) -> None:
    vault = opened.vault
    login(vault, URL, b"secret")
    assert vault.install(add_slot(vault, "passphrase", ARGON2ID_PARAMS, OTHER_KEY, NOW))
    vault.close()
    assert vault.install(vault.open("passphrase", OTHER_KEY))
    assert secret_of(vault, URL) == b"secret"
    login(vault, f"{URL}/2", b"another")
    assert secrets_that_open(place, [SLOT_KEY], []) == {b"secret", b"another"}


def test_a_slot_takes_the_place_of_the_one_of_its_kind(opened: Opened, place: Path) -> None:
    login(opened.vault, URL, b"secret")
    assert opened.vault.install(add_slot(opened.vault, "key-file", {}, OTHER_KEY, NOW))
    assert secrets_that_open(place, [SLOT_KEY], []) == set()
    assert secrets_that_open(place, [OTHER_KEY], []) == {b"secret"}


def test_a_new_data_key_leaves_nothing_that_an_old_key_opens(opened: Opened, place: Path) -> None:
    vault = opened.vault
    adopted = Record("a", "b", NOW, None, Lifetime(1, "", 2), AdoptedSource("keyring", "A"), None)
    login(vault, URL, b"secret")
    login(vault, f"{URL}/2", b"")
    assert vault.install(vault.save(lambda records: {**records, adopted.key: adopted}, NOW))
    old_key = bytes(opened.data_key)
    new_key, scratch = bytearray(32), bytearray(65536)
    prepared = rekey(
        vault,
        [("passphrase", ARGON2ID_PARAMS, OTHER_KEY)],
        memoryview(new_key),
        memoryview(scratch),
        NOW,
    )
    assert secret_of(vault, URL) == b"secret", "until it is adopted, the old key serves"
    assert vault.install(prepared)
    assert (secret_of(vault, URL), secret_of(vault, f"{URL}/2")) == (b"secret", b"")
    assert vault.records[adopted.key] == adopted
    assert opened.data_key != old_key
    assert new_key == bytes(32)
    assert scratch == bytes(65536)
    assert secrets_that_open(place, [SLOT_KEY], [old_key]) == set()
    assert secrets_that_open(place, [OTHER_KEY], []) == {b"secret", b""}


def test_a_new_data_key_that_could_not_be_written_is_wiped(opened: Opened, place: Path) -> None:
    login(opened.vault, URL, b"secret")
    (place / "disabled.vault").rename(place / "moved")
    new_key, scratch = bytearray(32), bytearray(65536)
    with pytest.raises(VaultError, match="is missing"):
        rekey(
            opened.vault,
            [("key-file", {}, OTHER_KEY)],
            memoryview(new_key),
            memoryview(scratch),
            NOW,
        )
    assert new_key == bytes(32)
    (place / "moved").rename(place / "disabled.vault")
    with pytest.raises(ValueError, match="other parameters"):
        rekey(
            opened.vault,
            [("key-file", {"path": "/"}, OTHER_KEY)],
            memoryview(new_key),
            memoryview(scratch),
            NOW,
        )
    assert new_key == bytes(32)
    assert scratch == bytes(65536)
    assert secret_of(opened.vault, URL) == b"secret"


def test_what_was_prepared_before_a_closing_is_not_taken_over(opened: Opened, place: Path) -> None:
    vault = opened.vault
    login(vault, URL, b"secret")
    record = vault.records[URL, "ana"]._replace(created=1)
    saved = vault.save(lambda records: {**records, record.key: record}, NOW)
    vault.close()
    assert not vault.install(saved)
    assert (vault.state, len(vault.records)) == ("closed", 0)
    assert opened.data_key == bytes(32)
    assert Opened(place).unlocked().records[record.key].created == 1, "the save is on the disk"

    late = vault.open("key-file", SLOT_KEY)
    vault.close()
    assert not vault.install(late)
    assert opened.data_key == bytes(32)

    vault = opened.unlocked()
    new_key = bytearray(32)
    rekeyed = rekey(
        vault, [("key-file", {}, SLOT_KEY)], memoryview(new_key), memoryview(bytearray(65536)), NOW
    )
    vault.close()
    assert not vault.install(rekeyed)
    assert opened.data_key == bytes(32)
    assert new_key == bytes(32)
    assert secret_of(opened.unlocked(), URL) == b"secret"


def test_a_closing_in_the_middle_of_a_save_seals_nothing_with_a_wiped_key(
    opened: Opened, place: Path
) -> None:
    login(opened.vault, URL, b"secret")
    before = (place / "disabled.vault").read_bytes()

    def closing(records: Records) -> Records:
        opened.vault.close()
        return records

    def closing_and_opening(records: Records) -> Records:
        opened.vault.close()
        opened.unlocked()
        return records

    for change in (closing, closing_and_opening):
        with pytest.raises(VaultError) as caught:
            opened.vault.save(change, NOW)
        assert caught.value.code == "locked"
        assert (place / "disabled.vault").read_bytes() == before
        opened.vault.close()
        opened.unlocked()


def test_the_last_use_is_written_with_the_next_save(opened: Opened, place: Path) -> None:
    vault = opened.vault
    record = login(vault, URL, b"secret")
    vault.use(record, NOW + 5)
    assert vault.last_used(record) == NOW + 5
    assert Opened(place).unlocked().records[record.key].last_used is None
    prepared = vault.save(lambda records: records, NOW)
    vault.use(record, NOW + 9)
    assert vault.install(prepared)
    assert vault.records[record.key].last_used == NOW + 5
    assert vault.last_used(vault.records[record.key]) == NOW + 9
    login(vault, f"{URL}/2", b"another")
    assert Opened(place).unlocked().records[record.key].last_used == NOW + 9
    assert (place / "disabled.vault.previous").exists(), "a use removes nothing"


def test_the_latest_wall_time_is_never_forgotten(opened: Opened, place: Path) -> None:
    login(opened.vault, URL, b"secret", now=NOW + 100)
    login(opened.vault, URL, b"secret", now=5)
    assert Opened(place).vault.latest_time == NOW + 100


def test_a_vault_that_is_there_is_not_made_again(opened: Opened, place: Path) -> None:
    before = (place / "disabled.vault").read_bytes()
    late = Opened(place)
    with pytest.raises(VaultError, match="exists already"):
        late.vault.create("key-file", {}, OTHER_KEY, NOW)
    assert (place / "disabled.vault").read_bytes() == before


def cut(data: bytes) -> bytes:
    return data[: len(data) // 2]


def emptied(_data: bytes) -> bytes:
    return b""


def foreign(_data: bytes) -> bytes:
    return b"# somebody's notes\n" * 100


def newer(data: bytes) -> bytes:
    return data.replace(b"tokenward-vault 4", b"tokenward-vault 6")


@pytest.mark.parametrize("damage", [cut, emptied, foreign, newer])
def test_a_vault_that_cannot_be_read_is_never_overwritten(
    damage: Callable[[bytes], bytes], opened: Opened, place: Path
) -> None:
    login(opened.vault, URL, b"secret")
    file = place / "disabled.vault"
    damaged = damage(file.read_bytes())
    file.write_bytes(damaged)
    late = Opened(place)
    with pytest.raises(VaultError):
        opened.vault.save(dict, NOW)
    with pytest.raises(VaultError):
        late.vault.open("key-file", SLOT_KEY)
    with pytest.raises(VaultError):
        late.vault.create("key-file", {}, SLOT_KEY, NOW)
    assert file.read_bytes() == damaged
    assert late.data_key == bytes(32)
    assert late.vault.state == "broken"
    assert late.vault.problem is not None


def test_a_file_that_is_too_large_is_refused_before_it_is_taken_in(
    opened: Opened, place: Path
) -> None:
    opened.vault.close()
    os.truncate(place / "disabled.vault", FILE_BYTES + 1)
    with pytest.raises(VaultError, match="it is larger than 64 MiB"):
        opened.vault.open("key-file", SLOT_KEY)
    assert (place / "disabled.vault").stat().st_size == FILE_BYTES + 1


def test_a_vault_of_another_provider_is_refused(opened: Opened, place: Path) -> None:
    assert opened.vault.state == "open"
    late = Opened(place, "keyring")
    assert late.vault.state == "broken"
    assert late.vault.problem is not None
    assert "it is the file vault, not the keyring vault" in late.vault.problem.message


def test_a_file_that_is_gone_or_has_another_key_is_not_replaced(
    opened: Opened, place: Path
) -> None:
    file = place / "disabled.vault"
    file.rename(place / "moved")
    with pytest.raises(VaultError, match="was removed while it was open"):
        login(opened.vault, URL, b"secret")
    stranger = Opened(place)
    assert stranger.vault.install(stranger.vault.create("key-file", {}, OTHER_KEY, NOW))
    before = file.read_bytes()
    with pytest.raises(VaultError, match="was replaced while it was open"):
        login(opened.vault, URL, b"secret")
    assert file.read_bytes() == before


def test_an_older_file_is_migrated_by_the_next_save(place: Path) -> None:
    vector = json.loads(
        (Path(__file__).parents[1] / "vectors" / "vault-v1.json").read_text("utf-8")
    )
    file = place / "disabled.vault"
    file.write_bytes(bytes.fromhex(vector["file"]))
    file.chmod(0o600)
    opened = Opened(place)
    slot_key = bytes.fromhex(vector["slots"][0]["key"])
    assert opened.vault.install(opened.vault.open("key-file", slot_key))
    assert opened.vault.latest_time == 0
    login(opened.vault, URL, b"new")
    assert file.read_bytes().startswith(b"tokenward-vault 4\n")
    late = Opened(place)
    assert late.vault.install(late.vault.open("key-file", slot_key))
    assert len(late.vault.records) == 2
    assert secret_of(late.vault, URL) == b"new"
    assert late.vault.latest_time == NOW


def test_nothing_that_is_shown_holds_a_secret(opened: Opened) -> None:
    record = login(opened.vault, URL, b"secret")
    prepared: Prepared = opened.vault.save(lambda records: records, NOW)
    for shown in (repr(record), repr(opened.vault), repr(opened.vault._key), repr(prepared)):
        assert record.secret is not None
        assert repr(record.secret)[2:12] not in shown
        assert repr(bytes(opened.data_key))[2:12] not in shown
