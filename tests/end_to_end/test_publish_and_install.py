"""The point of it all: real tools, a real index with a password, and nobody tells them anything."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from support.tools.wheels import NAME, write_wheel

if TYPE_CHECKING:
    from pathlib import Path
    from subprocess import CompletedProcess

    from support.home import Home
    from support.servers.index_server import IndexServer


@pytest.fixture
def wheel(tmp_path: Path) -> Path:
    return write_wheel(tmp_path)


def upload(home: Home, *arguments: str | Path, **variables: str) -> CompletedProcess[str]:
    return home.run("twine", "upload", "--non-interactive", *arguments, **variables)


def install(home: Home, index_url: str) -> CompletedProcess[str]:
    where = ["--no-deps", "--no-cache-dir", "--target", "site", "--index-url", index_url]
    return home.run("pip", "install", *where, "ward-greeting")


def test_twine_uploads_to_a_repository_url_with_the_stored_credential(
    home: Home, index: IndexServer, wheel: Path
) -> None:
    home.log_in(index.url, index.accounts["alice"])
    assert upload(home, "--repository-url", index.url, wheel).returncode == 0
    assert index.published() == [NAME]


def test_twine_uploads_to_a_repository_that_pypirc_names(
    home: Home, index: IndexServer, wheel: Path
) -> None:
    (home.path / ".pypirc").write_text(
        f"[distutils]\nindex-servers = ours\n[ours]\nrepository = {index.url}\n"
    )
    home.done(
        "login", "ours", "-u", "alice", "--password", "-", stdin=f"{index.accounts['alice']}\n"
    )
    assert upload(home, "--repository", "ours", wheel).returncode == 0
    assert index.published() == [NAME]


def test_twine_asks_for_the_account_that_it_is_told_to_use(
    home: Home, index: IndexServer, wheel: Path
) -> None:
    home.log_in(index.url, index.accounts["alice"])
    home.log_in(index.url, index.accounts["bob"], username="bob")
    assert upload(home, "--repository-url", index.url, wheel, TWINE_USERNAME="bob").returncode == 0
    assert index.published() == [NAME]


def test_two_accounts_are_never_guessed_between(
    home: Home, index: IndexServer, wheel: Path
) -> None:
    home.log_in(index.url, index.accounts["alice"])
    home.log_in(index.url, index.accounts["bob"], username="bob")
    assert upload(home, "--repository-url", index.url, wheel).returncode != 0
    assert index.published() == []


def test_twine_gets_nothing_before_a_login(home: Home, index: IndexServer, wheel: Path) -> None:
    assert upload(home, "--repository-url", index.url, wheel).returncode != 0
    assert index.published() == []


def test_twine_gets_nothing_after_a_logout(home: Home, index: IndexServer, wheel: Path) -> None:
    home.log_in(index.url, index.accounts["alice"])
    home.done("logout", index.url, "-u", "alice")
    assert upload(home, "--repository-url", index.url, wheel).returncode != 0
    assert index.published() == []


def test_twine_gets_nothing_while_locked_and_everything_after_unlock(
    home: Home, index: IndexServer, wheel: Path
) -> None:
    home.log_in(index.url, index.accounts["alice"])
    home.done("lock")
    assert upload(home, "--repository-url", index.url, wheel).returncode != 0
    assert index.published() == []
    home.done("unlock")
    assert upload(home, "--repository-url", index.url, wheel).returncode == 0
    assert index.published() == [NAME]


def test_pip_installs_from_a_url_without_credentials(
    home: Home, index: IndexServer, wheel: Path
) -> None:
    home.log_in(index.url, index.accounts["alice"])
    (index.packages / NAME).write_bytes(wheel.read_bytes())
    assert install(home, index.simple).returncode == 0
    assert (home.path / "site" / "ward_greeting.py").exists()


def test_pip_is_turned_away_without_a_login(home: Home, index: IndexServer, wheel: Path) -> None:
    (index.packages / NAME).write_bytes(wheel.read_bytes())
    assert install(home, index.simple).returncode != 0
    assert " 401 " in index.requests()[-1]


def test_a_second_index_on_the_same_host_gets_no_credential_of_the_first(
    home: Home, index: IndexServer, wheel: Path
) -> None:
    home.log_in(index.url, index.accounts["alice"])
    with type(index)({"alice": index.accounts["alice"]}) as other:
        assert upload(home, "--repository-url", other.url, wheel).returncode != 0
        assert other.published() == []


def test_a_running_agent_is_not_needed_for_the_next_upload(
    home: Home, index: IndexServer, wheel: Path
) -> None:
    home.log_in(index.url, index.accounts["alice"])
    home.done("agent", "stop")
    assert upload(home, "--repository-url", index.url, wheel).returncode == 0
    assert index.published() == [NAME]
