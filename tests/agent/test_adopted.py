"""Adopted credentials: read through a keyring backend when needed, forgotten in time."""

from __future__ import annotations

import asyncio
import base64
import json
import os
from typing import TYPE_CHECKING, Any

import pytest

from support.agents.in_process import Engine, on_disk
from support.waiting import until_in_loop
from tokenward_agent.failure import KeyDestroyed
from tokenward_protocol.keyring_marks import BEFORE
from tokenward_protocol.recipes import USUAL_KEPT

if TYPE_CHECKING:
    from pathlib import Path

URL = "https://index.example/team/"
BACKEND = """
import json, os, time, keyring.backend, keyring.credentials
from pathlib import Path
HERE = Path(__file__).parent
class Vault(keyring.backend.KeyringBackend):
    priority = 9
    def get_password(self, service, username):
        with (HERE / "asked").open("a") as file:
            file.write(f"{service} {username}\\n")
        while (HERE / "stuck").exists():
            time.sleep(0.05)
        if (HERE / "fails").exists():
            print("Reauthentication required.")
            raise RuntimeError((HERE / "fails").read_text())
        found = json.loads((HERE / "items").read_text()).get(f"{service} {username}")
        for name in ("AWS_PROFILE", "PATH"):
            found = found and found.replace(name, str(os.environ.get(name)))
        return found
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
        await engine.ask("logout", service=URL, username=username, refused=True)
    backend.forget()
    return engine


async def get(engine: Engine, **more: Any) -> tuple[dict[str, Any], bytes]:
    """Fetch as one who waits until the keyring has answered."""
    return await engine.ask("fetch", service=URL, attended=True, **more)


async def test_an_adopted_secret_is_read_when_needed_and_kept_for_five_minutes(
    tmp_path: Path, backend: Backend
) -> None:
    engine = await adopting(tmp_path, backend)
    backend.holds({f"{URL} ana": "first"})
    assert (await get(engine))[1] == b"first"
    backend.holds({f"{URL} ana": "second"})
    engine.clock.pass_by(USUAL_KEPT - 1)
    assert (await get(engine))[1] == b"first"
    assert len(backend.asked) == 1
    engine.clock.pass_by(1)
    header, secret = await get(engine)
    assert (secret, header["username"], header["provider"]) == (b"second", "ana", "keyring")
    assert b"second" not in b"".join(p.read_bytes() for p in engine.directory.iterdir())
    assert engine.arena.free_bytes == engine.quiet


async def test_what_no_keyring_has_is_not_adopted(tmp_path: Path, backend: Backend) -> None:
    engine = Engine(tmp_path)
    await engine.make_both()
    ask: dict[str, Any] = {"service": URL, "username": "ana", "adopt": URL}
    header, _ = await engine.ask("login", provider="keyring", **ask)
    assert header["code"] == "not-found"
    assert header["message"] == f"No keyring has a password of ana for {URL}."
    assert header["hint"]
    assert not engine.keyring.records
    assert engine.arena.free_bytes == engine.quiet


async def test_while_locked_no_keyring_is_asked_for_what_is_to_be_adopted(
    tmp_path: Path, backend: Backend
) -> None:
    engine = await adopting(tmp_path, backend)
    await engine.ask("lock")
    ask: dict[str, Any] = {"service": URL, "username": "ana", "adopt": URL}
    assert (await engine.ask("login", provider="keyring", **ask))[0]["code"] == "locked"
    assert not backend.asked


async def test_the_spelling_that_a_tool_used_is_found(tmp_path: Path, backend: Backend) -> None:
    engine = await adopting(tmp_path, backend)
    backend.holds({f"{URL}simple/ ana": "under simple"})
    assert (await get(engine))[1] == b"under simple"


async def test_an_adopted_secret_that_is_gone_is_said_to_be_gone(
    tmp_path: Path, backend: Backend
) -> None:
    engine = await adopting(tmp_path, backend)
    header, _ = await get(engine)
    assert (header["ok"], header["code"]) == (False, "not-found")


async def test_a_lock_forgets_what_was_read(tmp_path: Path, backend: Backend) -> None:
    engine = await adopting(tmp_path, backend)
    backend.holds({f"{URL} ana": "first"})
    await get(engine)
    made = engine.made.ready(next(iter(engine.keyring.records.values())))
    assert made is not None
    kept = made.secret
    await engine.ask("lock")
    with pytest.raises(KeyDestroyed):
        kept.open_into(memoryview(bytearray(kept.size)))
    assert (await get(engine))[0]["code"] == "locked"
    await engine.ask("unlock")
    backend.holds({f"{URL} ana": "second"})
    assert (await get(engine))[1] == b"second"


async def test_a_lock_is_not_overtaken_by_a_read_under_way(
    tmp_path: Path, backend: Backend
) -> None:
    engine = await adopting(tmp_path, backend)
    backend.holds({f"{URL} ana": "first"})
    backend.stuck(on=True)
    fetch = asyncio.create_task(get(engine))
    await backend.was_asked()
    await engine.ask("lock")
    backend.stuck(on=False)
    header, secret = await fetch
    assert (header["ok"], header.get("code"), secret) == (False, "locked", b"")
    assert not engine.made._kept


async def test_another_login_or_a_logout_ends_what_was_kept(
    tmp_path: Path, backend: Backend
) -> None:
    engine = await adopting(tmp_path, backend)
    backend.holds({f"{URL} ana": "first"})
    await get(engine)
    await engine.ask("logout", service=URL)
    backend.holds({f"{URL} ana": "second"})
    await engine.ask("login", service=URL, username="ana", provider="keyring", adopt=URL)
    assert (await get(engine))[1] == b"second"


async def test_what_is_kept_does_not_grow_with_what_is_gone(
    tmp_path: Path, backend: Backend
) -> None:
    engine = await adopting(tmp_path, backend)
    names = [f"user{number}" for number in range(4)]
    backend.holds({f"{URL} {name}": "x" for name in names})
    for name in names:
        await engine.ask("login", service=URL, username=name, provider="keyring", adopt=URL)
        await get(engine, username=name)
        await engine.ask("logout", service=URL, username=name)
        engine.clock.pass_by(USUAL_KEPT)
    assert len(engine.made._kept) <= 1


async def test_a_hundred_requests_for_a_stuck_keyring_keep_nobody_else_from_anything(
    tmp_path: Path, backend: Backend
) -> None:
    engine = await adopting(tmp_path, backend)
    backend.holds({f"{URL} ana": "at last"})
    backend.stuck(on=True)
    fetches = [asyncio.create_task(get(engine)) for _ in range(100)]
    await backend.was_asked()
    other = "https://other.example/"
    login = engine.ask("login", b"x" * 60_000, service=other, username="u", provider="disabled")
    assert (await login)[0]["ok"] is True
    assert (await engine.ask("fetch", service=other))[1] == b"x" * 60_000
    backend.stuck(on=False)
    assert {secret for _, secret in await asyncio.gather(*fetches)} == {b"at last"}
    assert len(backend.asked) == 1
    assert engine.arena.free_bytes == engine.quiet


async def test_many_credentials_of_a_stuck_keyring_do_not_use_up_the_locked_memory(
    tmp_path: Path, backend: Backend
) -> None:
    names = [f"user{number}" for number in range(20)]  # 64 KiB each would be more than there is
    engine = await adopting(tmp_path, backend, *names)
    backend.stuck(on=True)
    fetches = [asyncio.create_task(get(engine, username=name)) for name in names]
    await backend.was_asked()
    other = "https://other.example/"
    login = engine.ask("login", b"x" * 60_000, service=other, username="u", provider="disabled")
    assert (await login)[0]["ok"] is True
    assert not any(fetch.done() for fetch in fetches)


async def test_the_use_of_an_adopted_credential_is_noted(tmp_path: Path, backend: Backend) -> None:
    engine = await adopting(tmp_path, backend)
    backend.holds({f"{URL} ana": "first"})
    engine.clock.pass_by(10)
    await get(engine)
    header, _ = await engine.ask("list")
    entries: Any = header["entries"]
    assert (entries[0]["adopted"], entries[0]["used"]) == (True, engine.clock.wall())


async def test_what_a_login_read_is_kept_so_that_the_first_tool_waits_for_no_keyring(
    tmp_path: Path, backend: Backend
) -> None:
    engine = Engine(tmp_path)
    await engine.make_both()
    backend.holds({f"{URL} ana": "first"})
    ask: dict[str, Any] = {"service": URL, "username": "ana", "adopt": URL}
    await engine.ask("login", provider="keyring", **ask)
    backend.forget()
    assert (await engine.ask("fetch", service=URL))[1] == b"first"
    assert not backend.asked


async def test_one_who_does_not_wait_for_a_slow_keyring_comes_back_for_it(
    tmp_path: Path, backend: Backend
) -> None:
    engine = await adopting(tmp_path, backend)
    backend.holds({f"{URL} ana": "at last"})
    backend.stuck(on=True)
    assert (await engine.ask("fetch", service=URL))[0]["code"] == "making"
    await backend.was_asked()
    backend.stuck(on=False)
    assert (await get(engine))[1] == b"at last"
    assert len(backend.asked) == 1


def jwt(end: int) -> str:
    """Return a token that shows its end."""
    parts = (json.dumps(part).encode() for part in ({"alg": "none"}, {"exp": end}))
    return ".".join([*(base64.urlsafe_b64encode(part).decode().rstrip("=") for part in parts), "x"])


async def test_a_token_is_handed_out_until_shortly_before_the_end_that_it_shows_and_then_read_anew(
    tmp_path: Path, backend: Backend
) -> None:
    engine = await adopting(tmp_path, backend)
    tokens = [jwt(engine.clock.wall() + 1000 * number) for number in (1, 2, 3)]
    backend.holds({f"{URL} ana": tokens[0]})
    header, secret = await get(engine)
    assert (header["expires"], secret.decode()) == (engine.clock.wall() + 1000, tokens[0])
    backend.holds({f"{URL} ana": tokens[1]})
    engine.clock.pass_by(700)
    assert (await get(engine))[1].decode() == tokens[0]
    engine.clock.pass_by(241)
    assert (await get(engine))[1].decode() == tokens[1]
    assert len(backend.asked) == 2

    engine.clock.pass_by(900)  # 159 of its 1,059 seconds are left
    backend.holds({f"{URL} ana": tokens[2]})
    assert (await get(engine))[1].decode() == tokens[1], "nothing waits for a renewal"
    await until_in_loop(lambda: not engine.made._running)
    assert (await get(engine))[1].decode() == tokens[2]


async def test_a_token_that_is_over_is_not_handed_out_though_the_keyring_has_it(
    tmp_path: Path, backend: Backend
) -> None:
    engine = await adopting(tmp_path, backend)
    backend.holds({f"{URL} ana": jwt(engine.clock.wall() - 1)})
    header, _ = await get(engine)
    assert header["code"] == "command"
    assert "whose end is over" in header["message"]
    ask: dict[str, Any] = {"service": URL, "username": "bob", "adopt": URL}
    backend.holds({f"{URL} bob": jwt(engine.clock.wall() - 1)})
    header, _ = await engine.ask("login", provider="keyring", **ask)
    assert "whose end is over" in str(header["message"])
    assert len(engine.keyring.records) == 1


async def test_what_an_index_refused_is_read_anew_and_the_entry_stays(
    tmp_path: Path, backend: Backend
) -> None:
    engine = await adopting(tmp_path, backend)
    backend.holds({f"{URL} ana": "first"})
    assert (await get(engine))[1] == b"first"
    backend.holds({f"{URL} ana": "second"})
    header, _ = await engine.ask("logout", service=URL, username="ana", refused=True)
    assert (header["ok"], header["count"]) == (True, 0)
    assert (await get(engine))[1] == b"second"


async def test_a_plugin_that_fails_is_quoted_and_keeps_those_behind_it_from_nothing(
    tmp_path: Path, backend: Backend
) -> None:
    engine = await adopting(tmp_path, backend)
    backend.holds({f"{URL} ana": "first"})
    (backend.folder / "fails").write_text("Failed to find credentials, run `cloud login`")
    header, _ = await get(engine)
    assert header["code"] == "command"
    said = (
        "some_cloud.Vault failed with RuntimeError: Failed to find credentials, run `cloud login`."
    )
    assert header["message"] == f"The keyring {said}"
    assert header["hint"] == f"`auth refresh {URL.rstrip('/')}/` asks it at your terminal"
    assert len(backend.asked) == 1, "it is not asked for each spelling"

    (backend.folder / "fails").write_text("hunter2hunter2hunter2hunter2")  # might be a secret
    engine.clock.pass_by(10)
    header, _ = await get(engine)
    assert header["message"] == (
        "The keyring some_cloud.Vault failed with RuntimeError: Reauthentication required."
    ), "what it printed is quoted instead"

    (backend.folder / "some_cloud.py").write_text(
        BACKEND + "class Broken(Vault):\n    priority = 30\n"
        "    def get_credential(self, service, username):\n        raise ZeroDivisionError\n"
    )
    (backend.folder / "fails").unlink()
    engine.clock.pass_by(20)
    assert (await get(engine))[1] == b"first"


VARIABLES = b"AWS_PROFILE=work\0AWS_SECRET_ACCESS_KEY=s3cret\0PATH=/nowhere:relative\0"


async def test_the_variables_of_the_login_reach_the_plugin_and_are_on_no_disk_in_the_open(
    tmp_path: Path, backend: Backend
) -> None:
    engine = Engine(tmp_path)
    await engine.make_both()
    backend.holds({f"{URL} ana": "of AWS_PROFILE and PATH"})
    ask: dict[str, Any] = {"service": URL, "username": "ana", "adopt": URL}
    header, _ = await engine.ask(
        "login", VARIABLES, provider="disabled", environment=len(VARIABLES), **ask
    )
    assert (header["ok"], header["provider"]) == (True, "disabled"), header
    usual = os.environ["PATH"]
    for _ in range(2):
        secret = (await get(engine))[1].decode()
        assert secret == f"of work and {usual}", "no folder of that path may be searched"
        engine.made.forget()
    assert b"s3cret" not in on_disk(engine.directory) + on_disk(engine.state)
    assert engine.arena.free_bytes == engine.quiet

    again = Engine(tmp_path, engine.clock)  # as after a restart
    await again.open("disabled")
    assert (await get(again))[1].decode() == f"of work and {usual}"
    assert (await again.ask("passphrase", b"phrase", action="set"))[0]["ok"] is True
    assert (await get(again))[1].decode() == f"of work and {usual}", "sealed under the new key"


@pytest.mark.parametrize(
    "block",
    [b"LD_PRELOAD=/x\0", b"CLOUDSDK_PYTHON=/x\0", b"AWS_PROFILE\0", b"AWS_PROFILE=x", b"s3cret"],
)
async def test_no_other_variable_and_no_secret_comes_with_an_adoption(
    tmp_path: Path, backend: Backend, block: bytes
) -> None:
    engine = Engine(tmp_path)
    await engine.make_both()
    backend.holds({f"{URL} ana": "first"})
    ask: dict[str, Any] = {"service": URL, "username": "ana", "adopt": URL}
    for more in ({"environment": len(block)}, {}):
        header, _ = await engine.ask("login", block, provider="keyring", **ask, **more)
        assert str(header["code"]) in {"bad-request", "refused"}
    assert not engine.vaults.all_records()
    assert not backend.asked


async def test_where_there_is_no_vault_yet_none_is_made_for_nothing_and_nothing_is_read_twice(
    tmp_path: Path, backend: Backend
) -> None:
    engine = Engine(tmp_path)
    ask: dict[str, Any] = {"service": URL, "username": "ana", "adopt": URL}
    ask |= {"provider": "disabled", "reader": "keyring"}
    assert (await engine.ask("login", **ask))[0]["code"] == "not-found"
    backend.holds({f"{URL} ana": "first"})
    (backend.folder / "asked").unlink()
    assert (await engine.ask("login", **ask))[0]["code"] == "no-vault"
    await engine.make("disabled")
    assert (await engine.ask("login", **ask))[0]["ok"] is True
    assert (await engine.ask("fetch", service=URL))[1] == b"first"
    assert len(backend.asked) == 1


async def test_a_folder_of_the_users_is_searched_and_none_that_others_or_projects_could_fill(
    tmp_path: Path, backend: Backend
) -> None:
    own, shared, project, environment = folders = [
        tmp_path / name for name in ("own", "shared", "project/bin", "environment/bin")
    ]
    for folder in folders:
        folder.mkdir(parents=True)
    shared.chmod(0o1777)
    (project.parent / "pyproject.toml").touch()
    (environment.parent / "pyvenv.cfg").touch()
    block = f"PATH={':'.join(map(str, folders))}\0".encode()
    engine = Engine(tmp_path)
    await engine.make_both()
    backend.holds({f"{URL} ana": "of AWS_PROFILE and PATH"})
    ask: dict[str, Any] = {"service": URL, "username": "ana", "adopt": URL}
    await engine.ask("login", block, provider="keyring", environment=len(block), **ask)
    assert (await get(engine))[1].decode() == f"of None and {own}"


async def test_a_login_that_is_to_be_refreshed_reads_nothing(
    tmp_path: Path, backend: Backend
) -> None:
    engine = Engine(tmp_path)
    await engine.make_both()
    ask: dict[str, Any] = {"service": URL, "username": "ana", "adopt": URL}
    header, _ = await engine.ask("login", provider="keyring", unread=True, **ask)
    assert header["ok"] is True
    assert not backend.asked
    header, _ = await engine.ask("refresh", service=URL)
    command: Any = header["command"]
    assert (command[1:], header["format"]) == (
        ["-I", "-m", "keyring", "get", URL, "ana"],
        "text",
    )
    await engine.ask("refresh", b"read at the terminal", service=URL, username="ana")
    assert (await engine.ask("fetch", service=URL))[1] == b"read at the terminal"


async def test_a_reader_is_known_and_a_login_has_no_secret_beside_it(
    tmp_path: Path, backend: Backend
) -> None:
    engine = Engine(tmp_path)
    await engine.make_both()
    ask: dict[str, Any] = {"service": URL, "username": "ana", "adopt": URL}
    for body, more in ((b"x", {}), (b"", {"reader": "disabled"}), (b"", {"sealed": True})):
        header, _ = await engine.ask("login", body, provider="keyring", **ask, **more)
        assert header["code"] == "bad-request"
    assert not engine.vaults.all_records()


async def test_a_backend_that_was_configured_before_setup_is_still_read(
    tmp_path: Path, backend: Backend
) -> None:
    config = tmp_path / "backend" / "config" / "python_keyring" / "keyringrc.cfg"
    before = [f"{BEFORE}{line}" for line in config.read_text().splitlines()[1:]]
    ours = ["default-keyring = tokenward_keyring.Keyring", "keyring-path = /nonexistent"]
    config.write_text("\n".join(["[backend]", *before, *ours, ""]))
    engine = await adopting(tmp_path, backend)
    backend.holds({f"{URL} ana": "first"})
    assert (await get(engine))[1] == b"first"
