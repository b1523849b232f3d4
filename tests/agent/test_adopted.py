"""Adopted credentials: read through a keyring backend when needed, forgotten in time."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import pytest

from support.agents.in_process import Engine
from support.waiting import until_in_loop
from tokenward_agent.failure import KeyDestroyed
from tokenward_agent.store import adopted

if TYPE_CHECKING:
    from pathlib import Path

URL = "https://index.example/team/"
BACKEND = """
import json, time, keyring.backend, keyring.credentials
from pathlib import Path
HERE = Path(__file__).parent
class Vault(keyring.backend.KeyringBackend):
    priority = 9
    def get_password(self, service, username):
        with (HERE / "asked").open("a") as file:
            file.write(f"{service} {username}\\n")
        while (HERE / "stuck").exists():
            time.sleep(0.05)
        return json.loads((HERE / "items").read_text()).get(f"{service} {username}")
    def set_password(self, service, username, password):
        raise AssertionError("nothing of ours belongs in here")
    def delete_password(self, service, username):
        raise AssertionError("nothing of ours belongs in here")
"""


class Backend:
    """A real backend of the library, configured as a user would, that answers from a file."""

    def __init__(self, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder = root / "backend"
        config = self.folder / "config" / "python_keyring"
        config.mkdir(parents=True)
        (self.folder / "some_cloud.py").write_text(BACKEND)
        (config / "keyringrc.cfg").write_text(
            f"[backend]\ndefault-keyring=some_cloud.Vault\nkeyring-path={self.folder}\n"
        )
        self.holds({})
        monkeypatch.setenv("XDG_CONFIG_HOME", str(config.parent))
        monkeypatch.setenv("HOME", str(root))
        monkeypatch.delenv("DBUS_SESSION_BUS_ADDRESS", raising=False)

    def holds(self, items: dict[str, str]) -> None:
        (self.folder / "items").write_text(json.dumps(items))

    def forget(self) -> None:
        self.holds({})
        (self.folder / "asked").unlink()

    @property
    def asked(self) -> list[str]:
        path = self.folder / "asked"
        return path.read_text().splitlines() if path.exists() else []

    async def was_asked(self) -> None:
        await until_in_loop(lambda: self.asked)

    def stuck(self, *, on: bool) -> None:
        path = self.folder / "stuck"
        path.touch() if on else path.unlink()


@pytest.fixture
def backend(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Backend:
    return Backend(tmp_path, monkeypatch)


async def adopting(root: Path, backend: Backend, *usernames: str) -> Engine:
    """Adopt what the backend has at the login, and nothing any more after it."""
    engine = Engine(root)
    await engine.make_both()
    for username in usernames or ("ana",):
        backend.holds({f"{URL} {username}": "there at the login"})
        ask: dict[str, Any] = {"service": URL, "username": username, "adopt": URL}
        header, _ = await engine.ask("login", provider="keyring", **ask)
        assert header["ok"] is True, header
    backend.forget()
    return engine


def test_an_adopted_secret_is_read_when_needed_and_kept_for_five_minutes(
    tmp_path: Path, backend: Backend
) -> None:
    async def main() -> None:
        engine = await adopting(tmp_path, backend)
        backend.holds({f"{URL} ana": "first"})
        assert (await engine.ask("fetch", service=URL))[1] == b"first"
        backend.holds({f"{URL} ana": "second"})
        engine.clock.pass_by(adopted.KEPT_SECONDS - 1)
        assert (await engine.ask("fetch", service=URL))[1] == b"first"
        assert len(backend.asked) == 1
        engine.clock.pass_by(1)
        header, secret = await engine.ask("fetch", service=URL)
        assert (secret, header["username"], header["provider"]) == (b"second", "ana", "keyring")
        assert b"second" not in b"".join(p.read_bytes() for p in engine.directory.iterdir())
        assert engine.arena.free_bytes == engine.quiet

    asyncio.run(main())


def test_what_no_keyring_has_is_not_adopted(tmp_path: Path, backend: Backend) -> None:
    async def main() -> None:
        engine = Engine(tmp_path)
        await engine.make_both()
        ask: dict[str, Any] = {"service": URL, "username": "ana", "adopt": URL}
        header, _ = await engine.ask("login", provider="keyring", **ask)
        assert header["code"] == "not-found"
        assert header["message"] == f"No keyring has a password of ana for {URL}."
        assert header["hint"]
        assert not engine.keyring.records
        assert engine.arena.free_bytes == engine.quiet

    asyncio.run(main())


def test_while_locked_no_keyring_is_asked_for_what_is_to_be_adopted(
    tmp_path: Path, backend: Backend
) -> None:
    async def main() -> None:
        engine = await adopting(tmp_path, backend)
        await engine.ask("lock")
        ask: dict[str, Any] = {"service": URL, "username": "ana", "adopt": URL}
        assert (await engine.ask("login", provider="keyring", **ask))[0]["code"] == "locked"
        assert not backend.asked

    asyncio.run(main())


def test_the_spelling_that_a_tool_used_is_found(tmp_path: Path, backend: Backend) -> None:
    async def main() -> None:
        engine = await adopting(tmp_path, backend)
        backend.holds({f"{URL}simple/ ana": "under simple"})
        assert (await engine.ask("fetch", service=URL))[1] == b"under simple"

    asyncio.run(main())


def test_an_adopted_secret_that_is_gone_is_said_to_be_gone(
    tmp_path: Path, backend: Backend
) -> None:
    async def main() -> None:
        engine = await adopting(tmp_path, backend)
        header, _ = await engine.ask("fetch", service=URL)
        assert (header["ok"], header["code"]) == (False, "not-found")

    asyncio.run(main())


def test_a_lock_forgets_what_was_read(tmp_path: Path, backend: Backend) -> None:
    async def main() -> None:
        engine = await adopting(tmp_path, backend)
        backend.holds({f"{URL} ana": "first"})
        await engine.ask("fetch", service=URL)
        kept = await engine.adopted.read_secret(next(iter(engine.keyring.records.values())))
        await engine.ask("lock")
        with pytest.raises(KeyDestroyed):
            kept.open_into(memoryview(bytearray(kept.size)))
        assert (await engine.ask("fetch", service=URL))[0]["code"] == "locked"
        await engine.ask("unlock")
        backend.holds({f"{URL} ana": "second"})
        assert (await engine.ask("fetch", service=URL))[1] == b"second"

    asyncio.run(main())


def test_a_lock_is_not_overtaken_by_a_read_under_way(tmp_path: Path, backend: Backend) -> None:
    async def main() -> None:
        engine = await adopting(tmp_path, backend)
        backend.holds({f"{URL} ana": "first"})
        backend.stuck(on=True)
        fetch = asyncio.create_task(engine.ask("fetch", service=URL))
        await backend.was_asked()
        await engine.ask("lock")
        backend.stuck(on=False)
        header, secret = await fetch
        assert (header["ok"], header.get("code"), secret) == (False, "locked", b"")
        assert not engine.adopted._kept

    asyncio.run(main())


def test_another_login_or_a_logout_ends_what_was_kept(tmp_path: Path, backend: Backend) -> None:
    async def main() -> None:
        engine = await adopting(tmp_path, backend)
        backend.holds({f"{URL} ana": "first"})
        await engine.ask("fetch", service=URL)
        await engine.ask("logout", service=URL)
        backend.holds({f"{URL} ana": "second"})
        await engine.ask("login", service=URL, username="ana", provider="keyring", adopt=URL)
        assert (await engine.ask("fetch", service=URL))[1] == b"second"

    asyncio.run(main())


def test_what_is_kept_does_not_grow_with_what_is_gone(tmp_path: Path, backend: Backend) -> None:
    async def main() -> None:
        engine = await adopting(tmp_path, backend)
        names = [f"user{number}" for number in range(4)]
        backend.holds({f"{URL} {name}": "x" for name in names})
        for name in names:
            await engine.ask("login", service=URL, username=name, provider="keyring", adopt=URL)
            await engine.ask("fetch", service=URL, username=name)
            await engine.ask("logout", service=URL, username=name)
            engine.clock.pass_by(adopted.KEPT_SECONDS)
        assert len(engine.adopted._kept) <= 1

    asyncio.run(main())


def test_a_hundred_requests_for_a_stuck_keyring_keep_nobody_else_from_anything(
    tmp_path: Path, backend: Backend
) -> None:
    async def main() -> None:
        engine = await adopting(tmp_path, backend)
        backend.holds({f"{URL} ana": "at last"})
        backend.stuck(on=True)
        fetches = [asyncio.create_task(engine.ask("fetch", service=URL)) for _ in range(100)]
        await backend.was_asked()
        other = "https://other.example/"
        login = engine.ask("login", b"x" * 60_000, service=other, username="u", provider="disabled")
        assert (await login)[0]["ok"] is True
        assert (await engine.ask("fetch", service=other))[1] == b"x" * 60_000
        backend.stuck(on=False)
        assert {secret for _, secret in await asyncio.gather(*fetches)} == {b"at last"}
        assert len(backend.asked) == 1
        assert engine.arena.free_bytes == engine.quiet

    asyncio.run(main())


def test_many_credentials_of_a_stuck_keyring_do_not_use_up_the_locked_memory(
    tmp_path: Path, backend: Backend
) -> None:
    async def main() -> None:
        names = [f"user{number}" for number in range(20)]  # 64 KiB each would be more than there is
        engine = await adopting(tmp_path, backend, *names)
        backend.stuck(on=True)
        fetches = [
            asyncio.create_task(engine.ask("fetch", service=URL, username=name)) for name in names
        ]
        await backend.was_asked()
        other = "https://other.example/"
        login = engine.ask("login", b"x" * 60_000, service=other, username="u", provider="disabled")
        assert (await login)[0]["ok"] is True
        assert not any(fetch.done() for fetch in fetches)

    asyncio.run(main())


def test_the_use_of_an_adopted_credential_is_noted(tmp_path: Path, backend: Backend) -> None:
    async def main() -> None:
        engine = await adopting(tmp_path, backend)
        backend.holds({f"{URL} ana": "first"})
        engine.clock.pass_by(10)
        await engine.ask("fetch", service=URL)
        header, _ = await engine.ask("list")
        entries: Any = header["entries"]
        assert (entries[0]["adopted"], entries[0]["used"]) == (True, engine.clock.wall())

    asyncio.run(main())


def test_adopting_needs_a_provider_that_reads_keyrings_and_no_secret(
    tmp_path: Path, backend: Backend
) -> None:
    async def main() -> None:
        engine = Engine(tmp_path)
        await engine.make_both()
        ask: dict[str, Any] = {"service": URL, "username": "ana", "adopt": URL}
        header, _ = await engine.ask("login", provider="disabled", **ask)
        assert header["code"] == "provider"
        header, _ = await engine.ask("login", b"x", provider="keyring", **ask)
        assert header["code"] == "bad-request"
        assert not engine.vaults.all_records()

    asyncio.run(main())
