"""What was taken away is in no file any more, for whoever has every key that there ever was."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from support.agents.in_process import Engine
from support.inspection.vault_leftovers import data_keys, left_behind, stretched

if TYPE_CHECKING:
    from pathlib import Path

    from support.agents.process import Agent

GONE, STAYS = "https://gone.example/", "https://stays.example/"
SECRET, OTHER = b"pypi-the-secret-that-goes", b"pypi-the-one-that-stays"


class Thief:
    """Has each slot key and each data key that ever was, and looks at the files that are left."""

    def __init__(self, directory: Path, state: Path) -> None:
        self.places = [directory, state]
        self.slot_keys: set[bytes] = set()
        self.data_keys: set[bytes] = set()

    def collects(self, *phrases: bytes) -> None:
        """Take the key files, what the passphrases give, and the data keys that these open."""
        directory, state = self.places
        self.slot_keys |= {path.read_bytes() for path in state.rglob("*.key*")}
        for path in directory.glob("*.vault"):
            data = path.read_bytes()
            self.slot_keys |= {stretched(data, phrase) for phrase in phrases}
            self.data_keys |= data_keys(data, self.slot_keys)
        assert self.data_keys

    def finds(self, secret: bytes) -> list[str]:
        return left_behind(self.places, self.slot_keys, self.data_keys, secret)


@pytest.fixture
def thief(agent: Agent) -> Thief:
    """Whoever sees all files and has had all keys since there were two credentials."""
    agent.create_vault()
    agent.log_in(GONE, SECRET)
    agent.log_in(STAYS, OTHER)
    it = Thief(agent.directory, agent.state)
    it.collects()
    return it


def strewn(directory: Path, name: str = "disabled.vault") -> set[str]:
    """Leave what saves that died leave: the vault under temporary names, whole, half and damaged.

    Return the names of all files that have it then.
    """
    vault = directory / name
    data = vault.read_bytes()
    (directory / f".{name}.0000000000000000.tmp").hardlink_to(vault)
    (directory / f".{name}.1111111111111111.tmp").write_bytes(data[:-7])
    (directory / f"{name}.damaged-2026-01-31T12-00-00Z").write_bytes(data[:-3])
    return {path.name for path in directory.glob(f"*{name}*")} - {f"{name}.lock"}


def test_the_thief_finds_the_secret_wherever_it_is(agent: Agent, thief: Thief) -> None:
    everywhere = strewn(agent.directory)
    assert len(everywhere) == 5
    assert set(thief.finds(SECRET)) == everywhere


def test_after_a_logout_the_secret_is_in_no_file(agent: Agent, thief: Thief) -> None:
    strewn(agent.directory)
    agent.ask("logout", service=GONE)
    assert thief.finds(SECRET) == []
    assert thief.finds(OTHER) == ["disabled.vault"]


def test_after_a_login_in_its_place_the_former_secret_is_in_no_file(
    agent: Agent, thief: Thief
) -> None:
    strewn(agent.directory)
    agent.log_in(GONE, b"another")
    assert thief.finds(SECRET) == []


def test_after_a_logout_of_everything_nothing_is_in_any_file(agent: Agent, thief: Thief) -> None:
    strewn(agent.directory)
    agent.ask("logout", all=True)
    assert thief.finds(SECRET) == thief.finds(OTHER) == []


def test_after_a_restore_and_a_logout_the_damaged_file_is_gone_too(
    agent: Agent, thief: Thief
) -> None:
    agent.end()
    vault = agent.directory / "disabled.vault"
    vault.write_bytes(vault.read_bytes()[:-1])
    agent.start()
    agent.ask("restore", provider="disabled", previous=True)
    assert len(thief.finds(SECRET)) == 2
    agent.ask("logout", service=GONE)
    assert thief.finds(SECRET) == []


def test_after_a_new_passphrase_no_former_key_opens_anything(agent: Agent, thief: Thief) -> None:
    strewn(agent.directory)
    agent.ask("passphrase", b"first phrase", action="set")
    assert thief.finds(SECRET) == []
    assert list(agent.state.rglob("*.key*")) == []
    owner = Thief(agent.directory, agent.state)
    owner.collects(b"first phrase")
    assert owner.finds(SECRET) == ["disabled.vault"]

    thief.collects(b"first phrase")
    strewn(agent.directory)
    agent.ask("passphrase", b"second phrase", action="set")
    assert thief.finds(SECRET) == []
    thief.collects(b"second phrase")
    agent.ask("passphrase", action="remove")
    assert thief.finds(SECRET) == []
    thief.collects()
    agent.ask("logout", service=GONE)
    assert thief.finds(SECRET) == []
    assert thief.finds(OTHER) == ["disabled.vault"]


def test_an_expired_secret_is_in_no_file(tmp_path: Path) -> None:
    async def scene() -> None:
        engine = Engine(tmp_path)
        await engine.make_both()
        thief = Thief(engine.directory, engine.state)
        for provider in ("keyring", "disabled"):
            await engine.login(f"https://{provider}.example/", SECRET, provider, lifetime=60)
            await engine.login(f"https://{provider}-stays.example/", OTHER, provider)
            strewn(engine.directory, f"{provider}.vault")
        thief.collects()
        assert len(thief.finds(SECRET)) == 10
        engine.clock.pass_by(61)
        engine.vaults.drop_expired()
        await asyncio.gather(*engine.changes._sweeps)
        assert thief.finds(SECRET) == []
        assert thief.finds(OTHER) == ["disabled.vault", "keyring.vault"]

    asyncio.run(scene())


def test_a_secret_that_moved_to_the_other_vault_is_not_in_its_former_one(tmp_path: Path) -> None:
    async def scene() -> None:
        engine = Engine(tmp_path)
        await engine.make_both()
        thief = Thief(engine.directory, engine.state)
        await engine.login(GONE, SECRET, "keyring")
        await engine.login(STAYS, OTHER, "keyring")
        strewn(engine.directory, "keyring.vault")
        thief.collects()
        await engine.login(GONE, SECRET, "disabled")
        thief.collects()
        assert thief.finds(SECRET) == ["disabled.vault"]

    asyncio.run(scene())
