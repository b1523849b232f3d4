"""Vaults and slots are made and replaced whole, and what was replaced opens nothing any more."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from support.agents.in_process import Engine, on_disk
from support.tools.keyring_program import keyring_program
from tokenward_agent.failure import Failure
from tokenward_agent.store import slot_keys
from tokenward_agent.vault.errors import VaultError, WrongKey
from tokenward_agent.vault.format import parse_body, parse_head
from tokenward_agent.vault.sealing import Tampered, open_into
from tokenward_agent.vault.slot import unwrap_into

if TYPE_CHECKING:
    from collections.abc import Awaitable

URL = "https://index.example/team/"
NOTHING = memoryview(bytearray())
OLD = memoryview(bytearray(b"old passphrase"))
NEW = memoryview(bytearray(b"new passphrase"))


async def code_of(awaited: Awaitable[object]) -> str:
    with pytest.raises(Failure) as error:
        await awaited
    return error.value.code


def kinds(header: dict[str, Any]) -> list[str]:
    return [slot["kind"] for slot in header["slots"]]


class Keys:
    """Every slot key and data key that an engine ever used, seen as it is used."""

    def __init__(self, engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
        self.slot_keys: set[bytes] = set()
        self.data_keys: set[bytes] = set()
        self._engine = engine
        make, get = engine.keys.make, engine.keys.get

        async def making(*arguments: Any) -> Any:
            params, key = await make(*arguments)
            self.slot_keys.add(bytes(key))
            return params, key

        async def getting(*arguments: Any) -> Any:
            key = await get(*arguments)
            self.slot_keys.add(bytes(key))
            return key

        monkeypatch.setattr(engine.keys, "make", making)
        monkeypatch.setattr(engine.keys, "get", getting)

    def note(self) -> None:
        """Remember the data key in use now, and every key file that is there now."""
        with self._engine.disabled._key.use() as key:
            self.data_keys.add(bytes(key))
        for path in self._engine.state.glob("*.key"):
            self.slot_keys.add(path.read_bytes())

    def that_open(self) -> set[bytes]:
        """Return those data keys which open any file of either directory, by any slot or alone."""
        found = set()
        for folder in (self._engine.directory, self._engine.state):
            for path in filter(Path.is_file, folder.rglob("*")):
                try:
                    head = parse_head(path.read_bytes(), str(path))
                except VaultError:
                    continue
                keys = set(self.data_keys)
                for slot in head.header.slots:
                    for slot_key in self.slot_keys:
                        out = bytearray(32)
                        try:
                            unwrap_into(slot, slot_key, head.header.vault_id, memoryview(out))
                        except WrongKey:
                            continue
                        keys.add(bytes(out))
                for key in keys:
                    try:
                        parse_body(path.read_bytes(), head, key, str(path))
                    except VaultError:
                        continue
                    found.add(key)
        return found


@pytest.mark.parametrize(
    ("provider", "slot", "passphrase", "code"),
    [
        ("keyring", "passphrase", b"x", "bad-request"),
        ("keyring", "key-file", b"", "bad-request"),
        ("disabled", "keyring", b"", "bad-request"),
        ("disabled", "passphrase", b"", "bad-request"),
        ("disabled", "key-file", b"x", "bad-request"),
        ("subprocess", "keyring", b"", "bad-request"),
    ],
)
async def test_a_vault_is_made_only_with_a_slot_of_its_provider(
    provider: str, slot: str, passphrase: bytes, code: str, tmp_path: Path
) -> None:
    engine = Engine(tmp_path)
    header, _ = await engine.ask("create", passphrase, provider=provider, slot=slot)
    assert header["code"] == code
    assert not engine.directory.exists()
    assert not list(engine.state.iterdir())


def test_a_key_file_opens_the_vault_and_lies_outside_of_the_credentials(tmp_path: Path) -> None:
    async def main() -> None:
        engine = Engine(tmp_path)
        await engine.creation.create("disabled", "key-file", {}, NOTHING, None)
        await engine.login(URL, b"secret")
        header = engine.disabled.header
        assert header is not None
        key = (engine.state / f"{header.vault_id}.key").read_bytes()
        assert key not in on_disk(engine.directory)
        assert b"secret" not in on_disk(tmp_path)
        again = Engine(tmp_path)
        await again.opening.open_unattended()
        assert again.fetch(URL) == b"secret"

    asyncio.run(main())
    for path in tmp_path.rglob("*"):
        assert path.stat().st_mode & 0o077 == 0, path


async def test_two_creations_at_once_make_one_vault_and_leave_one_key(tmp_path: Path) -> None:
    engine = Engine(tmp_path)
    results = await asyncio.gather(
        *(engine.creation.create("disabled", "key-file", {}, NOTHING, None) for _ in range(3)),
        return_exceptions=True,
    )
    assert None in results
    assert engine.disabled.state == "open"
    assert len(list(engine.state.glob("*.key"))) == 1
    again = Engine(tmp_path)
    await again.opening.open_unattended()
    assert again.disabled.state == "open"


async def test_of_two_first_logins_with_two_passphrases_one_is_told(tmp_path: Path) -> None:
    engine = Engine(tmp_path)
    made = [engine.creation.create("disabled", "passphrase", {}, each, None) for each in (OLD, NEW)]
    results = await asyncio.gather(*made, return_exceptions=True)
    (told,) = [it for it in results if it is not None]
    assert isinstance(told, Failure)
    assert told.code == "refused"
    right, wrong = (OLD, NEW) if results[0] is None else (NEW, OLD)
    engine.locking.close()
    assert await code_of(engine.locking.unlock(None, wrong, {})) == "wrong-passphrase"
    assert await engine.locking.unlock(None, right, {}) == []


@pytest.mark.parametrize(
    ("first", "then", "code"),
    [
        (("passphrase", OLD), ("passphrase", OLD), None),
        (("key-file", NOTHING), ("key-file", NOTHING), None),
        (("passphrase", OLD), ("passphrase", NEW), "refused"),
        (("passphrase", OLD), ("key-file", NOTHING), "refused"),
        (("key-file", NOTHING), ("passphrase", OLD), "refused"),
    ],
)
async def test_who_chose_what_another_chose_too_goes_on_and_all_others_are_told(
    first: tuple[str, memoryview], then: tuple[str, memoryview], code: str | None, tmp_path: Path
) -> None:
    engine = Engine(tmp_path)
    await engine.creation.create("disabled", first[0], {}, first[1], None)
    before = (engine.directory / "disabled.vault").read_bytes()
    again = engine.creation.create("disabled", then[0], {}, then[1], None)
    if code is None:
        await again
    else:
        assert await code_of(again) == code
    assert (engine.directory / "disabled.vault").read_bytes() == before


async def test_a_vault_that_cannot_be_written_leaves_no_key_behind(tmp_path: Path) -> None:
    engine = Engine(tmp_path)
    engine.directory.mkdir(mode=0o700)
    (engine.directory / "disabled.vault.lock").mkdir()
    creation = engine.creation.create("disabled", "key-file", {}, NOTHING, None)
    assert await code_of(creation) == "vault"
    assert not list(engine.state.glob("*.key*"))
    assert engine.arena.free_bytes == engine.quiet


async def test_a_new_passphrase_leaves_no_file_that_opens_to_what_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = Engine(tmp_path)
    keys = Keys(engine, monkeypatch)
    await engine.creation.create("disabled", "key-file", {}, NOTHING, None)
    await engine.login(URL, b"one")
    await engine.login(URL, b"two", username="bob")
    keys.note()
    before = set(keys.data_keys)
    assert keys.that_open() == before
    header, _ = await engine.ask("passphrase", bytes(OLD), action="set")
    assert kinds(header) == ["passphrase"]
    keys.note()
    assert keys.that_open() == keys.data_keys - before
    assert not list(engine.state.glob("*.key"))
    before = set(keys.data_keys)
    await engine.login(URL, b"three")
    await engine.creation.set_passphrase(NEW, {}, keep=False)
    keys.note()
    assert keys.that_open() == keys.data_keys - before
    assert (engine.fetch(URL, "ana"), engine.fetch(URL, "bob")) == (b"three", b"two")
    engine.locking.close()
    assert await code_of(engine.locking.unlock(None, OLD, {})) == "wrong-passphrase"
    assert await engine.locking.unlock(None, NEW, {}) == []
    assert engine.fetch(URL, "bob") == b"two"
    before = set(keys.data_keys)
    await engine.creation.remove_passphrase({})
    keys.note()
    assert keys.that_open() == keys.data_keys - before
    again = Engine(tmp_path)
    await again.opening.open_unattended()
    assert again.fetch(URL, "ana") == b"three"
    assert engine.arena.free_bytes == engine.quiet


async def test_a_passphrase_that_keeps_the_other_slots_opens_beside_them(tmp_path: Path) -> None:
    engine = Engine(tmp_path)
    await engine.creation.create("disabled", "key-file", {}, NOTHING, None)
    await engine.login(URL, b"secret")
    header, _ = await engine.ask("passphrase", bytes(OLD), action="set", keep=True)
    assert kinds(header) == ["key-file", "passphrase"]
    again = Engine(tmp_path)
    await again.opening.open_unattended()
    assert again.fetch(URL) == b"secret"
    header, _ = await again.ask("passphrase", action="remove")
    assert kinds(header) == ["key-file"]
    last = Engine(tmp_path)
    await last.opening.open_unattended()
    assert last.fetch(URL) == b"secret"


async def test_a_change_of_slots_that_fails_leaves_the_vault_opening_as_before(
    tmp_path: Path,
) -> None:
    engine = Engine(tmp_path)
    await engine.creation.create("disabled", "key-file", {}, NOTHING, None)
    await engine.login(URL, b"secret")
    await engine.creation.set_passphrase(OLD, {}, keep=True)
    engine.directory.chmod(0o755)
    assert await code_of(engine.creation.remove_passphrase({})) == "vault"
    assert await code_of(engine.creation.set_passphrase(NEW, {}, keep=False)) == "vault"
    assert engine.fetch(URL) == b"secret"
    engine.directory.chmod(0o700)
    again = Engine(tmp_path)
    await again.opening.open_unattended()
    assert again.fetch(URL) == b"secret"
    assert engine.arena.free_bytes == engine.quiet


async def test_two_changes_of_slots_at_once_leave_a_vault_that_opens(tmp_path: Path) -> None:
    engine = Engine(tmp_path)
    await engine.creation.create("disabled", "key-file", {}, NOTHING, None)
    await engine.login(URL, b"secret")
    await engine.creation.set_passphrase(OLD, {}, keep=True)
    await asyncio.gather(
        engine.creation.set_passphrase(NEW, {}, keep=False),
        engine.creation.remove_passphrase({}),
        return_exceptions=True,
    )
    again = Engine(tmp_path)
    left = await again.locking.unlock(None, NEW, {})
    assert left == []
    assert again.fetch(URL) == b"secret"


async def test_the_passphrase_commands_refuse_what_they_cannot_do(tmp_path: Path) -> None:
    engine = Engine(tmp_path)
    assert (await engine.ask("passphrase", b"x", action="remove"))[0]["code"] == "bad-request"
    assert (await engine.ask("passphrase", action="change"))[0]["code"] == "bad-request"
    assert (await engine.ask("passphrase", action="set"))[0]["code"] == "passphrase-needed"
    await engine.creation.create("disabled", "key-file", {}, NOTHING, None)
    header, _ = await engine.ask("passphrase", action="remove")
    assert header["code"] == "refused"
    (next(engine.state.glob("*.key"))).unlink()
    engine.locking.close()
    assert (await engine.ask("passphrase", b"x", action="set"))[0]["code"] == "locked"
    engine.vaults.close(engine.disabled)
    (engine.directory / "disabled.vault").write_bytes(b"garbage")
    await engine.ask("unlock")
    assert (await engine.ask("passphrase", b"x", action="set"))[0]["code"] == "vault"
    assert (engine.directory / "disabled.vault").read_bytes() == b"garbage"


async def test_how_many_credentials_lie_elsewhere_is_told_where_it_is_known(tmp_path: Path) -> None:
    engine = Engine(tmp_path)
    await engine.make_both()
    await engine.login(URL, b"secret", "keyring")
    header, _ = await engine.ask("passphrase", bytes(OLD), action="set")
    assert header["elsewhere"] == 1
    engine.vaults.close(engine.keyring)
    next(engine.state.glob("*.key")).unlink()
    header, _ = await engine.ask("passphrase", bytes(NEW), action="set")
    assert header["elsewhere"] is None


async def test_a_sealed_secret_of_the_old_key_does_not_open_under_the_new_one(
    tmp_path: Path,
) -> None:
    engine = Engine(tmp_path)
    await engine.creation.create("disabled", "key-file", {}, NOTHING, None)
    await engine.login(URL, b"secret")
    (old,) = engine.disabled.records.values()
    await engine.creation.set_passphrase(OLD, {}, keep=False)
    (new,) = engine.disabled.records.values()
    assert old.secret is not None
    assert old.secret != new.secret
    with engine.disabled._key.use() as key, pytest.raises(Tampered):
        open_into(key, old.secret, b"", memoryview(bytearray(100)))


async def test_a_key_file_that_cannot_be_taken_away_is_no_mistake_of_ours(tmp_path: Path) -> None:
    engine = Engine(tmp_path)
    await engine.creation.create("disabled", "key-file", {}, NOTHING, None)
    path = next(engine.state.glob("*.key"))
    path.rename(tmp_path / "key")
    path.mkdir()
    await engine.creation.set_passphrase(OLD, {}, keep=False)
    assert engine.disabled.state == "open"


async def test_the_slots_of_one_vault_do_not_share_an_item_of_the_keyring(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    items: dict[object, bytes] = {}
    program = keyring_program(tmp_path)

    async def keyring(
        doing: str,
        kind: str,
        vault_id: str,
        _session: object,
        key: memoryview | None,
        _seconds: float,
    ) -> None:
        """Keep items as a desktop's keyring does, whichever way it is asked."""
        item = tuple(slot_keys.item_names(kind, vault_id).items())
        if key is not None and doing == "set":
            items[item] = bytes(key)
        elif key is not None:
            key[:] = items[item]

    engine = Engine(tmp_path)
    monkeypatch.setattr(engine.keys, "_ask_keyring", keyring)
    await engine.creation.create("keyring", "keyring", {}, NOTHING, None)
    await engine.creation.create("subprocess", "program", {}, NOTHING, str(program))
    assert len(items) == 2
    header = engine.keyring.header
    assert header is not None
    assert [slot.kind for slot in header.slots] == ["keyring", "program"]
    for slot in header.slots:
        engine.locking.close()
        await engine.opening.open(engine.keyring, slot, {}, None, engine.vaults.closings)
