"""The system keyring, for real: gnome-keyring unlocked, locked, hanging, absent."""

from __future__ import annotations

import asyncio
import base64
import os
from typing import TYPE_CHECKING, Any

import pytest

from support.systems.desktop_keyrings import Session, bus_session, gnome_keyring, hanging_keyring
from tokenward_agent.arena import Arena
from tokenward_agent.store.providers import probe_keyring
from tokenward_agent.worker.runner import WorkerError, run_job

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

KEY = bytes(range(32))
ITEM = {"service": "tokenward", "username": "0123456789abcdef"}
PLAIN_BACKEND = """
import keyring.backend
class {name}(keyring.backend.KeyringBackend):
    priority = 9
    def get_password(self, service, username):
        return {answer}
    def set_password(self, service, username, password):
        raise AssertionError("must not be asked")
"""

pytestmark = pytest.mark.xdist_group("system keyring")


@pytest.fixture(scope="module")
def desktop(tmp_path_factory: pytest.TempPathFactory) -> Generator[Session]:
    with gnome_keyring(tmp_path_factory.mktemp("desktop")) as session:
        yield session


@pytest.fixture
def arena() -> Arena:
    return Arena(1 << 16)


def use(monkeypatch: pytest.MonkeyPatch, session: Session) -> None:
    """Make this process look like an agent that was started in *session*."""
    for name in ("DISPLAY", "WAYLAND_DISPLAY", "XDG_CONFIG_HOME", "XDG_DATA_HOME"):
        monkeypatch.delenv(name, raising=False)
    for name, value in session.environ.items():
        monkeypatch.setenv(name, value)


def ask(
    arena: Arena,
    job: str,
    header: dict[str, Any],
    secret: bytes = b"",
    seconds: float = 20,
    session: dict[str, str] | None = None,
) -> tuple[dict[str, Any], bytes]:
    """Run one job and return its answer."""
    given, into = arena.allocate(len(secret)), arena.allocate(4096)
    given[:] = secret
    try:
        answer = asyncio.run(run_job(arena, job, header, given, into, seconds, session or {}))
        return answer, bytes(into[: answer["size"]])
    finally:
        arena.release(given)
        arena.release(into)


def refused(arena: Arena, job: str, header: dict[str, Any], **options: Any) -> str:
    with pytest.raises(WorkerError) as error:
        ask(arena, job, header, **options)
    return error.value.code


def test_a_key_is_stored_read_and_removed(
    desktop: Session, arena: Arena, monkeypatch: pytest.MonkeyPatch
) -> None:
    use(monkeypatch, desktop)
    assert refused(arena, "keyring-get", ITEM) == "not-found"
    answer, _ = ask(arena, "keyring-set", ITEM, KEY)
    assert answer["backend"] == "Secret Service"
    assert base64.b64encode(KEY) in desktop.items().values()
    answer, key = ask(arena, "keyring-get", ITEM)
    assert (answer["backend"], key) == ("Secret Service", KEY)
    ask(arena, "keyring-delete", ITEM)
    assert refused(arena, "keyring-get", ITEM) == "not-found"
    assert refused(arena, "keyring-delete", ITEM) == "not-found"


def test_an_item_that_is_no_key_is_refused(
    desktop: Session, arena: Arena, monkeypatch: pytest.MonkeyPatch
) -> None:
    use(monkeypatch, desktop)
    ask(arena, "keyring-set", {**ITEM, "username": "short"}, b"short")
    assert refused(arena, "keyring-get", {**ITEM, "username": "short"}) == "keyring-failed"


def test_the_bus_of_the_one_who_asks_is_used(
    desktop: Session, arena: Arena, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("DBUS_SESSION_BUS_ADDRESS", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    answer, _ = ask(arena, "keyring-probe", {}, session=desktop.environ)
    assert answer["backend"] == "Secret Service"


def test_the_probe_names_the_keyring_that_answers(
    desktop: Session, arena: Arena, monkeypatch: pytest.MonkeyPatch
) -> None:
    use(monkeypatch, desktop)
    probe = asyncio.run(probe_keyring(arena, {}, 1_700_000_000.5))
    assert (probe.backend, probe.reason, probe.when) == ("Secret Service", "", 1_700_000_000)


def test_a_locked_keyring_is_said_to_be_locked(
    arena: Arena, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with gnome_keyring(tmp_path) as session:
        use(monkeypatch, session)
        session.lock()
        assert refused(arena, "keyring-get", ITEM) == "keyring-locked"
        assert refused(arena, "keyring-set", ITEM, secret=KEY) == "keyring-locked"
        assert refused(arena, "keyring-probe", {}) == "keyring-locked"
        probe = asyncio.run(probe_keyring(arena, {}, 0))
        assert probe.fallback_sentence("disabled") == (
            "The system keyring is locked, so credentials go into the file vault."
        )


def test_without_a_bus_there_is_no_system_keyring(
    arena: Arena, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("DBUS_SESSION_BUS_ADDRESS", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert refused(arena, "keyring-get", ITEM) == "no-keyring"
    assert asyncio.run(probe_keyring(arena, {}, 0)).fallback_sentence("disabled") == (
        "No system keyring answered (no D-Bus session), so credentials go into the file vault."
    )


def test_a_bus_where_nobody_keeps_secrets_is_no_system_keyring(
    arena: Arena, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with bus_session(tmp_path) as session:
        use(monkeypatch, session)
        assert refused(arena, "keyring-get", ITEM) == "no-keyring"


def test_a_keyring_that_hangs_costs_its_deadline_and_no_more(
    arena: Arena, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with hanging_keyring(tmp_path) as session:
        use(monkeypatch, session)
        probe = asyncio.run(probe_keyring(arena, {}, 0))
    assert probe.backend is None
    assert probe.reason == "the system keyring did not answer within 3 seconds"


def test_a_keyring_switched_off_by_the_user_is_not_used(
    desktop: Session, arena: Arena, monkeypatch: pytest.MonkeyPatch
) -> None:
    use(monkeypatch, desktop)
    monkeypatch.setenv("PYTHON_KEYRING_BACKEND", "keyring.backends.null.Keyring")
    assert refused(arena, "keyring-set", ITEM, secret=KEY) == "no-keyring"


@pytest.mark.parametrize(
    "backend", ["keyring.backends.chainer.ChainerBackend", "no.such.Backend", "PlaintextKeyring"]
)
def test_a_backend_that_is_no_keyring_gives_way_to_the_real_one(
    backend: str,
    desktop: Session,
    arena: Arena,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    use(monkeypatch, desktop)
    configure(monkeypatch, tmp_path, backend, "None")
    assert ask(arena, "keyring-probe", {})[0]["backend"] == "Secret Service"


def test_a_backend_that_the_user_names_is_used_for_our_key_too(
    desktop: Session, arena: Arena, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    use(monkeypatch, desktop)
    configure(monkeypatch, tmp_path, "Vault", f"{base64.b64encode(KEY).decode()!r}")
    answer, key = ask(arena, "keyring-get", ITEM)
    assert (answer["backend"], key) == ("configured_backend.Vault", KEY)


def test_an_adopted_credential_is_found_under_another_spelling(
    desktop: Session, arena: Arena, monkeypatch: pytest.MonkeyPatch
) -> None:
    use(monkeypatch, desktop)
    # What a tool has stored through the library is text; our own jobs store keys as base64.
    stored = {"service": "https://index.example/simple/", "username": "ada"}
    ask(arena, "keyring-set", stored, b"made-up")
    services = ["https://index.example", "https://index.example/simple/"]
    answer, secret = ask(arena, "keyring-read", {"services": services, "username": "ada"})
    assert (answer["username"], answer["service"]) == ("ada", services[1])
    assert secret == base64.b64encode(b"made-up")
    other = {"services": services, "username": "eve"}
    assert refused(arena, "keyring-read", other) == "not-found"


@pytest.mark.root("reads the environment of a hardened process")
def test_a_secret_is_in_neither_the_environment_nor_the_arguments_of_a_worker(
    desktop: Session, arena: Arena, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    use(monkeypatch, desktop)
    seen = tmp_path / "seen"
    answer = (
        f"open({str(seen)!r}, 'wb').write("
        "open('/proc/self/cmdline', 'rb').read() + open('/proc/self/environ', 'rb').read())"
        " and None"
    )
    configure(monkeypatch, tmp_path, "Vault", answer)
    monkeypatch.setenv("TOKENWARD_PASSPHRASE_FILE", "/not/for/workers")
    assert refused(arena, "keyring-get", ITEM, secret=b"marked-secret") == "not-found"
    text = seen.read_bytes()
    assert b"worker/main.py" in text
    assert b"marked-secret" not in text
    assert b"/not/for/workers" not in text


def configure(monkeypatch: pytest.MonkeyPatch, folder: Path, backend: str, answer: str) -> None:
    """Name *backend* in keyringrc.cfg; a bare class name is one of a module made for it."""
    config = folder / "config" / "python_keyring"
    config.mkdir(parents=True)
    if "." not in backend:
        source = PLAIN_BACKEND.format(name=backend, answer=answer)
        (folder / "configured_backend.py").write_text(source)
        backend = f"configured_backend.{backend}"
    (config / "keyringrc.cfg").write_text(
        f"[backend]\ndefault-keyring={backend}\nkeyring-path={folder}\n"
    )
    monkeypatch.setenv("XDG_CONFIG_HOME", os.fspath(config.parent))
