"""A keyring is asked in the spellings that tools use, for what is known, and never ours."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING

import keyring.errors
import pytest
from keyring.backend import KeyringBackend

from tokenward.errors import CommandError
from tokenward.keyring_program import standalone
from tokenward.sources import system_keyring
from tokenward.sources.found import KnownIndex, KnownIndexes
from tokenward.sources.system_keyring import Items, backends

if TYPE_CHECKING:
    from pathlib import Path

PYPI = "https://upload.pypi.org/legacy/"
KNOWN = KnownIndexes([KnownIndex("https://h.example/team/simple/", "ours", "alice")])


class Shelf(KeyringBackend):
    """A keyring that keeps what it is given in a dictionary; no user name finds no item."""

    priority = 3  # pyright: ignore[reportAssignmentType]  # a number where keyring declares a property

    def __init__(self, items: dict[tuple[str, str], str] | None = None) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # keyring has no annotation there
        self.items = items or {}
        self.asked: list[str] = []

    def get_password(self, service: str, username: str) -> str | None:
        self.asked.append(service)
        return self.items.get((service, username))

    def set_password(self, service: str, username: str, password: str) -> None:
        self.items[service, username] = password

    def delete_password(self, service: str, username: str) -> None:
        try:
            del self.items[service, username]
        except KeyError:
            raise keyring.errors.PasswordDeleteError from None


class Locked(Shelf):
    """A keyring that is locked."""

    def get_password(self, service: str, username: str) -> str | None:
        raise keyring.errors.KeyringLocked


class Stuck(Shelf):
    """A keyring that does not answer."""

    def get_password(self, service: str, username: str) -> str | None:
        while True:
            time.sleep(1)


@pytest.mark.parametrize(
    ("service", "username", "key"),
    [
        (PYPI, "__token__", PYPI),
        ("upload.pypi.org", "__token__", PYPI),
        ("poetry-repository-pypi", "__token__", PYPI),
        ("https://test.pypi.org/legacy/", "__token__", "https://test.pypi.org/legacy/"),
        ("https://h.example/team/simple/", "alice", "https://h.example/team/"),
        ("https://h.example/team/simple", "alice", "https://h.example/team/"),
        ("https://h.example/team", "__token__", "https://h.example/team/"),
        ("h.example", "alice", "https://h.example/"),
        ("poetry-repository-ours", "alice", "https://h.example/team/"),
        ("pdm-repository-ours", "__token__", "https://h.example/team/"),
    ],
)
def test_what_tools_keep_is_found_where_they_keep_it(service: str, username: str, key: str) -> None:
    shelf = Shelf({(service, username): "s3cret"})
    items = Items([shelf], KNOWN)
    (found,) = items.found
    assert (found.services, found.username, found.secret) == ((key,), username, "s3cret")
    assert "s3cret" not in f"{found!r} {found.place} {items.path}"
    items.remove([found])
    assert shelf.items == {}
    with pytest.raises(CommandError, match="did not delete"):
        items.remove([found])


def test_nothing_is_asked_for_but_what_is_known() -> None:
    shelf = Shelf({("tokenward", "0123"): "the vault's key", ("mail.example", "alice"): "x"})
    assert Items([shelf], KNOWN).found == []
    assert all("pypi" in it or "h.example" in it or "ours" in it for it in shelf.asked)


def test_a_locked_keyring_says_so() -> None:
    with pytest.raises(CommandError, match=r"Locked cannot be read \(KeyringLocked\)\.$"):
        Items([Locked()], KNOWN)


def test_a_keyring_that_does_not_answer_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(system_keyring, "SECONDS", 1)
    with pytest.raises(CommandError, match="No answer came from"):
        Items([Stuck()], KNOWN)


@pytest.fixture
def configured(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """A machine whose keyrings depend on what a test configures alone."""
    monkeypatch.delenv("DBUS_SESSION_BUS_ADDRESS", raising=False)
    return monkeypatch


@pytest.mark.parametrize(
    "backend",
    [
        "tokenward.keyring_backend.Keyring",
        f"{standalone.MODULE}.Keyring",  # which `auth setup` configures
        "keyring.backends.chainer.ChainerBackend",
    ],
)
def test_our_own_backend_is_never_asked(
    backend: str, configured: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / f"{standalone.MODULE}.py").write_text(standalone.module(sys.executable))
    configured.syspath_prepend(tmp_path)
    configured.setenv("PYTHON_KEYRING_BACKEND", backend)
    modules = [type(one).__module__ for one in backends()]
    assert not [name for name in modules if name.startswith(("tokenward", "keyring.backends.c"))]


@pytest.mark.parametrize("off", ["null", "fail"])
def test_a_user_who_switched_keyrings_off_has_none(
    off: str, configured: pytest.MonkeyPatch
) -> None:
    configured.setenv("PYTHON_KEYRING_BACKEND", f"keyring.backends.{off}.Keyring")
    assert backends() == []
    with pytest.raises(CommandError, match="No keyring is installed here"):
        Items([], KNOWN)
