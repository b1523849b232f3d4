"""Two vaults as one: lookup over both, lifetimes by every clock, misses that say why."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from support.agents.in_process import START, Engine, ManualClock
from tokenward_agent.failure import KeyDestroyed
from tokenward_agent.store.lookup import Ambiguous

if TYPE_CHECKING:
    from pathlib import Path

URL = "https://index.example/team/"
DEEPER = "https://index.example/team/project/"


async def test_lookup_runs_over_both_vaults_and_the_longest_path_wins(tmp_path: Path) -> None:
    engine = Engine(tmp_path)
    await engine.make_both()
    await engine.login(URL, b"short", "keyring")
    await engine.login(DEEPER, b"long", "disabled")
    assert engine.fetch(DEEPER + "simple/") == b"long"
    assert engine.fetch(URL + "other/") == b"short"
    assert engine.fetch("https://index.example/") is None


async def test_a_named_provider_answers_from_its_own_vault_alone(tmp_path: Path) -> None:
    engine = Engine(tmp_path)
    await engine.make_both()
    await engine.login(URL, b"short", "keyring")
    await engine.login(DEEPER, b"long", "disabled")
    assert engine.fetch(DEEPER, None, "keyring") == b"short"
    assert engine.fetch(DEEPER, None, "subprocess") == b"short"
    assert engine.fetch(DEEPER, None, "disabled") == b"long"
    assert engine.fetch(URL, None, "disabled") is None


async def test_accounts_in_two_vaults_compete_like_accounts_in_one(tmp_path: Path) -> None:
    engine = Engine(tmp_path)
    await engine.make_both()
    await engine.login(URL, b"a", "keyring", "ana")
    await engine.login(URL, b"b", "disabled", "bob")
    with pytest.raises(Ambiguous) as error:
        engine.fetch(URL)
    assert error.value.usernames == ["ana", "bob"]
    await engine.login(URL, b"t", "disabled", "__token__")
    assert engine.fetch(URL) == b"t"


@pytest.mark.parametrize(
    ("wall", "boot", "boot_name", "there"),
    [
        pytest.param(59, 59, "monday", True, id="a second before its end"),
        pytest.param(60, 60, "monday", False, id="at its end"),
        pytest.param(60, 0, "monday", False, id="by the wall clock alone"),
        pytest.param(0, 60, "monday", False, id="by the boot clock alone"),
        pytest.param(-86400, 60, "monday", False, id="wall clock set back"),
        pytest.param(-86400, 59, "monday", True, id="wall clock set back before its end"),
    ],
)
async def test_what_is_over_by_either_clock_is_never_handed_out(
    wall: int, boot: int, boot_name: str, there: bool, tmp_path: Path
) -> None:
    engine = Engine(tmp_path)
    await engine.make("disabled")
    await engine.login(URL, b"brief", lifetime=60)
    assert engine.fetch(URL) == b"brief"
    engine.clock.wall_now += wall
    engine.clock.boot_now += boot
    assert (engine.fetch(URL) is not None) is there


@pytest.mark.parametrize(
    ("wall", "there"), [(START + 59, True), (START + 60, False), (0, True), (START + 9999, False)]
)
async def test_after_a_reboot_the_wall_clock_decides(
    wall: int, there: bool, tmp_path: Path
) -> None:
    engine = Engine(tmp_path)
    await engine.make("disabled")
    await engine.login(URL, b"brief", lifetime=60)
    clock = ManualClock()
    clock.wall_now, clock.boot_now, clock.boot_name = wall, 3, "tuesday"
    again = Engine(tmp_path, clock)
    await again.open("disabled")
    assert (again.fetch(URL) is not None) is there


async def test_a_clock_set_back_over_a_reboot_revives_nothing_that_the_vault_has_outlived(
    tmp_path: Path,
) -> None:
    engine = Engine(tmp_path)
    await engine.make("disabled")
    await engine.login(URL, b"brief", lifetime=60)
    engine.locking.close()
    engine.clock.wall_now, engine.clock.boot_name = START + 100, "tuesday"
    await engine.open("disabled")
    await engine.login("https://other.example/", b"later")
    clock = ManualClock()
    clock.wall_now, clock.boot_name = 0, "wednesday"
    again = Engine(tmp_path, clock)
    await again.open("disabled")
    assert again.fetch(URL) is None
    assert again.fetch("https://other.example/") == b"later"


async def test_what_is_over_leaves_the_disk_when_it_can_be_written(tmp_path: Path) -> None:
    engine = Engine(tmp_path)
    vault = await engine.make("disabled")
    await engine.login(URL, b"brief", lifetime=60)
    await engine.login(DEEPER, b"lasting")
    generation = vault.header.generation if vault.header else 0
    engine.clock.pass_by(60)
    assert engine.fetch(URL) is None
    await asyncio.gather(*engine.changes._sweeps)
    assert [record.service for record in vault.records.values()] == [DEEPER]
    assert vault.header is not None
    assert vault.header.generation == generation + 1
    again = Engine(tmp_path)  # whose clock says that it is not over yet
    await again.open("disabled")
    assert again.fetch(URL) is None
    assert again.fetch(DEEPER) == b"lasting"


async def test_what_is_over_and_could_not_be_removed_goes_with_the_next_save(
    tmp_path: Path,
) -> None:
    engine = Engine(tmp_path)
    vault = await engine.make("disabled")
    await engine.login(URL, b"brief", lifetime=60)
    engine.clock.pass_by(60)
    engine.directory.chmod(0o755)  # refused, for root as well: open to others
    assert engine.fetch(URL) is None
    await asyncio.gather(*engine.changes._sweeps)
    assert engine.fetch(URL) is None
    engine.directory.chmod(0o700)
    await engine.login(DEEPER, b"lasting")
    assert [record.service for record in vault.records.values()] == [DEEPER]


@pytest.mark.parametrize("again", ["killed", "locked"])
@pytest.mark.parametrize("refused", [False, True], ids=["", "read-only"])
async def test_what_was_told_to_be_over_stays_so_when_the_clock_is_set_back(
    again: str, refused: bool, tmp_path: Path
) -> None:
    """Whatever becomes of its removal: the agent is killed before it, or the disk refuses it."""
    engine = Engine(tmp_path)
    await engine.make("disabled")
    await engine.login(URL, b"brief", lifetime=60)
    await engine.login(DEEPER, b"lasting")
    if refused:
        engine.directory.chmod(0o755)
    engine.clock.wall_now += 60
    assert engine.fetch(URL) is None
    if refused:
        await asyncio.gather(*engine.changes._sweeps)
        engine.directory.chmod(0o700)
    engine.clock.wall_now -= 60
    if again == "locked":
        engine.locking.close()
    else:
        engine = Engine(tmp_path, engine.clock)
    await engine.open("disabled")
    assert engine.fetch(URL) is None
    assert engine.fetch(DEEPER) == b"lasting"
    assert [record.service for record in engine.disabled.records.values()] == [DEEPER]


async def test_what_was_over_stays_so_over_a_lock_though_nothing_can_be_written(
    tmp_path: Path,
) -> None:
    engine = Engine(tmp_path)
    await engine.make("disabled")
    await engine.login(URL, b"brief", lifetime=60)
    engine.directory.chmod(0o755)
    tombstones = engine.state / "disabled.tombstones.json"
    tombstones.mkdir()  # nothing takes its place
    engine.clock.wall_now += 60
    assert engine.fetch(URL) is None
    await asyncio.gather(*engine.changes._sweeps)
    engine.clock.wall_now -= 60
    engine.locking.close()
    engine.directory.chmod(0o700)
    await engine.open("disabled")
    assert engine.fetch(URL) is None


async def test_a_login_in_the_place_of_what_was_over_outlives_it_whatever_the_clock_says(
    tmp_path: Path,
) -> None:
    engine = Engine(tmp_path)
    await engine.make("disabled")
    await engine.login(URL, b"brief", lifetime=60)
    engine.directory.chmod(0o755)
    engine.clock.wall_now += 60
    assert engine.fetch(URL) is None
    await asyncio.gather(*engine.changes._sweeps)
    engine.directory.chmod(0o700)
    engine.clock.wall_now -= 60  # the second in which the first login was
    await engine.login(DEEPER, b"lasting")
    await engine.login(URL, b"anew")
    again = Engine(tmp_path, engine.clock)
    await again.open("disabled")
    assert again.fetch(URL) == b"anew"


async def test_what_is_over_is_noted_once_and_the_note_goes_with_it(tmp_path: Path) -> None:
    engine = Engine(tmp_path)
    await engine.make("disabled")
    await engine.login(URL, b"brief", lifetime=60)
    engine.clock.pass_by(60)
    notes = engine.state / "disabled.tombstones.json"
    assert engine.fetch(URL) is None
    first = notes.stat()
    assert engine.fetch(URL) is None
    assert notes.stat().st_ino == first.st_ino
    assert b"index.example" not in notes.read_bytes()
    await asyncio.gather(*engine.changes._sweeps)
    assert not notes.exists()


async def test_a_miss_names_the_vault_that_is_not_open_and_is_never_a_miss(tmp_path: Path) -> None:
    engine = Engine(tmp_path)
    assert engine.vaults.not_found_error(URL, None).code == "not-found"
    await engine.make_both()
    assert engine.vaults.not_found_error(URL, None).code == "not-found"
    engine.vaults.close(engine.keyring)
    both, own, other = (
        engine.vaults.not_found_error(URL, p) for p in (None, "disabled", "subprocess")
    )
    assert (both.code, both.more["vaults"]) == ("locked", ["keyring"])
    assert (own.code, other.code) == ("not-found", "locked")
    engine.locking.close()
    assert engine.vaults.not_found_error(URL, None).more["vaults"] == ["keyring", "disabled"]


async def test_a_miss_beside_a_vault_that_cannot_be_read_says_what_is_wrong_with_it(
    tmp_path: Path,
) -> None:
    engine = Engine(tmp_path)
    await engine.make_both()
    await engine.login(URL, b"x", "disabled")
    (engine.directory / "keyring.vault").write_bytes(b"garbage")
    again = Engine(tmp_path)
    await again.open("disabled")
    assert again.fetch(URL) == b"x"
    miss = again.vaults.not_found_error(DEEPER, None)
    assert miss.code == "vault"
    assert "keyring.vault" in str(miss)
    assert again.vaults.not_found_error(DEEPER, "disabled").code == "not-found"


async def test_a_secret_on_its_way_out_does_not_survive_a_lock(tmp_path: Path) -> None:
    engine = Engine(tmp_path)
    await engine.make("disabled")
    await engine.login(URL, b"secret")
    (found,) = engine.vaults.account((URL,), None, None)
    sealed = found.secret()
    await engine.locking.lock()
    with pytest.raises(KeyDestroyed):
        sealed.open_into(memoryview(bytearray(sealed.size)))


async def test_ten_thousand_lookups_and_uses_take_no_room(tmp_path: Path) -> None:
    engine = Engine(tmp_path)
    await engine.make("disabled")
    await engine.login(URL, b"secret")
    before = engine.arena.free_bytes
    for _ in range(10_000):
        engine.fetch(URL)
    assert engine.arena.free_bytes == before
    assert not engine.changes._sweeps
