"""Shares of a real agent's parts: their end by the clocks, and who has a turn beside them."""

from __future__ import annotations

import asyncio
import errno
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from support.agents.served import PYPI, asked, serving, there
from support.waiting import PATIENCE
from tokenward_protocol.frames import PREFIX, make_frame
from tokenward_protocol.messages import make_request

if TYPE_CHECKING:
    from support.agents.in_process import Engine


def taken_away(path: str) -> None:
    """Remove a socket, as somebody may who has its folder."""
    Path(path).unlink()


async def test_a_share_is_gone_at_its_end(tmp_path: Path) -> None:
    engine, server = await serving(tmp_path)
    header, _ = await engine.ask("share", service=PYPI, lifetime=3600)
    path = str(header["socket"])
    fetched = await asked(path, "fetch", service=PYPI)
    assert fetched["expires"] == engine.clock.wall() + 3600
    engine.clock.pass_by(3000)
    assert (await asked(path, "fetch", service=PYPI))["expires"] == header["ends"]
    engine.clock.pass_by(600)
    assert (await asked(path, "fetch", service=PYPI))["code"] == "refused"
    engine.share_requests.close()
    assert not there(path)
    await server.close()


@pytest.mark.parametrize(("rule", "seconds"), [("narrow = false", 3600), ('ttl = "2m"', 120)])
async def test_a_share_hands_out_children_whatever_the_policy_says_and_no_longer_ones(
    tmp_path: Path, rule: str, seconds: int
) -> None:
    engine, server = await serving(tmp_path)
    engine.config.write_text(f'[[policy]]\ndecide = "allow"\n{rule}\n')
    header, _ = await engine.ask("share", service=PYPI)
    found = await asked(str(header["socket"]), "fetch", service=PYPI)
    assert (found["narrowed"], found["expires"]) == (True, engine.clock.wall() + seconds)
    engine.share_requests.close()
    await server.close()


async def test_a_policy_that_cannot_be_obeyed_ends_what_is_shared_until_it_can(
    tmp_path: Path,
) -> None:
    engine, server = await serving(tmp_path)
    path = str((await engine.ask("share", service=PYPI))[0]["socket"])
    engine.config.write_text('[[policy]]\ndecide = "alow"\n')
    assert (await asked(path, "fetch", service=PYPI))["code"] == "refused"
    engine.config.write_text('[[policy]]\ndecide = "allow"\n')
    assert (await asked(path, "fetch", service=PYPI))["ok"]
    engine.share_requests.close()
    await server.close()


async def test_a_timer_takes_the_socket_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine, server = await serving(tmp_path)
    loop = asyncio.get_running_loop()
    ends: list[Any] = []
    monkeypatch.setattr(
        loop, "call_later", lambda seconds, end, *args: ends.append((seconds, end, args))
    )
    header, _ = await engine.ask("share", service=PYPI, lifetime=600)
    monkeypatch.undo()
    ((seconds, end, args),) = [each for each in ends if each[0] == 600]
    assert seconds == 600
    assert there(str(header["socket"]))
    end(*args)
    assert not there(str(header["socket"]))
    assert engine.share_requests.overview() == []
    await server.close()


async def test_a_crowd_at_a_shared_socket_keeps_nobody_from_the_agents_own(tmp_path: Path) -> None:
    engine, server = await serving(tmp_path)
    own = await asyncio.open_unix_connection(str(tmp_path / "agent.sock"))
    header, _ = await engine.ask("share", service=PYPI)
    crowd = [await asyncio.open_unix_connection(str(header["socket"])) for _ in range(100)]
    assert (await asked(str(header["socket"]), "fetch", service=PYPI))["ok"]
    assert (await asked(str(tmp_path / "agent.sock"), "fetch", service=PYPI))["ok"]
    assert not own[0].at_eof()
    own[1].write(make_frame(make_request("hello", 1, {})))
    assert await own[0].readexactly(PREFIX)
    for _reader, writer in (*crowd, own):
        writer.close()
    engine.share_requests.close()
    await server.close()


async def test_an_agent_that_shares_something_does_not_make_way_unasked(tmp_path: Path) -> None:
    async def replaceable(engine: Engine) -> object:
        return (await engine.ask("hello"))[0]["replaceable"]

    engine, server = await serving(tmp_path)
    assert await replaceable(engine) is True
    await engine.ask("share", service=PYPI)
    assert await replaceable(engine) is False
    await engine.ask("unshare")
    assert await replaceable(engine) is True
    await server.close()


async def test_a_share_is_of_one_credential_and_of_none_above_it(tmp_path: Path) -> None:
    """Where that one is gone, and a wider one of the same user name answers its service, it ends."""
    engine, server = await serving(tmp_path)
    above, service = "https://h.example/", "https://h.example/team/"
    await engine.login(above, b"the wider one")
    await engine.login(service, b"the shared one")
    header, _ = await engine.ask("share", service=service, whole=True)
    path = str(header["socket"])
    assert (await asked(path, "fetch", service=service))["service"] == service
    await engine.ask("logout", service=service, username="ana")
    assert not there(path)
    assert engine.share_requests.overview() == []
    await server.close()


async def test_a_share_whose_socket_cannot_be_taken_away_answers_nobody_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its folder may be read-only by then, or somebody else's."""

    def refuse(_path: str) -> None:
        raise PermissionError(errno.EPERM, "for a test")

    engine, server = await serving(tmp_path)
    header, _ = await engine.ask("share", service=PYPI)
    path = str(header["socket"])
    inside, writer = await asyncio.open_unix_connection(path)
    with monkeypatch.context() as patched:
        patched.setattr(os, "unlink", refuse)
        assert (await engine.ask("unshare"))[0]["stopped"] == [path]
    assert await asyncio.wait_for(inside.read(), PATIENCE) == b""
    assert there(path)
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_unix_connection(path)
    writer.close()
    await server.close()


async def test_a_share_whose_socket_somebody_took_away_ends_where_another_takes_its_place(
    tmp_path: Path,
) -> None:
    engine, server = await serving(tmp_path)
    at = str(tmp_path / "s.sock")
    await engine.ask("share", service=PYPI, at=at)
    inside, writer = await asyncio.open_unix_connection(at)
    taken_away(at)
    header, _ = await engine.ask("share", service=PYPI, at=at, projects="mine")
    assert header["socket"] == at
    assert await asyncio.wait_for(inside.read(), PATIENCE) == b""
    assert (await asked(at, "fetch", service=PYPI))["projects"] == ["mine"]
    assert (await engine.ask("share", service=PYPI, at=at))[0]["code"] == "refused"
    assert (await engine.ask("unshare"))[0]["stopped"] == [at]
    writer.close()
    await server.close()


@pytest.mark.parametrize("at", ["", "here.sock", "\0abstract", "/tmp/a\0b"])
async def test_a_place_that_is_no_absolute_path_is_refused(tmp_path: Path, at: str) -> None:
    engine, server = await serving(tmp_path)
    assert (await engine.ask("share", service=PYPI, at=at))[0]["code"] == "bad-request"
    await server.close()


def test_more_than_a_few_shares_are_too_many(tmp_path: Path) -> None:
    async def main() -> None:
        engine, server = await serving(tmp_path)
        codes = [(await engine.ask("share", service=PYPI))[0].get("code") for _ in range(17)]
        assert codes == [None] * 16 + ["busy"]
        engine.share_requests.close()
        await server.close()

    asyncio.run(main())
    assert list(tmp_path.glob("share-*")) == []
