"""Credentials that are kept in memory alone: found like others, in no file, gone with a lock."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from support.agents.in_process import Engine, on_disk
from support.macaroons import caveats_of, token_of
from tokenward_agent.failure import KeyDestroyed
from tokenward_agent.store import memory_records

if TYPE_CHECKING:
    from pathlib import Path

    from tokenward_protocol.packing import Value

PYPI = "https://upload.pypi.org/legacy/"
USER = "__token__"
TOKEN = token_of("pypi.org").encode()


async def keep(engine: Engine, secret: bytes = TOKEN, lifetime: int = 900) -> dict[str, Value]:
    answer, _ = await engine.ask(
        "login", secret, service=PYPI, username=USER, lifetime=lifetime, memory=True
    )
    return answer


async def listed(engine: Engine) -> list[Value]:
    answer, _ = await engine.ask("list")
    entries = answer["entries"]
    assert isinstance(entries, list)
    return entries


def test_it_is_found_as_any_other_and_no_file_has_it(tmp_path: Path) -> None:
    async def story(engine: Engine) -> None:
        answer = await keep(engine)
        assert (answer["ok"], answer["replaced"], answer["provider"]) == (True, False, "memory")
        answer, secret = await engine.ask("fetch", service=f"{PYPI}below/", whole=True)
        assert secret == TOKEN
        assert answer["provider"] == "memory"
        assert answer["expires"] == engine.clock.wall() + 900
        (entry,) = await listed(engine)
        assert isinstance(entry, dict)
        assert (entry["provider"], entry["used"]) == ("memory", engine.clock.wall())

    asyncio.run(story(Engine(tmp_path)))
    assert not list(tmp_path.rglob("*.vault"))
    assert TOKEN not in on_disk(tmp_path)


async def test_a_tool_gets_a_child_of_it_that_ends_no_later(tmp_path: Path) -> None:
    engine = Engine(tmp_path)
    await keep(engine)
    answer, child = await engine.ask("fetch", service=PYPI, projects="one")
    end = engine.clock.wall() + 900
    assert (answer["narrowed"], answer["expires"]) == (True, end)
    assert caveats_of(child.decode()) == [f"[0,{end},0]", '[1,["one"]]']
    saved, _ = await engine.ask("login", child, service=PYPI, username=USER)
    assert saved["kept"] is True  # a tool that saves what it was given takes nothing away
    assert saved["provider"] == "memory"


async def test_it_answers_nothing_from_the_second_on_that_it_is_over(tmp_path: Path) -> None:
    engine = Engine(tmp_path)
    await keep(engine)
    engine.clock.pass_by(899)
    assert engine.fetch(PYPI) == TOKEN
    engine.clock.pass_by(1)
    assert engine.fetch(PYPI) is None
    assert await listed(engine) == []
    assert not engine.vaults.memory.records


async def test_a_lock_ends_it_also_where_it_waits_to_be_sent(tmp_path: Path) -> None:
    engine = Engine(tmp_path)
    await keep(engine)
    (found,) = engine.vaults.account([PYPI], None, None)
    await engine.ask("lock")
    with pytest.raises(KeyDestroyed):
        found.secret().open_into(memoryview(bytearray(len(TOKEN))))
    assert (await keep(engine))["code"] == "locked"
    await engine.ask("unlock")
    assert engine.fetch(PYPI) is None
    assert (await keep(engine))["ok"] is True


async def test_the_next_one_takes_its_place(tmp_path: Path) -> None:
    another = token_of("pypi.org", "another").encode()
    engine = Engine(tmp_path)
    await keep(engine, lifetime=60)
    assert (await keep(engine, another, lifetime=900))["replaced"] is True
    engine.clock.pass_by(60)
    assert engine.fetch(PYPI) == another


@pytest.mark.parametrize(("size", "most"), [(100, memory_records.MOST), (60_000, 69)])
async def test_there_are_only_so_many_of_them(size: int, most: int, tmp_path: Path) -> None:
    async def keep_at(engine: Engine, number: int) -> dict[str, Value]:
        service = f"https://{number}.example/"
        answer, _ = await engine.ask(
            "login", b"x" * size, service=service, username=USER, lifetime=900, memory=True
        )
        return answer

    engine = Engine(tmp_path)
    for number in range(most):
        assert (await keep_at(engine, number))["ok"] is True, number
    refused = await keep_at(engine, most)
    assert refused["code"] == "busy"
    assert "`auth logout`" in str(refused["hint"])
    assert (await keep_at(engine, 0))["ok"] is True  # in the place of one that is there
    await engine.ask("logout", service="https://0.example/", username=USER)
    assert (await keep_at(engine, most))["ok"] is True


async def test_it_never_takes_the_place_of_one_that_a_vault_has(tmp_path: Path) -> None:
    engine = Engine(tmp_path)
    await engine.make("disabled")
    await engine.login(PYPI, b"for good", username=USER)
    answer = await keep(engine)
    assert answer["code"] == "refused"
    assert "`auth logout`" in str(answer["hint"])
    assert engine.fetch(PYPI) == b"for good"


async def test_a_login_into_a_vault_takes_its_place(tmp_path: Path) -> None:
    engine = Engine(tmp_path)
    await engine.make("disabled")
    await keep(engine)
    assert await engine.login(PYPI, b"for good", username=USER) is True
    assert engine.fetch(PYPI) == b"for good"
    assert len(await listed(engine)) == 1


async def test_it_answers_before_one_in_a_vault_that_opens_later(tmp_path: Path) -> None:
    engine = Engine(tmp_path)
    await engine.make_both()
    await engine.login(PYPI, b"for good", username=USER)
    await engine.login(PYPI, b"ana's", username="ana")
    engine.vaults.close(engine.disabled)
    await keep(engine)
    await engine.open("disabled")
    for name in (None, USER):
        assert engine.fetch(PYPI, name) == TOKEN
    assert engine.fetch(PYPI, USER, "disabled") == b"for good"
    answer, _ = await engine.ask("logout", service=PYPI)
    assert answer["count"] == 2  # a logout leaves nothing that answers in its place
    assert engine.fetch(PYPI) == b"ana's"


async def test_a_logout_names_it_and_ends_it(tmp_path: Path) -> None:
    engine = Engine(tmp_path)
    await keep(engine)
    answer, _ = await engine.ask("logout", service=PYPI)
    assert isinstance(answer["removed"], list)
    assert [each["provider"] for each in answer["removed"] if isinstance(each, dict)] == ["memory"]
    assert engine.fetch(PYPI) is None
    await keep(engine)
    answer, _ = await engine.ask("logout", all=True)
    assert answer["count"] == 1


async def test_an_agent_that_holds_one_makes_no_way_for_a_newer(tmp_path: Path) -> None:
    engine = Engine(tmp_path)
    assert (await engine.ask("hello"))[0]["replaceable"] is True
    await keep(engine)
    assert (await engine.ask("hello"))[0]["replaceable"] is False


@pytest.mark.parametrize(
    "more",
    [
        {},
        {"lifetime": 0},
        {"lifetime": 9, "provider": "disabled"},
        {"lifetime": 9, "adopt": PYPI},
        {"lifetime": 9, "sealed": True},
    ],
)
async def test_it_has_an_end_and_no_provider(
    tmp_path: Path, more: dict[str, str | int | bool]
) -> None:
    engine = Engine(tmp_path)
    body = b"" if "adopt" in more else TOKEN
    answer, _ = await engine.ask("login", body, service=PYPI, username=USER, memory=True, **more)
    assert answer["code"] == "bad-request"
    assert engine.fetch(PYPI) is None


async def test_what_a_vault_could_not_hold_is_not_kept(tmp_path: Path) -> None:
    engine = Engine(tmp_path)
    answer, _ = await engine.ask("login", TOKEN, service="", username=USER, lifetime=9, memory=True)
    assert answer["code"] == "bad-request"
