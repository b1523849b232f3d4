"""Logins and logouts over two vaults: the latest login wins, whatever was closed meanwhile."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from support.agents.in_process import Engine
from tokenward_agent.failure import Failure
from tokenward_agent.store.lookup import Ambiguous

if TYPE_CHECKING:
    from collections.abc import Awaitable
    from pathlib import Path

URL = "https://index.example/team/"
DEEPER = "https://index.example/team/project/"
OTHER = "https://other.example/"


async def code_of(awaited: Awaitable[object]) -> str:
    with pytest.raises(Failure) as error:
        await awaited
    return error.value.code


async def test_a_login_replaces_what_the_same_vault_had(tmp_path: Path) -> None:
    engine = Engine(tmp_path)
    await engine.make("disabled")
    assert await engine.login(URL, b"first") is False
    assert await engine.login(URL, b"second") is True
    assert await engine.login(URL, b"another", username="bob") is False
    assert engine.fetch(URL, "ana") == b"second"
    assert len(engine.disabled.records) == 2


@pytest.mark.parametrize(("first", "then"), [("keyring", "disabled"), ("disabled", "keyring")])
async def test_a_login_removes_the_same_account_from_the_other_vault(
    first: str, then: str, tmp_path: Path
) -> None:
    engine = Engine(tmp_path)
    await engine.make_both()
    await engine.login(URL, b"old", first)
    assert await engine.login(URL, b"new", then) is True
    assert engine.fetch(URL) == b"new"
    assert not engine.vaults.each[first].records
    again = Engine(tmp_path)
    await again.open("keyring", "disabled")
    assert again.fetch(URL) == b"new"


@pytest.mark.parametrize("then", ["keyring", "disabled"])
async def test_the_older_one_answers_nothing_even_while_it_is_being_removed(
    then: str, tmp_path: Path
) -> None:
    engine = Engine(tmp_path)
    await engine.make_both()
    first = {"keyring": "disabled", "disabled": "keyring"}[then]
    await engine.login(URL, b"old", first)
    login = asyncio.create_task(engine.login(URL, b"new", then))
    answers = []
    while not login.done():
        answers.append(engine.fetch(URL))
        await asyncio.sleep(0)
    assert await login
    changed = answers.index(b"new")
    assert set(answers[:changed]) <= {b"old"}
    assert set(answers[changed:]) == {b"new"}


@pytest.mark.parametrize(("first", "then"), [("keyring", "disabled"), ("disabled", "keyring")])
@pytest.mark.parametrize("seconds", [0, 1, -1000], ids=["same second", "later", "clock set back"])
@pytest.mark.parametrize("order", [("keyring", "disabled"), ("disabled", "keyring")])
async def test_the_other_vault_that_was_closed_gives_up_the_older_one_when_it_opens(
    first: str, then: str, seconds: int, order: tuple[str, str], tmp_path: Path
) -> None:
    engine = Engine(tmp_path)
    await engine.make_both()
    await engine.login(URL, b"old", first)
    engine.vaults.close(engine.vaults.each[first])
    engine.clock.wall_now += seconds
    await engine.login(URL, b"new", then)
    await engine.open(first)
    assert engine.fetch(URL) == b"new"
    again = Engine(tmp_path, engine.clock)
    await again.open(*order)
    assert again.fetch(URL) == b"new"
    assert sum(len(vault.records) for vault in again.vaults.each.values()) == 1


@pytest.mark.parametrize(("first", "then"), [("keyring", "disabled"), ("disabled", "keyring")])
@pytest.mark.parametrize("order", [("keyring", "disabled"), ("disabled", "keyring")])
async def test_the_latest_login_wins_after_a_restart_in_whatever_order_the_vaults_open(
    first: str, then: str, order: tuple[str, str], tmp_path: Path
) -> None:
    engine = Engine(tmp_path)
    await engine.make_both()
    await engine.login(URL, b"old", first)
    engine.vaults.close(engine.vaults.each[first])
    await engine.login(URL, b"new", then)  # in the same second
    again = Engine(tmp_path, engine.clock)
    await again.open(*order)
    assert again.fetch(URL) == b"new"


async def test_what_an_opening_finds_to_be_older_answers_nothing_from_the_start(
    tmp_path: Path,
) -> None:
    engine = Engine(tmp_path)
    await engine.make_both()
    await engine.login(URL, b"old", "keyring")
    engine.vaults.close(engine.keyring)
    engine.clock.pass_by(1)
    await engine.login(URL, b"new", "disabled")
    opening = asyncio.create_task(engine.open("keyring"))
    answers = set()
    while not opening.done():
        answers.add(engine.fetch(URL))
        await asyncio.sleep(0)
    await opening
    assert answers | {engine.fetch(URL)} == {b"new"}


async def test_an_older_one_that_cannot_be_removed_answers_nothing_and_goes_later(
    tmp_path: Path,
) -> None:
    engine = Engine(tmp_path)
    await engine.make_both()
    await engine.login(URL, b"old", "keyring")
    engine.fetch(URL)  # its use will be written, which makes another record of it
    lock = engine.directory / "keyring.vault.lock"
    lock.chmod(0o644)  # refused, for root as well: open to others
    assert await engine.login(URL, b"new", "disabled") is True
    assert engine.fetch(URL) == b"new"
    lock.chmod(0o600)
    await engine.login(OTHER, b"x", "keyring")
    assert engine.fetch(URL) == b"new"
    assert [record.service for record in engine.keyring.records.values()] == [OTHER]


async def test_a_login_into_a_vault_that_is_not_open_stores_nothing(tmp_path: Path) -> None:
    engine = Engine(tmp_path)
    assert await code_of(engine.login(URL, b"x")) == "no-vault"
    await engine.make_both()
    engine.vaults.close(engine.disabled)
    assert await code_of(engine.login(URL, b"x")) == "locked"
    assert await engine.login(URL, b"x", "keyring") is False


@pytest.mark.parametrize("lifetime", [0, 100 * 366 * 86400 + 1])
async def test_a_lifetime_out_of_range_is_refused(lifetime: int, tmp_path: Path) -> None:
    engine = Engine(tmp_path)
    await engine.make("disabled")
    assert await code_of(engine.login(URL, b"x", lifetime=lifetime)) == "bad-request"
    assert not engine.disabled.records


async def test_a_logout_matches_exactly_and_never_by_prefix(tmp_path: Path) -> None:
    engine = Engine(tmp_path)
    await engine.make("disabled")
    await engine.login(URL, b"x")
    for service in (DEEPER, "https://index.example/", "https://index.example/Team/"):
        logout = engine.changes.logout(service, None, provider=None, every=False)
        assert await code_of(logout) == "not-found"
    removed = await engine.changes.logout(URL, None, provider=None, every=False)
    assert [found.record.service for found in removed] == [URL]
    assert engine.fetch(URL) is None


async def test_a_logout_without_a_user_name_never_guesses(tmp_path: Path) -> None:
    engine = Engine(tmp_path)
    await engine.make_both()
    await engine.login(URL, b"a", "keyring", "ana")
    await engine.login(URL, b"b", "disabled", "bob")
    with pytest.raises(Ambiguous):
        await engine.changes.logout(URL, None, provider=None, every=False)
    await engine.changes.logout(URL, None, provider="disabled", every=False)
    assert engine.fetch(URL) == b"a"
    await engine.login(URL, b"t", "disabled", "__token__")
    removed = await engine.changes.logout(URL, None, provider=None, every=False)
    assert [found.record.username for found in removed] == ["__token__"]


async def test_logout_all_removes_every_account_of_a_service_or_everything(tmp_path: Path) -> None:
    engine = Engine(tmp_path)
    await engine.make_both()
    for number, provider in enumerate(("keyring", "disabled", "disabled")):
        await engine.login(URL, b"x", provider, f"user{number}")
    await engine.login(OTHER, b"y")
    await engine.login(DEEPER, b"z", "keyring")
    removed = await engine.changes.logout(URL, None, provider=None, every=True)
    assert sorted(found.record.username for found in removed) == ["user0", "user1", "user2"]
    removed = await engine.changes.logout(None, None, provider=None, every=True)
    assert len(removed) == 2
    nothing = engine.changes.logout(None, None, provider=None, every=True)
    assert await code_of(nothing) == "not-found"
    assert not engine.keyring.records
    assert not engine.disabled.records


async def test_a_logout_while_a_vault_is_closed_says_so_and_removes_nothing_by_halves(
    tmp_path: Path,
) -> None:
    engine = Engine(tmp_path)
    await engine.make_both()
    await engine.login(URL, b"a", "keyring", "ana")
    await engine.login(URL, b"b", "disabled", "bob")
    engine.vaults.close(engine.keyring)
    logout = engine.changes.logout
    assert await code_of(logout(OTHER, None, provider=None, every=False)) == "locked"
    assert await code_of(logout(URL, None, provider=None, every=True)) == "locked"
    assert await code_of(logout(None, None, provider=None, every=True)) == "locked"
    assert await code_of(logout(URL, "ana", provider=None, every=False)) == "locked"
    assert engine.fetch(URL) == b"b"
    assert await logout(URL, "bob", provider=None, every=False)
    assert await code_of(logout(URL, "bob", provider="disabled", every=False)) == "not-found"


async def test_what_was_logged_out_does_not_come_back_from_the_other_vault(tmp_path: Path) -> None:
    engine = Engine(tmp_path)
    await engine.make_both()
    await engine.login(URL, b"older", "disabled", "ana")
    engine.vaults.close(engine.disabled)
    await engine.login(URL, b"newer", "keyring", "ana")
    assert await engine.changes.logout(URL, "ana", provider=None, every=False)
    await engine.login(OTHER, b"later", "keyring", "ana")
    engine.vaults.close(engine.keyring)
    await engine.open("keyring", "disabled")
    assert await code_of(engine.changes.logout(URL, "ana", provider=None, every=False)) == (
        "not-found"
    )
    assert engine.fetch(OTHER, "ana") == b"later"
    await engine.login(URL, b"anew", "disabled", "ana")  # a tombstone is for what was before
    engine.vaults.close(engine.disabled)
    await engine.open("disabled")
    assert engine.fetch(URL, "ana") == b"anew"


async def test_an_empty_password_can_be_stored(tmp_path: Path) -> None:
    engine = Engine(tmp_path)
    await engine.make("disabled")
    header, _ = await engine.ask(
        "login", b"", service="host.example:8080", username="", provider="disabled"
    )
    assert header["ok"] is True
    header, secret = await engine.ask("fetch", service="host.example:8080")
    assert (header["ok"], header["username"], secret) == (True, "", b"")


async def test_a_hundred_logins_at_once_are_all_there(tmp_path: Path) -> None:
    engine = Engine(tmp_path)
    await engine.make_both()
    services = [f"https://index.example/{n}/" for n in range(50)]
    await asyncio.gather(
        *(engine.login(service, service.encode(), "keyring") for service in services),
        *(engine.login(service, b"or this", "disabled") for service in services),
    )
    again = Engine(tmp_path)
    await again.open("disabled", "keyring")
    assert all(again.fetch(service) == engine.fetch(service) for service in services)
    assert len(again.vaults.all_records()) == len(services)
    assert engine.arena.free_bytes == engine.quiet
