"""What is answered while a vault is not open: whether anything is stored there at all."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from support.agents.in_process import Engine

if TYPE_CHECKING:
    from pathlib import Path

    from tokenward_protocol.packing import Value

MINE, OTHER = "https://nexus.example/team/", "https://cloud.example/simple/"


async def stored(engine: Engine, spelling: str) -> Value:
    answer, _ = await engine.ask("fetch", spelling=spelling)
    assert answer["code"] == "locked"
    return answer["stored"]


async def locked(root: Path, *services: str) -> Engine:
    engine = Engine(root)
    await engine.make("disabled")
    for service in services:
        await engine.login(service, b"made-up")
    await engine.locking.lock()
    return engine


@pytest.mark.parametrize(
    ("spelling", "there"),
    [
        (MINE, True),
        ("https://NEXUS.example:443/elsewhere/a.whl", True),
        (OTHER, False),
        ("https://nexus.example:8443/team/", False),
        ("https://a.nexus.example/", False),
        ("nexus.example", False),
        ("pdm-pypi-x", True),
        ("pdm-pypi-y", False),
        ("localhost:8080", True),
    ],
)
async def test_a_locked_vault_still_tells_which_origins_it_has_something_for(
    spelling: str, there: bool, tmp_path: Path
) -> None:
    engine = await locked(tmp_path, MINE, "pdm-pypi-x", "http://localhost:8080/")
    assert await stored(engine, spelling) is there
    again = Engine(tmp_path, engine.clock)
    assert await stored(again, spelling) is there


async def test_the_list_follows_logins_and_logouts(tmp_path: Path) -> None:
    engine = await locked(tmp_path, MINE)
    await engine.locking.unlock(None, None, {})
    await engine.login(OTHER, b"made-up")
    await engine.changes.logout(MINE, "ana", provider=None, every=False)
    await engine.locking.lock()
    assert await stored(engine, MINE) is False
    assert await stored(engine, OTHER) is True


@pytest.mark.parametrize("become", ["gone", "no list", "of another vault", "older", "no object"])
async def test_without_a_list_of_this_very_vault_it_is_not_known(
    become: str, tmp_path: Path
) -> None:
    engine = await locked(tmp_path, MINE)
    path = engine.state / "stored.json"
    held = json.loads(path.read_text())
    if become == "of another vault":
        held["disabled"]["vault"] = "0" * 32
    if become == "older":
        held["disabled"]["generation"] -= 1
    if become == "no list":
        del held["disabled"]
    path.write_text("[" if become == "no object" else json.dumps(held))
    if become == "gone":
        path.unlink()
    assert await stored(engine, OTHER) is None
    if become in {"of another vault", "older"}:
        assert await stored(engine, MINE) is True


async def test_a_list_that_cannot_be_written_is_no_obstacle(tmp_path: Path) -> None:
    engine = Engine(tmp_path)
    (engine.state / "stored.json").mkdir()  # nothing takes its place
    await engine.make("disabled")
    await engine.login(MINE, b"made-up")
    assert engine.fetch(MINE) == b"made-up"
    engine.locking.close()
    engine.vaults.each["disabled"].header = None
    assert (
        engine.vaults.not_found_error(MINE, None, ("https://nexus.example",)).more["stored"] is None
    )


async def test_what_a_damaged_vault_held_is_known_too(tmp_path: Path) -> None:
    engine = await locked(tmp_path, MINE)
    (engine.directory / "disabled.vault").write_bytes(b"no vault")
    again = Engine(tmp_path, engine.clock)
    for spelling, there in ((MINE, True), (OTHER, False)):
        answer, _ = await again.ask("fetch", spelling=spelling)
        assert (answer["code"], answer["stored"]) == ("vault", there)


async def test_the_list_names_no_host_and_no_user(tmp_path: Path) -> None:
    engine = await locked(tmp_path, MINE)
    text = (engine.state / "stored.json").read_text()
    assert not [word for word in ("nexus", "team", "ana") if word in text]
