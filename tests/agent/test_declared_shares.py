"""Shares that config.toml declares: when they are open, what they hand out, and that no request widens them."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from support.agents.in_process import Engine
from support.agents.served import PYPI, asked, fetched, served, serving, there
from support.macaroons import caveats_of, token_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tokenward_agent.wire.server import Server

H, GAR = "https://h.example/", "https://gar.example/python/"
BOTH = f'services = ["pypi", "{GAR}simple/"]\nwhole = ["{GAR}simple/"]\nprojects = ["mine"]\n'


def declare(engine: Engine, place: Path, text: str = BOTH, before: str = "") -> str:
    """Declare one share, and return its path."""
    path = place / "declared.sock"
    engine.config.write_text(f'{before}\n[[share]]\nat = "{path}"\n{text}')
    engine.declared_shares.reconcile()
    return str(path)


def limits(token: bytes) -> list[Any]:
    """Return the caveats of a token but its end."""
    return [caveat for text in caveats_of(token.decode()) or () if (caveat := json.loads(text))[0]]


def lifetime(engine: Engine, token: bytes) -> int:
    """Return how long a token lives."""
    ends = [json.loads(text) for text in caveats_of(token.decode()) or ()]
    return int(next(each[1] for each in ends if each[0] == 0) - engine.clock.wall())


def mode(path: str) -> int:
    """Return the mode of a socket."""
    return Path(path).stat().st_mode & 0o777


def taken_away(path: str) -> None:
    """Remove a socket, as the owner of its folder may."""
    Path(path).unlink()


async def shares_of(engine: Engine) -> list[dict[str, Any]]:
    """Return what `status` says of shares."""
    header: dict[str, Any] = (await engine.ask("status"))[0]
    return list(header["shares"])


@contextlib.asynccontextmanager
async def declaring(tmp_path: Path) -> AsyncIterator[Engine]:
    """Lend an agent that serves, and has a token and two passwords."""
    engine, server = await serving(tmp_path)
    for service in (H, GAR):
        await engine.login(service, b"password", username="ana")
    yield engine
    await ended(engine, server)


async def ended(engine: Engine, server: Server) -> None:
    engine.share_requests.close()
    await server.close()


async def test_each_service_of_a_socket_is_handed_out_as_the_file_says_and_no_other(
    tmp_path: Path,
) -> None:
    async with declaring(tmp_path) as engine:
        path = declare(engine, tmp_path)
        assert mode(path) == 0o600
        header, token = await fetched(path, service=PYPI)
        assert (header["ok"], header["narrowed"], limits(token)) == (True, True, [[1, ["mine"]]])
        header, secret = await fetched(path, service=f"{GAR}simple/")
        assert (header["username"], secret) == ("ana", b"password")
        for service, more in (
            (H, {}),
            ("https://gar.example/", {}),
            ("opaque", {}),
            (PYPI, {"username": "ana"}),
        ):
            header, body = await fetched(path, service=service, **more)
            assert (header["code"], body) == ("not-found", b"")
        for op in ("list", "status", "lock", "share", "unshare"):
            assert (await asked(path, op))["code"] == "refused"


@pytest.mark.parametrize(
    ("wish", "given"),
    [
        ({"ttl": 86400}, 900),
        ({"ttl": 60}, 60),
        ({"projects": "mine", "ttl": 86400}, 900),
        ({"projects": "other"}, None),
        ({"projects": "mine other"}, None),
        ({"whole": True}, 900),
    ],
)
async def test_no_request_makes_anything_wider_or_longer(
    tmp_path: Path, wish: dict[str, Any], given: int | None
) -> None:
    async with declaring(tmp_path) as engine:
        path = declare(engine, tmp_path, BOTH + 'ttl-each = "15m"\n')
        header, token = await fetched(path, service=PYPI, **wish)
        if given is None:
            assert not header["ok"]
        else:
            assert (limits(token), lifetime(engine, token)) == ([[1, ["mine"]]], given)


async def test_a_password_that_whole_does_not_name_is_not_handed_out(tmp_path: Path) -> None:
    async with declaring(tmp_path) as engine:
        path = declare(engine, tmp_path, f'services = ["pypi", "{GAR}"]\n')
        header, body = await fetched(path, service=GAR)
        assert (header["code"], body) == ("refused", b"")
        assert "`whole` of the share" in header["hint"]
        assert (await asked(path, "fetch", service=GAR, whole=True))["code"] == "refused"


async def test_it_is_open_whenever_the_agent_is_not_locked(tmp_path: Path) -> None:
    async with declaring(tmp_path) as engine:
        path = declare(engine, tmp_path)
        reader, writer = await asyncio.open_unix_connection(path)
        await engine.ask("lock")
        assert await reader.read() == b""
        writer.close()
        assert not there(path)
        await engine.ask("unlock")
        assert (await asked(path, "fetch", service=PYPI))["ok"]
        await engine.auto_lock.lock("screen")
        header = await asked(path, "fetch", service=PYPI)
        assert (header["code"], header["vaults"], header["stored"]) == (
            "locked",
            ["disabled"],
            True,
        )
        assert engine.disabled.state == "closed"  # it opens nothing
        assert (await engine.ask("fetch", service=PYPI))[0]["ok"]
        assert (await asked(path, "fetch", service=PYPI))["ok"]


async def test_the_next_agent_opens_it_again_over_what_a_killed_one_left(tmp_path: Path) -> None:
    async with declaring(tmp_path) as engine:
        path = declare(engine, tmp_path)
        engine.share_requests.close()
        assert not there(path)
        engine.declared_shares.reconcile()  # an agent that ends opens nothing
        assert not there(path)
        with socket.socket(socket.AF_UNIX) as left:
            left.bind(path)
        (engine.root / "agent.sock").unlink()
        other = Engine(tmp_path, engine.clock)
        server = served(other)
        await other.open("disabled")
        assert (await asked(path, "fetch", service=PYPI))["ok"]
        await ended(other, server)


async def test_a_login_does_not_end_it_and_its_new_credential_answers(tmp_path: Path) -> None:
    async with declaring(tmp_path) as engine:
        path = declare(engine, tmp_path)
        await engine.ask("logout", service=GAR)
        assert (await asked(path, "fetch", service=GAR))["code"] == "not-found"
        await engine.login("https://gar.example/", b"above", username="eve")
        await engine.login(GAR, b"new", username="bob")
        header, secret = await fetched(path, service=GAR)
        assert (header["username"], secret) == ("bob", b"new")
        await engine.login(GAR, b"another", username="eve")
        header, secret = await fetched(path, service=GAR)
        assert (header["code"], secret) == ("refused", b"")
        assert "bob" not in str(header)  # what else is stored stays here
        for name in ("bob", "eve"):  # the other side chooses no account
            assert not (await fetched(path, service=GAR, username=name))[1]
        named = GAR.replace("://", "://bob@")
        declare(engine, tmp_path, f'services = ["{named}"]\nwhole = ["{named}"]\n')
        assert (await fetched(path, service=GAR))[1] == b"new"
        assert not (await fetched(path, service=GAR, username="eve"))[1]
        both = f'["{named}", "{named.replace("bob", "eve")}"]'
        declare(engine, tmp_path, f"services = {both}\nwhole = {both}\n")
        assert (await fetched(path, service=GAR, username="eve"))[1] == b"another"


async def test_a_change_of_the_file_counts_at_once_also_for_connected_peers(tmp_path: Path) -> None:
    async with declaring(tmp_path) as engine:
        path = declare(engine, tmp_path)
        text = engine.config.read_text()
        for changed in (
            text.replace('"pypi", ', ""),
            text.replace("mine", "other"),
            "",
            "policy = 1",
            text + '[[share]]\nat = "x"\n',
        ):
            engine.config.write_text(changed)
            header = await asked(path, "fetch", service=PYPI)
            assert header["code"] == "refused", changed
            engine.declared_shares.reconcile()
            engine.config.write_text(text)
            engine.declared_shares.reconcile()
            assert (await asked(path, "fetch", service=PYPI))["ok"]
        engine.config.unlink()
        engine.declared_shares.reconcile()
        assert not there(path)


@pytest.mark.parametrize(
    ("rule", "given"),
    [
        ('decide = "deny"', False),
        ('decide = "ask"', False),
        ('decide = "ask"\nremember = "8h"', False),
        ('program = "auth"\ndecide = "deny"', False),
        ('program = "/usr/bin/auth"\ndecide = "deny"', False),
        ('program = "twine"\ndecide = "deny"', True),
        ('project = "mine"\ndecide = "deny"', False),
        ('project = "other"\ndecide = "deny"', True),
        (f'service = "{GAR}"\ndecide = "deny"', True),
        ('decide = "allow"\nrate = "1/1h"', True),
    ],
)
async def test_the_policy_counts_at_each_fetch_and_to_ask_means_no(
    tmp_path: Path, rule: str, given: bool
) -> None:
    async with declaring(tmp_path) as engine:
        path = declare(engine, tmp_path, before=f"[[policy]]\n{rule}\n")
        header = await asked(path, "fetch", service=PYPI, attended=True)
        assert header["ok"] is given
        if "rate" in rule:
            assert not (await asked(path, "fetch", service=PYPI))["ok"]


async def test_of_several_tokens_the_narrowest_answers_and_none_that_is_not_shared(
    tmp_path: Path,
) -> None:
    async with declaring(tmp_path) as engine:
        await engine.ask("logout", service=PYPI)
        for name in ("mine", "two", "secret-project"):
            token = token_of("pypi.org", name, f'[1, ["{name}"]]').encode()
            await engine.login(PYPI, token, username="__token__")
        path = declare(engine, tmp_path, 'services = ["pypi"]\nprojects = ["mine", "two"]\n')
        for name in ("mine", "two"):
            header, token = await fetched(path, service=PYPI, projects=name)
            assert header["projects"] == [name], header
        unclear = await asked(path, "fetch", service=PYPI)
        assert unclear["code"] == "refused"
        assert "secret-project" not in str(unclear)
        refused = await asked(path, "fetch", service=PYPI, projects="secret-project")
        assert refused["code"] == "refused"


async def test_what_is_stopped_stays_closed_until_the_file_changes(tmp_path: Path) -> None:
    async with declaring(tmp_path) as engine:
        path = declare(engine, tmp_path)
        assert (await engine.ask("unshare", at=path))[0]["stopped"] == [path]
        engine.vaults.when_changed()
        assert not there(path)
        assert declare(engine, tmp_path, BOTH + "uids = [1]\n") == path
        assert mode(path) == 0o666


async def test_a_place_is_judged_as_for_a_typed_share_and_status_says_why(tmp_path: Path) -> None:
    async with declaring(tmp_path) as engine:
        file = tmp_path / "declared.sock"
        file.write_text("precious")
        declare(engine, tmp_path)
        first, second = await shares_of(engine)
        assert "is not a socket" in first["problem"]
        assert (first["service"], second["service"]) == (PYPI, f"{GAR}simple/")
        assert file.read_text() == "precious"
        file.unlink()
        assert [each["problem"] for each in await shares_of(engine)] == [None, None]
        place = tmp_path / "gone"
        path = declare(engine, place)
        assert "No such file" in (await shares_of(engine))[0]["problem"]
        place.mkdir()
        engine.vaults.when_changed()
        assert there(path)
        taken_away(path)
        engine.vaults.when_changed()
        assert (await asked(path, "fetch", service=PYPI))["ok"]


@pytest.mark.parametrize(
    "text",
    [
        'services = ["corp"]\n',
        'services = ["https://ana:secret@h.example/"]\n',
        'services = ["ftp://h.example/"]\n',
        f'services = ["pypi"]\nwhole = ["{H}"]\n',
        'services = ["pypi"]\nrelay = true\n',
        'services = ["pypi"]\nread-only = true\n',
    ],
)
async def test_a_file_with_a_wrong_share_hands_out_nothing_and_names_no_value(
    tmp_path: Path, text: str
) -> None:
    async with declaring(tmp_path) as engine:
        path = declare(engine, tmp_path, text)
        assert not there(path)
        assert "has a share 1 " in engine.authorizer.file.problem
        assert "secret" not in engine.authorizer.file.problem
        assert (await engine.ask("fetch", service=PYPI))[0]["code"] == "refused"


async def test_a_name_is_that_of_the_same_file_for_installing_and_for_uploads(
    tmp_path: Path,
) -> None:
    async with declaring(tmp_path) as engine:
        named = f'[services.corp]\nurl = "{GAR}simple/"\npublish-url = "{H}legacy/"\n'
        path = declare(engine, tmp_path, 'services = ["corp"]\nwhole = ["corp"]\n', named)
        for service in (f"{GAR}simple/one/", f"{H}legacy/"):
            assert (await fetched(path, service=service))[1] == b"password"
        assert (await asked(path, "fetch", service=H))["code"] == "not-found"


async def test_an_agent_that_has_declared_shares_alone_may_be_replaced(tmp_path: Path) -> None:
    async with declaring(tmp_path) as engine:
        declare(engine, tmp_path)
        assert (await engine.ask("hello"))[0]["replaceable"] is True
        assert (await engine.ask("share", service=PYPI))[0]["ok"]
        assert (await engine.ask("hello"))[0]["replaceable"] is False


async def test_opening_and_ending_is_in_the_log(tmp_path: Path) -> None:
    async with declaring(tmp_path) as engine:
        path = declare(engine, tmp_path)
        await engine.ask("lock")
        (name,) = engine.state.joinpath("audit").glob("*.jsonl")
        lines = [json.loads(line) for line in name.read_text().splitlines()]
        opened = [line for line in lines if line["event"] == "share"]
        assert [(each["socket"], each["service"]) for each in opened] == [
            (path, PYPI),
            (path, f"{GAR}simple/"),
        ]
        (gone,) = (line for line in lines if line["event"] == "unshare")
        assert (gone["stopped"], gone["why"]) == ([path], "lock")
