"""What ends a share, and what nothing that is asked at it can do: have it give more, or for longer."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any

import pytest

from support.agents.in_process import START, Engine
from support.agents.served import PYPI, asked, fetched, served, serving, there
from support.macaroons import caveats_of, token_of
from tokenward_protocol.index_tokens import DEFAULT_TTL

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable
    from pathlib import Path

    from tokenward_agent.wire.server import Server

LIMITED = token_of("pypi.org", "limited", '[1,["mine"]]')
ANOTHER = token_of("pypi.org", "another", '[1,["mine"]]').encode()
WIDE = token_of("pypi.org", "wide").encode()
ALLOW, ASK, DENY = (f'[[policy]]\ndecide = "{word}"\n' for word in ("allow", "ask", "deny"))


@contextlib.asynccontextmanager
async def one_share(root: Path, **arguments: Any) -> AsyncIterator[tuple[Engine, str]]:
    """Share a token that is limited to one project, lend its agent and its path, and end it all."""
    engine, server = await serving(root)
    await engine.ask("logout", service=PYPI)
    await engine.login(PYPI, LIMITED.encode(), username="__token__")
    header, _ = await engine.ask("share", service=PYPI, **arguments)
    assert header["ok"], header
    yield engine, str(header["socket"])
    await ended(engine, server)


async def ended(engine: Engine, server: Server) -> None:
    engine.share_requests.close()
    await server.close()


@pytest.mark.parametrize(
    ("lifetime", "passed", "asks", "seconds"),
    [
        (None, 0, {}, DEFAULT_TTL),
        (None, 0, {"ttl": 3_000_000_000}, DEFAULT_TTL),
        (None, 0, {"ttl": (1 << 63) - 1}, DEFAULT_TTL),
        (None, 0, {"ttl": 20 * 86400}, DEFAULT_TTL),
        (None, 0, {"ttl": 60}, 60),
        (7200, 0, {"ttl": 7200}, DEFAULT_TTL),
        (7200, 6000, {"ttl": 7200}, 1200),
        (600, 0, {}, 600),
        (600, 580, {}, 20),
        (60, 59, {"ttl": 60}, 1),
    ],
    ids=str,
)
async def test_a_token_ends_within_the_hour_and_with_the_share_whatever_is_asked_for(
    tmp_path: Path, lifetime: int | None, passed: int, asks: dict[str, Any], seconds: int
) -> None:
    async with one_share(tmp_path, **{} if lifetime is None else {"lifetime": lifetime}) as (
        engine,
        path,
    ):
        engine.clock.pass_by(passed)
        header, body = await fetched(path, service=PYPI, **asks)
        assert header["expires"] == START + passed + seconds
        assert caveats_of(body.decode()) == ['[1,["mine"]]', f"[0,{START + passed + seconds},0]"]


async def test_a_longer_time_in_the_policy_makes_no_longer_tokens(tmp_path: Path) -> None:
    async with one_share(tmp_path) as (engine, path):
        engine.config.write_text('[[policy]]\ndecide = "allow"\nttl = "20d"\n')
        for asks in {}, {"ttl": 10 * 86400}:
            header = await asked(path, "fetch", service=PYPI, **asks)
            assert header["expires"] == START + DEFAULT_TTL


async def _another_login(engine: Engine) -> None:
    await engine.login(PYPI, ANOTHER, username="__token__")


async def _the_same_again(engine: Engine) -> None:
    await engine.login(PYPI, LIMITED.encode(), username="__token__")


async def _out_and_in(engine: Engine) -> None:
    await engine.ask("logout", service=PYPI, username="__token__")
    await engine.login(PYPI, ANOTHER, username="__token__")


async def _out(engine: Engine) -> None:
    await engine.ask("logout", service=PYPI)


async def _out_of_all(engine: Engine) -> None:
    await engine.ask("logout", all=True)


async def _into_the_other_vault(engine: Engine) -> None:
    await engine.make("keyring")
    await engine.login(PYPI, ANOTHER, "keyring", username="__token__")


async def _into_the_other_vault_while_this_is_closed(engine: Engine) -> None:
    await engine.make("keyring")
    engine.vaults.close(engine.disabled)
    await engine.login(PYPI, ANOTHER, "keyring", username="__token__")


async def _lock(engine: Engine) -> None:
    await engine.ask("lock")


async def _lock_that_leaves_no_marker(engine: Engine) -> None:
    engine.state.joinpath("locked").mkdir()
    await engine.ask("lock")
    engine.state.joinpath("locked").rmdir()


async def _lock_by_another_agent(engine: Engine) -> None:
    engine.state.joinpath("locked").touch()
    engine.vaults.when_changed()  # as it is every few seconds


async def _lock_by_another_agent_that_is_over(engine: Engine) -> None:
    other = Engine(engine.root, engine.clock)
    await other.ask("lock")
    await other.ask("unlock")
    await engine.ask("fetch", service=PYPI)


async def _an_end_of_the_record(engine: Engine) -> None:
    await engine.login(PYPI, ANOTHER, username="__token__", lifetime=60)


@pytest.mark.parametrize(
    "what",
    [
        _another_login,
        _the_same_again,
        _out_and_in,
        _out,
        _out_of_all,
        _into_the_other_vault,
        _into_the_other_vault_while_this_is_closed,
        _lock,
        _lock_that_leaves_no_marker,
        _lock_by_another_agent,
        _lock_by_another_agent_that_is_over,
        _an_end_of_the_record,
    ],
)
async def test_a_share_ends_with_the_login_that_it_is_of_and_with_a_lock(
    tmp_path: Path, what: Callable[[Engine], Awaitable[None]]
) -> None:
    """All of it happens in one second: what was stored when says nothing."""
    async with one_share(tmp_path) as (engine, path):
        reader, writer = await asyncio.open_unix_connection(path)
        await what(engine)
        assert engine.share_requests.overview() == []
        assert not there(path)
        assert await reader.read() == b""
        writer.close()
        await engine.ask("unlock")
        assert engine.share_requests.overview() == []


@pytest.mark.parametrize(
    ("op", "body", "arguments"),
    [
        ("login", ANOTHER, {"service": PYPI, "username": "__token__"}),
        ("logout", b"", {"service": PYPI}),
        ("lock", b"", {}),
        ("passphrase", b"new", {"action": "set"}),
    ],
)
async def test_whoever_ends_a_share_by_something_else_is_told(
    tmp_path: Path, op: str, body: bytes, arguments: dict[str, Any]
) -> None:
    async with one_share(tmp_path) as (engine, path):
        header, _ = await engine.ask(op, body, **arguments)
        assert (header["ok"], header["stopped"]) == (True, [path])
        again, _ = await engine.ask("login", b"x", service="https://i.example/", username="ana")
        assert "stopped" not in again


async def test_why_a_share_ended_is_in_the_log(tmp_path: Path) -> None:
    async with one_share(tmp_path) as (engine, path):
        await _another_login(engine)
        (name,) = engine.state.joinpath("audit").glob("*.jsonl")
        assert f'"event":"unshare","decision":"done","stopped":["{path}"],"why":"login"' in (
            name.read_text()
        )


async def test_another_agents_login_in_the_same_second_is_another_login(tmp_path: Path) -> None:
    async with one_share(tmp_path) as (engine, path):
        other = Engine(tmp_path, engine.clock)
        await other.open("disabled")
        await other.login(PYPI, ANOTHER, username="__token__")
        await engine.auto_lock.lock("sleep")
        await engine.ask("fetch", service=PYPI)
        assert not there(path)


async def test_a_share_goes_on_over_what_makes_its_credential_no_other(tmp_path: Path) -> None:
    async with one_share(tmp_path) as (engine, path):
        child = (await engine.ask("fetch", service=PYPI, ttl=60))[1]
        kept, _ = await engine.ask("login", child, service=PYPI, username="__token__")
        assert kept["kept"]
        await engine.login(PYPI, WIDE, username="ana")
        await engine.login("https://upload.pypi.org/", WIDE, username="__token__")
        assert (await asked(path, "fetch", service=PYPI))["ok"]


async def test_while_an_automatic_lock_lasts_a_share_answers_locked_and_then_goes_on(
    tmp_path: Path,
) -> None:
    """Whoever asks there opens nothing, though the vault needs nobody; its owner's request does."""
    async with one_share(tmp_path) as (engine, path):
        await engine.auto_lock.lock("screen")
        for _ in range(2):
            header = await asked(path, "fetch", service=PYPI)
            assert (header["code"], header["vaults"]) == ("locked", ["disabled"])
        assert engine.disabled.state == "closed"
        assert (await engine.ask("fetch", service=PYPI))[0]["ok"]
        assert (await asked(path, "fetch", service=PYPI))["projects"] == ["mine"]


async def test_whoever_asks_at_a_share_keeps_no_idle_vault_open(tmp_path: Path) -> None:
    async with one_share(tmp_path) as (engine, path):
        engine.config.write_text('lock-after-idle = "10m"\n')
        await engine.auto_lock.check()
        engine.clock.pass_by(599)
        assert (await asked(path, "fetch", service=PYPI))["ok"]
        engine.clock.pass_by(1)
        assert (await asked(path, "fetch", service=PYPI))["code"] == "locked"


async def test_what_is_kept_in_memory_alone_is_not_shared_any_more_once_that_is_forgotten(
    tmp_path: Path,
) -> None:
    engine, server = await serving(tmp_path)
    where: dict[str, Any] = {"service": "https://h.example/", "username": "ana"}
    await engine.ask("login", b"minted", memory=True, lifetime=900, **where)
    path = str((await engine.ask("share", whole=True, **where))[0]["socket"])
    assert (await fetched(path, service="https://h.example/"))[1] == b"minted"
    await engine.auto_lock.lock("sleep")
    assert not there(path)
    await ended(engine, server)


async def test_a_rate_counts_what_is_fetched_by_a_share_too(tmp_path: Path) -> None:
    async with one_share(tmp_path) as (engine, path):
        engine.config.write_text('[[policy]]\ndecide = "allow"\nrate = "3/1h"\n')
        assert (await engine.ask("fetch", service=PYPI))[0]["ok"]
        oks = [(await asked(path, "fetch", service=PYPI))["ok"] for _ in range(3)]
        assert oks == [True, True, False]
        refused, _ = await engine.ask("fetch", service=PYPI)
        assert "rate limit is 3" in str(refused["message"])
        told = await asked(path, "fetch", service=PYPI)
        assert str(tmp_path) not in told["message"]
        engine.clock.pass_by(3600)
        assert (await asked(path, "fetch", service=PYPI))["ok"]


@pytest.mark.parametrize(
    ("rules", "project", "given"),
    [
        (DENY, "", False),
        (ASK, "", False),  # the share was not approved, and a share causes no prompt
        (ALLOW, "", True),
        ('[[policy]]\nproject = "mine"\ndecide = "deny"\n', "", False),
        ('[[policy]]\nproject = "other"\ndecide = "deny"\n', "", True),
        (f'[[policy]]\nproject = "mine"\ndecide = "allow"\n{DENY}', "", True),
        (f'[[policy]]\nproject = "mine"\ndecide = "allow"\n{DENY}', "mine", True),
        (f'[[policy]]\nproject = "other"\ndecide = "allow"\n{DENY}', "mine", False),
    ],
)
async def test_each_fetch_by_a_share_is_judged_by_the_policy_of_that_moment_and_what_goes_out(
    tmp_path: Path, rules: str, project: str, given: bool
) -> None:
    async with one_share(tmp_path) as (engine, path):
        engine.config.write_text(rules)
        wish = {"projects": project} if project else {}
        assert (await asked(path, "fetch", service=PYPI, **wish))["ok"] is given


async def test_a_yes_to_a_share_ends_with_the_policy_that_asked_for_it(tmp_path: Path) -> None:
    """Whoever put another one in its place may have meant to end it."""
    async with one_share(tmp_path) as (engine, path):
        held = engine.share_requests._open[path]
        shares = (held.shares[0]._replace(agreed=0),)
        engine.share_requests._open[path] = held._replace(shares=shares)
        assert (await asked(path, "fetch", service=PYPI))["ok"]
        engine.config.write_text(ALLOW)
        await engine.auto_lock.check()
        engine.vaults.when_changed()
        assert not there(path)


async def test_an_agent_without_a_policy_shares_as_ever(tmp_path: Path) -> None:
    engine = Engine(tmp_path)
    await engine.make("disabled")
    server = served(engine)
    await engine.login("https://h.example/", b"secret")
    header, _ = await engine.ask("share", service="https://h.example/")
    assert "cannot be attenuated" in str(header["message"])
    header, _ = await engine.ask("share", service="https://h.example/", whole=True)
    _, body = await fetched(str(header["socket"]), service="https://h.example/", ttl=60)
    assert body == b"secret"
    await ended(engine, server)
