"""The keyring backend: what it answers, what it never answers, and that reads never fail."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import keyring.errors
import pytest
from reference_agent import ReferenceAgent, refused

import tokenward
from tokenward.errors import CommandError
from tokenward.keyring_backend import Keyring
from tokenward_protocol import places

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Unix sockets")
SERVICE = "https://index.example/legacy/"
SECRETS = {(SERVICE, "alice"): b"made-up-secret", ("opaque", "bob"): b"another"}


def backend() -> Keyring:
    return Keyring()  # type: ignore[no-untyped-call]  # keyring's base class is not annotated


@pytest.fixture
def socket(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in list(os.environ):
        if name.startswith(("UV_", "TOKENWARD_", "XDG_")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "run"))
    monkeypatch.setenv("TOKENWARD_NO_AUTOSTART", "1")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "run" / "tokenward").mkdir(mode=0o700, parents=True)
    return tmp_path / "run" / "tokenward" / "agent.sock"


@pytest.fixture
def agent(socket: Path, tmp_path: Path) -> Iterator[ReferenceAgent]:
    data = places.data_directory(sys.platform, os.environ, str(tmp_path))
    with ReferenceAgent(socket, str(Path(data).resolve()), SECRETS) as it:
        yield it


@pytest.mark.usefixtures("agent")
def test_a_url_in_any_spelling_finds_its_credential() -> None:
    for spelling in (SERVICE, "https://INDEX.example:443/legacy"):
        found = backend().get_credential(spelling, None)
        assert found is not None
        assert (found.username, found.password) == ("alice", "made-up-secret")


@pytest.mark.usefixtures("agent")
def test_a_password_is_of_that_very_user() -> None:
    assert backend().get_password(SERVICE, "alice") == "made-up-secret"
    assert backend().get_password(SERVICE, "carol") is None


def test_a_bare_host_is_not_answered_from_a_url(agent: ReferenceAgent) -> None:
    assert backend().get_credential("index.example", None) is None
    assert agent.requests[-1]["service"] == "index.example"
    assert backend().get_password("opaque", "bob") == "another"


@pytest.mark.usefixtures("socket")
def test_without_an_agent_reads_are_none_and_writes_are_keyrings_own_errors() -> None:
    assert backend().get_password(SERVICE, "alice") is None
    assert backend().get_credential(SERVICE, None) is None
    with pytest.raises(keyring.errors.PasswordSetError, match="No agent is running"):
        backend().set_password(SERVICE, "alice", "made-up")
    with pytest.raises(keyring.errors.PasswordDeleteError, match="No agent is running"):
        backend().delete_password(SERVICE, "alice")


def test_a_locked_vault_is_none_to_read_and_said_to_write(agent: ReferenceAgent) -> None:
    agent.instead = lambda r: None if r["op"] == "hello" else refused(r, "locked", "It is locked.")
    assert backend().get_credential(SERVICE, None) is None
    with pytest.raises(keyring.errors.PasswordSetError, match="It is locked"):
        backend().set_password(SERVICE, "alice", "made-up")


@pytest.mark.usefixtures("agent")
@pytest.mark.parametrize("service", ["https://", "http://plain.example/", "https://h\\x", "\udcff"])
def test_what_is_no_service_is_nothing_and_no_accident(service: str) -> None:
    assert backend().get_credential(service, None) is None
    with pytest.raises(keyring.errors.PasswordSetError):
        backend().set_password(service, "a", "made-up")


def test_a_set_is_a_login_and_a_delete_a_logout(agent: ReferenceAgent) -> None:
    backend().set_password("https://Index.example/legacy", "alice", "new")
    assert (agent.ops[-1], agent.bodies[-1]) == ("login", b"new")
    assert agent.requests[-1]["service"] == SERVICE
    backend().delete_password(SERVICE, "alice")
    assert agent.ops[-1] == "logout"


# tokenward.get asks the same agent.


@pytest.mark.usefixtures("agent")
def test_get_returns_a_credential_whose_repr_has_no_secret() -> None:
    found = tokenward.get(SERVICE)
    assert found is not None
    assert (found.username, found.secret) == ("alice", "made-up-secret")
    assert "made-up" not in repr(found)
    assert tokenward.get(SERVICE, username="carol") is None


@pytest.mark.usefixtures("agent")
def test_get_asks_environment_agent_pypirc(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / ".pypirc").write_text("[pypi]\nusername = __token__\npassword = from-the-file\n")
    found = tokenward.get("pypi")
    assert found is not None
    assert found.secret == "from-the-file"
    monkeypatch.setenv("UV_PUBLISH_TOKEN", "from-the-variable")
    found = tokenward.get("pypi")
    assert found is not None
    assert found.secret == "from-the-variable"


def test_get_refuses_what_it_cannot_narrow_yet() -> None:
    with pytest.raises(CommandError, match="cannot narrow"):
        tokenward.get("pypi", project="p")
    with pytest.raises(CommandError, match="cannot narrow"):
        tokenward.get("pypi", ttl=60)
