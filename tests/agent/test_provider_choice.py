"""Which provider a new credential gets: what was named or nothing, else what is there, said once."""

from __future__ import annotations

import asyncio
import os
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from support.agents.in_process import Engine
from support.systems.desktop_keyrings import gnome_keyring, hanging_keyring
from support.tools.keyring_program import keyring_program
from tokenward_agent.failure import Failure
from tokenward_agent.store.providers import Probe, read_probe, write_probe

if TYPE_CHECKING:
    from collections.abc import Awaitable, Iterator

URL = "https://index.example/team/"
NOTHING = memoryview(bytearray())


@pytest.fixture
def bare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """An environment without any keyring."""
    for name in ("DBUS_SESSION_BUS_ADDRESS", "PYTHON_KEYRING_BACKEND", "XDG_CONFIG_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path / "nothing"))
    return monkeypatch


@pytest.fixture
def programs(bare: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder on PATH, with none above it that others can change but /tmp, which is sticky."""
    with tempfile.TemporaryDirectory(prefix="tw") as name:
        bare.setenv("PATH", name)
        yield Path(name)


async def refused(awaited: Awaitable[object]) -> str:
    with pytest.raises(Failure) as error:
        await awaited
    assert error.value.code == "provider"
    assert error.value.hint
    return str(error.value)


async def test_where_no_keyring_answers_disabled_is_taken_and_that_is_said_once(
    tmp_path: Path, bare: pytest.MonkeyPatch
) -> None:
    engine = Engine(tmp_path)
    provider, note = await engine.choice.choose(None, None, {}, probe=False)
    assert provider == "disabled"
    assert note == (
        "No system keyring answered (no D-Bus session), so credentials go into the file vault."
    )
    assert await engine.choice.choose(None, None, {}, probe=False) == ("disabled", None)
    again = Engine(tmp_path)
    assert await again.choice.choose(None, None, {}, probe=False) == ("disabled", None)
    provider, note = await again.choice.choose(None, None, {}, probe=True)
    assert (provider, bool(note)) == ("disabled", True)


async def test_a_named_provider_is_taken_or_refused_and_never_replaced(
    tmp_path: Path, bare: pytest.MonkeyPatch
) -> None:
    engine = Engine(tmp_path)
    choose = engine.choice.choose
    assert await choose("disabled", None, {}, probe=False) == ("disabled", None)
    assert "no D-Bus session" in await refused(choose("keyring", None, {}, probe=False))
    assert "The `keyring` program is not known" in await refused(
        choose("subprocess", None, {}, probe=False)
    )
    assert not engine.directory.exists()


async def test_a_vault_that_is_there_is_used_whatever_answers_today(
    tmp_path: Path, bare: pytest.MonkeyPatch
) -> None:
    engine = Engine(tmp_path)
    await engine.make("keyring")
    assert await engine.choice.choose(None, None, {}, probe=False) == ("keyring", None)
    assert await engine.choice.choose("keyring", None, {}, probe=False) == ("keyring", None)
    assert read_probe(str(engine.state)) is None


async def test_a_remembered_keyring_is_asked_again_after_an_hour(
    tmp_path: Path, bare: pytest.MonkeyPatch
) -> None:
    engine = Engine(tmp_path)
    write_probe(str(engine.state), Probe("Secret Service", "", engine.clock.wall()))
    engine.clock.pass_by(3600)
    assert await engine.choice.choose(None, None, {}, probe=False) == ("keyring", None)
    engine.clock.pass_by(1)
    provider, note = await engine.choice.choose(None, None, {}, probe=False)
    assert (provider, bool(note)) == ("disabled", True)


def test_a_keyring_program_opens_the_vault_through_a_slot_of_its_own(
    tmp_path: Path, programs: Path
) -> None:
    program = keyring_program(programs)

    async def main() -> None:
        engine = Engine(tmp_path)
        header, _ = await engine.ask("prepare", provider="subprocess", program=str(program))
        assert (header["ok"], header["provider"], header["state"]) == (True, "subprocess", "absent")
        header, _ = await engine.ask(
            "create", provider="subprocess", slot="program", program=str(program)
        )
        assert header["ok"] is True, header
        await engine.login(URL, b"secret", "subprocess")
        again = Engine(tmp_path)
        assert (await again.ask("fetch", service=URL, provider="subprocess"))[1] == b"secret"
        status: Any = (await again.ask("status"))[0]["vaults"]
        assert str(program) in status[0]["slots"][0]["detail"]
        # What can be changed by others is run no more, not even if it was remembered.
        program.chmod(0o777)
        assert "can be changed by others" in await refused(
            again.choice.choose("subprocess", None, {}, probe=False)
        )

    asyncio.run(main())
    assert b"secret" not in b"".join(path.read_bytes() for path in programs.iterdir())


@pytest.mark.parametrize("path", ["relative/keyring", "/nonexistent/keyring"])
async def test_a_program_that_is_no_path_or_not_there_is_refused(
    path: str, tmp_path: Path, bare: pytest.MonkeyPatch
) -> None:
    engine = Engine(tmp_path)
    assert path in await refused(engine.choice.choose("subprocess", path, {}, probe=False))


@pytest.mark.gnome_keyring
@pytest.mark.skipif(sys.platform != "linux", reason="needs gnome-keyring")
def test_a_real_keyring_is_chosen_opens_its_vault_unasked_and_closes_no_other_when_locked(
    tmp_path: Path, bare: pytest.MonkeyPatch
) -> None:
    async def main() -> None:
        engine = Engine(tmp_path)
        header, _ = await engine.ask("prepare")
        assert (header["provider"], header["needs"], header["note"]) == ("keyring", "nothing", None)
        header, _ = await engine.ask("create", provider="keyring", slot="keyring")
        assert header["ok"] is True, header
        await engine.login(URL, b"secret", "keyring")
        await engine.make("disabled")
        await engine.login("https://other.example/", b"other", "disabled")
        again = Engine(tmp_path)
        assert (await again.ask("fetch", service=URL))[1] == b"secret"
        items = session.items()
        assert not [value for value in items.values() if b"secret" in value]
        session.lock()
        last = Engine(tmp_path)
        assert (await last.ask("fetch", service="https://other.example/"))[1] == b"other"
        header, _ = await last.ask("fetch", service=URL)
        assert (header["code"], header["vaults"]) == ("locked", ["keyring"])
        status: Any = (await last.ask("status"))[0]["vaults"]
        assert status[0]["note"] == "The system keyring is locked."
        header, _ = await last.ask(
            "login", b"new", service=URL, username="bob", provider="disabled"
        )
        assert header["ok"] is True
        assert last.arena.free_bytes == last.quiet

    bare.setenv("PATH", os.defpath)
    with gnome_keyring(tmp_path / "desktop") as session:
        for name, value in session.environ.items():
            bare.setenv(name, value)
        asyncio.run(main())


@pytest.mark.gnome_keyring
@pytest.mark.skipif(sys.platform != "linux", reason="needs a D-Bus session")
def test_a_keyring_that_hangs_closes_its_own_vault_and_no_other(
    tmp_path: Path, bare: pytest.MonkeyPatch
) -> None:
    async def main() -> None:
        engine = Engine(tmp_path)
        await engine.make("disabled")
        await engine.login(URL, b"secret", "disabled")
        vault_id = "0" * 32
        params: Any = {"service": "tokenward", "username": vault_id}
        key, now = bytes(32), engine.clock.wall()
        async with engine.vaults.changing:
            await engine.vaults.change(
                engine.keyring,
                lambda: engine.keyring.create("keyring", params, key, now, vault_id),
            )
        again = Engine(tmp_path)
        opening = asyncio.create_task(again.ask("fetch", service="https://none.example/"))
        await asyncio.sleep(0)
        assert (await again.ask("fetch", service=URL))[1] == b"secret"
        assert not opening.done()
        header, _ = await opening
        assert (header["code"], header["vaults"]) == ("locked", ["keyring"])
        assert "within 3 seconds" in again.opening.notes["keyring"]

    bare.setenv("PATH", os.defpath)
    with hanging_keyring(tmp_path / "desktop") as session:
        for name, value in session.environ.items():
            bare.setenv(name, value)
        asyncio.run(main())
