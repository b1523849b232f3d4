"""Opening and locking: a lock is overtaken by nothing, and only `unlock` ends it."""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING, Any

import pytest

from support.agents.in_process import Engine
from support.waiting import PATIENCE
from tokenward_agent.failure import Failure
from tokenward_agent.store import locking, opening

if TYPE_CHECKING:
    from collections.abc import Awaitable
    from pathlib import Path

URL = "https://index.example/team/"
PASSPHRASE = memoryview(bytearray(b"correct horse"))
WRONG = memoryview(bytearray(b"battery staple"))


async def code_of(awaited: Awaitable[object]) -> str:
    with pytest.raises(Failure) as error:
        await awaited
    return error.value.code


async def with_passphrase(root: Path) -> Engine:
    """Return an engine whose `disabled` vault opens with PASSPHRASE alone, and is closed."""
    engine = Engine(root)
    await engine.creation.create("disabled", "passphrase", {}, PASSPHRASE, None)
    await engine.login(URL, b"secret")
    engine.locking.close()
    return engine


def key_file(engine: Engine, provider: str) -> Path:
    header = engine.vaults.each[provider].header
    assert header is not None
    return engine.state / f"{header.vault_id}.key"


async def test_what_needs_nobody_is_opened_by_the_next_request(tmp_path: Path) -> None:
    first = Engine(tmp_path)
    await first.make_both()
    await first.login(URL, b"secret", "keyring")
    again = Engine(tmp_path)
    assert (again.keyring.state, again.disabled.state) == ("closed", "closed")
    header, secret = await again.ask("fetch", service=URL)
    assert (header["ok"], secret) == (True, b"secret")
    again.locking.close()  # as an automatic lock does: without a marker
    assert (await again.ask("fetch", service=URL))[1] == b"secret"


async def test_requests_that_come_while_a_vault_is_being_opened_wait_for_the_one_opening(
    tmp_path: Path,
) -> None:
    first = Engine(tmp_path)
    await first.make("disabled")
    await first.login(URL, b"secret")
    again = Engine(tmp_path)
    answers = await asyncio.gather(*(again.ask("fetch", service=URL) for _ in range(20)))
    assert {secret for _, secret in answers} == {b"secret"}
    assert again.arena.free_bytes == again.quiet


async def test_no_vault_answers_alone_while_another_one_with_a_better_answer_is_being_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = Engine(tmp_path)
    await first.make_both()
    await first.login("https://a.example/", b"short", "disabled")
    await first.login("https://a.example/x/", b"long", "keyring")
    engine, gate = Engine(tmp_path), asyncio.Event()
    get, header = engine.keys.get, engine.keyring.header
    assert header is not None

    async def slow(slot: Any, vault_id: str, *arguments: Any) -> memoryview:
        if vault_id == header.vault_id:
            await gate.wait()
        return await get(slot, vault_id, *arguments)

    monkeypatch.setattr(opening, "SETTLE_SECONDS", 60)
    monkeypatch.setattr(engine.keys, "get", slow)
    before = asyncio.create_task(engine.ask("fetch", service="https://a.example/x/"))
    await asyncio.sleep(0)
    await engine.open("disabled")
    after = asyncio.create_task(engine.ask("fetch", service="https://a.example/x/"))
    await asyncio.sleep(0)
    gate.set()
    assert [(await each)[1] for each in (before, after)] == [b"long", b"long"]


async def test_what_could_not_be_opened_is_not_tried_again_at_once(tmp_path: Path) -> None:
    engine = Engine(tmp_path)
    await engine.make("disabled")
    await engine.login(URL, b"secret")
    kept = key_file(engine, "disabled")
    hidden = kept.rename(tmp_path / "elsewhere")
    engine.locking.close()
    header, _ = await engine.ask("fetch", service=URL)
    assert header["code"] == "locked"
    assert "key file" in engine.opening.notes["disabled"]
    hidden.rename(kept)
    engine.clock.pass_by(opening.RETRY_SECONDS - 1)
    assert (await engine.ask("fetch", service=URL))[0]["code"] == "locked"
    engine.clock.pass_by(1)
    assert (await engine.ask("fetch", service=URL))[1] == b"secret"
    assert not engine.opening.notes


async def test_unlock_tries_at_once_what_was_not_to_be_opened_a_moment_ago(tmp_path: Path) -> None:
    engine = Engine(tmp_path)
    await engine.make("disabled")
    kept = key_file(engine, "disabled")
    hidden = kept.rename(tmp_path / "elsewhere")
    engine.locking.close()
    await engine.ask("fetch", service=URL)
    hidden.rename(kept)
    assert await engine.locking.unlock(None, None, {}) == []
    assert engine.disabled.state == "open"


async def test_a_lock_holds_over_a_restart_until_unlock(tmp_path: Path) -> None:
    engine = Engine(tmp_path)
    await engine.make_both()
    await engine.login(URL, b"secret")
    header, _ = await engine.ask("lock")
    assert header["locked"] == ["keyring", "disabled"]
    for each in (engine, Engine(tmp_path)):
        each.clock.pass_by(3600)
        header, _ = await each.ask("fetch", service=URL)
        assert (header["code"], header["hint"]) == ("locked", "`auth unlock`")
        header, _ = await each.ask("login", b"x", service=URL, username="ana")
        assert header["code"] == "locked"
        header, _ = await each.ask("logout", service=URL)
        assert header["code"] == "locked"
        status, _ = await each.ask("status")
        vaults: Any = status["vaults"]
        assert (status["locked"], {v["state"] for v in vaults}) == (True, {"locked"})
    again = Engine(tmp_path)
    header, _ = await again.ask("unlock")
    assert (header["opened"], header["closed"]) == (["keyring", "disabled"], [])
    assert (await again.ask("fetch", service=URL))[1] == b"secret"
    assert not Engine(tmp_path).locking.is_locked


async def test_a_lock_whose_marker_cannot_be_written_holds_while_the_agent_lives(
    tmp_path: Path,
) -> None:
    engine = Engine(tmp_path)
    await engine.make("disabled")
    await engine.login(URL, b"secret")
    (tmp_path / "state").rename(tmp_path / "moved")
    header, _ = await engine.ask("lock")
    assert header["code"] == "vault"
    (tmp_path / "moved").rename(tmp_path / "state")
    engine.clock.pass_by(3600)
    assert (await engine.ask("fetch", service=URL))[0]["code"] == "locked"
    assert (await engine.ask("status"))[0]["locked"] is True
    await engine.locking.unlock(None, None, {})
    assert (await engine.ask("fetch", service=URL))[1] == b"secret"


async def test_a_lock_whose_marker_cannot_be_removed_is_said_and_not_a_mistake_of_ours(
    tmp_path: Path,
) -> None:
    engine = Engine(tmp_path)
    await engine.make("disabled")
    await engine.locking.lock()
    tmp_path.joinpath("state", "unlocked").mkdir()  # in the way of its other name
    header, _ = await engine.ask("unlock")
    assert (header["ok"], header["code"]) == (False, "vault")
    assert "locked" in str(header["message"])


@pytest.mark.parametrize("by", ["open_unattended", "unlock"])
async def test_a_lock_is_not_overtaken_by_an_opening_that_waits_for_its_key(
    by: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = Engine(tmp_path)
    await engine.make_both()
    engine.locking.close()
    asked, gate = asyncio.Event(), asyncio.Event()
    get = engine.keys.get

    async def slowly(*arguments: Any) -> memoryview:
        asked.set()
        await gate.wait()  # as long as a keyring takes
        return await get(*arguments)

    monkeypatch.setattr(engine.keys, "get", slowly)
    if by == "unlock":
        opening: asyncio.Task[object] = asyncio.create_task(engine.locking.unlock(None, None, {}))
    else:
        opening = asyncio.create_task(engine.opening.open_unattended())
    await asked.wait()
    await engine.locking.lock()
    gate.set()
    await asyncio.gather(opening, return_exceptions=True)
    assert (engine.keyring.state, engine.disabled.state) == ("closed", "closed")
    assert engine.locking.is_locked
    assert engine.arena.free_bytes == engine.quiet


async def test_a_lock_is_not_overtaken_by_a_vault_that_is_being_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = Engine(tmp_path)
    asked, gate = asyncio.Event(), asyncio.Event()
    make = engine.keys.make

    async def slowly(*arguments: Any) -> Any:
        asked.set()
        await gate.wait()
        return await make(*arguments)

    monkeypatch.setattr(engine.keys, "make", slowly)
    nothing = memoryview(bytearray())
    creating = asyncio.create_task(
        engine.creation.create("disabled", "key-file", {}, nothing, None)
    )
    await asked.wait()
    await engine.locking.lock()
    gate.set()
    assert await code_of(creating) == "locked"
    assert engine.disabled.state != "open"


async def test_while_locked_no_vault_is_made(tmp_path: Path) -> None:
    engine = Engine(tmp_path)
    await engine.locking.lock()
    header, _ = await engine.ask("create", provider="disabled", slot="key-file")
    assert (header["code"], header["hint"]) == ("locked", "`auth unlock`")
    header, _ = await engine.ask("passphrase", b"new", action="set")
    assert header["code"] == "locked"
    await engine.ask("unlock")
    header, _ = await engine.ask("create", provider="disabled", slot="key-file")
    assert header["ok"] is True


async def test_a_login_that_a_lock_comes_between_is_whole_or_not_there(tmp_path: Path) -> None:
    engine = Engine(tmp_path)
    await engine.make("disabled")
    for number in range(10):
        login = asyncio.create_task(engine.login(f"https://{number}.example/", b"x"))
        for _ in range(number % 4):
            await asyncio.sleep(0)
        await engine.locking.lock()
        (done,) = await asyncio.gather(login, return_exceptions=True)
        assert engine.disabled.state == "closed"
        await engine.locking.unlock(None, None, {})
        there = engine.fetch(f"https://{number}.example/")
        assert there == b"x" or (there is None and isinstance(done, Failure))


async def test_a_passphrase_opens_what_it_opens_and_a_wrong_one_waits_longer_each_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    waited: list[float] = []

    async def sleep(seconds: float) -> None:
        waited.append(round(seconds, 3))

    engine = await with_passphrase(tmp_path)
    monkeypatch.setattr(locking, "PENALTY_SECONDS", 4.0)
    assert await code_of(engine.locking.unlock(None, None, {})) == "passphrase-needed"
    with monkeypatch.context() as patch:
        patch.setattr(asyncio, "sleep", sleep)
        for _ in range(4):
            assert await code_of(engine.locking.unlock(None, WRONG, {})) == "wrong-passphrase"
        assert await engine.locking.unlock(None, PASSPHRASE, {}) == []
        engine.locking.close()
        assert await engine.locking.unlock(None, PASSPHRASE, {}) == []
    assert waited == [0, 4, 8, locking.LONGEST_PENALTY_SECONDS, 10, 0]
    assert engine.fetch(URL) == b"secret"


async def test_a_penalty_delays_nobody_but_the_next_passphrase(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = await with_passphrase(tmp_path)
    await engine.make("keyring")
    await engine.login("https://other.example/", b"other", "keyring")
    assert await code_of(engine.locking.unlock(None, WRONG, {})) == "wrong-passphrase"
    monkeypatch.setattr(locking, "PENALTY_SECONDS", 3600.0)
    monkeypatch.setattr(locking, "LONGEST_PENALTY_SECONDS", 3600.0)
    waiting = asyncio.create_task(engine.locking.unlock(None, PASSPHRASE, {}))
    await asyncio.sleep(0)
    assert (await engine.ask("fetch", service="https://other.example/"))[1] == b"other"
    assert (await engine.ask("login", b"x", service=URL, username="u", provider="keyring"))[0]["ok"]
    assert (await engine.ask("lock"))[0]["ok"] is True
    assert not waiting.done()
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)


def test_no_try_waits_for_the_penalty_of_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    waited: list[float] = []

    async def main() -> None:
        engine = await with_passphrase(tmp_path)
        turn = asyncio.Event()

        async def sleep(seconds: float) -> None:
            waited.append(seconds)
            if len(waited) <= 8:
                await turn.wait()  # the wrong ones have their penalty still before them

        with monkeypatch.context() as patch:
            patch.setattr(asyncio, "sleep", sleep)
            wrong = [asyncio.create_task(engine.locking.unlock(None, WRONG, {})) for _ in range(8)]
            while len(waited) < 8:
                await turn_of_the_loop()
            assert await engine.locking.unlock(None, PASSPHRASE, {}) == []
            assert engine.fetch(URL) == b"secret"
            turn.set()
            await asyncio.gather(*wrong, return_exceptions=True)

    asyncio.run(main())
    assert len(waited) == 9


async def turn_of_the_loop() -> None:
    moment = asyncio.get_running_loop().create_future()
    asyncio.get_running_loop().call_soon(moment.set_result, None)
    await moment


async def test_a_wrong_passphrase_for_one_vault_leaves_the_other_one_open_and_the_lock_ended(
    tmp_path: Path,
) -> None:
    engine = await with_passphrase(tmp_path)
    await engine.make("keyring")
    await engine.locking.lock()
    assert await code_of(engine.locking.unlock(None, WRONG, {})) == "wrong-passphrase"
    assert (engine.keyring.state, engine.disabled.state) == ("open", "closed")
    assert not engine.locking.is_locked


async def test_a_wrong_passphrase_does_not_end_a_lock(tmp_path: Path) -> None:
    engine = await with_passphrase(tmp_path)
    await engine.locking.lock()
    assert await code_of(engine.locking.unlock(None, WRONG, {})) == "wrong-passphrase"
    assert await code_of(engine.locking.unlock(None, None, {})) == "passphrase-needed"
    assert engine.locking.is_locked


async def test_a_vault_that_cannot_be_read_is_not_a_reason_to_ask_for_a_passphrase(
    tmp_path: Path,
) -> None:
    engine = Engine(tmp_path)
    await engine.make_both()
    engine.locking.close()
    (engine.directory / "keyring.vault").write_bytes(b"garbage")
    header, _ = await engine.ask("unlock")
    assert (header["ok"], header["opened"]) == (True, ["disabled"])
    closed: Any = header["closed"]
    assert [each["provider"] for each in closed] == ["keyring"]
    assert "keyring.vault" in closed[0]["note"]


async def test_where_a_key_file_is_gone_the_passphrase_of_the_same_vault_is_asked_for(
    tmp_path: Path,
) -> None:
    engine = Engine(tmp_path)
    await engine.make("disabled")
    await engine.creation.set_passphrase(PASSPHRASE, {}, keep=True)
    key_file(engine, "disabled").unlink()
    engine.locking.close()
    assert await code_of(engine.locking.unlock(None, None, {})) == "passphrase-needed"
    header, _ = await engine.ask("prepare", provider="disabled")
    assert (header["state"], header["needs"]) == ("closed", "passphrase")
    assert await engine.locking.unlock(None, PASSPHRASE, {}) == []


async def test_a_key_file_of_another_length_or_a_link_opens_nothing(tmp_path: Path) -> None:
    engine = Engine(tmp_path)
    await engine.make("disabled")
    path = key_file(engine, "disabled")
    key = path.read_bytes()
    (tmp_path / "real").write_bytes(key)
    for spoilt in (key[:-1], key + b"x", bytes(32), None):
        path.unlink()
        if spoilt is None:
            path.symlink_to(tmp_path / "real")
        else:
            path.write_bytes(spoilt)
        engine.locking.close()
        left = await engine.locking.unlock(None, None, {})
        assert left == [engine.disabled]
        assert engine.opening.notes["disabled"].endswith(".")
    assert engine.arena.free_bytes == engine.quiet


async def test_a_stuck_worker_keeps_no_other_vault_closed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = Engine(tmp_path)
    await first.make_both()
    await first.login(URL, b"secret", "disabled")
    engine = Engine(tmp_path)
    get, header = engine.keys.get, engine.keyring.header
    assert header is not None

    async def stuck(slot: Any, vault_id: str, *arguments: Any) -> memoryview:
        if vault_id == header.vault_id:
            await asyncio.Event().wait()
        return await get(slot, vault_id, *arguments)

    monkeypatch.setattr(engine.keys, "get", stuck)
    opening = asyncio.create_task(engine.opening.open_unattended())
    await asyncio.sleep(0)
    async with asyncio.timeout(PATIENCE):
        assert (await engine.ask("fetch", service=URL))[1] == b"secret"
    login = engine.ask("login", b"x", service=URL, username="bob", provider="disabled")
    async with asyncio.timeout(PATIENCE):
        assert (await login)[0]["ok"] is True
        header_, _ = await engine.ask(
            "fetch", service="https://other.example/", provider="disabled"
        )
    assert header_["code"] == "not-found"
    opening.cancel()


async def test_out_of_descriptors_an_opening_says_so_in_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = await with_passphrase(tmp_path)

    def pipe() -> tuple[int, int]:
        raise OSError(24, os.strerror(24))

    monkeypatch.setattr(os, "pipe", pipe)
    header, _ = await engine.ask("unlock", bytes(PASSPHRASE))
    assert header["code"] != "internal"
    assert "Too many open files" in str(header["message"])
