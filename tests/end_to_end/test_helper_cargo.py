"""`cargo-credential-tokenward`, with the real cargo and a registry, and by the protocol."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from support.servers.cargo_registry import CRATE, cargo_registry
from support.tools.system_tools import give_cargo

if TYPE_CHECKING:
    from collections.abc import Iterator
    from subprocess import CompletedProcess

    from support.home import Home
    from support.servers.http_server import Loopback

TOKEN = "a token of the registry"
GIT_HUB_INDEX = "https://github.com/rust-lang/crates.io-index"


@pytest.fixture
def registry(home: Home) -> Iterator[Loopback]:
    """A registry that cargo knows as `ours`, and a package in `home` that needs its crate."""
    give_cargo(home)
    with cargo_registry(TOKEN) as it:
        files = {
            ".cargo/config.toml": "[registries.ours]\n"
            f'index = "sparse+{it.url}index/"\n'
            'credential-provider = ["cargo-credential-tokenward"]\n',
            "Cargo.toml": '[package]\nname = "mine"\nversion = "0.1.0"\nedition = "2021"\n'
            'license = "MIT"\ndescription = "x"\n'
            f'[dependencies]\n{CRATE} = {{ version = "1", registry = "ours" }}\n',
            "src/lib.rs": "",
        }
        for name, text in files.items():
            path = home.path / name
            path.parent.mkdir(exist_ok=True)
            path.write_text(text)
        yield it


def cargo(home: Home, *arguments: str, stdin: str = "") -> CompletedProcess[str]:
    return home.run("cargo", *arguments, stdin=stdin)


def publish(home: Home) -> CompletedProcess[str]:
    return cargo(home, "publish", "--registry", "ours", "--no-verify", "--allow-dirty")


def plugin(home: Home, *requests: object, **variables: str) -> list[Any]:
    """Return the answers to `requests`."""
    lines = "".join(f"{json.dumps(request)}\n" for request in requests)
    command = ("cargo-credential-tokenward", "--cargo-plugin")
    result = home.run(*command, stdin=lines, **variables)
    assert result.returncode == 0, result.stderr
    hello, *answers = map(json.loads, result.stdout.splitlines())
    assert hello == {"v": [1]}
    return answers


def request(kind: str, index: str, **more: object) -> dict[str, object]:
    return {"v": 1, "kind": kind, "registry": {"index-url": index}, "args": [], **more}


def get(home: Home, index: str, operation: str = "read", **variables: str) -> Any:
    (answer,) = plugin(home, request("get", index, operation=operation), **variables)
    return answer


def refused(kind: str) -> dict[str, dict[str, str]]:
    return {"Err": {"kind": kind}}


def token(secret: str) -> dict[str, dict[str, object]]:
    found = {"kind": "get", "token": secret, "cache": "session", "operation_independent": True}
    return {"Ok": found}


def test_cargo_fetches_and_publishes_with_a_stored_token(home: Home, registry: Loopback) -> None:
    home.done("login", registry.url, "--token", TOKEN)
    for result in (cargo(home, "fetch"), publish(home)):
        assert result.returncode == 0, result.stderr
    assert ("PUT", "/api/v1/crates/new", TOKEN) in {
        (asked.method, asked.path, asked.authorization) for asked in registry.requests
    }


def test_cargo_is_turned_away_without_one(home: Home, registry: Loopback) -> None:
    result = cargo(home, "fetch")
    assert result.returncode != 0
    assert "no token found for `ours`" in result.stderr
    assert set(registry.seen()) == {None}


def test_cargo_login_stores_here_and_cargo_logout_removes_it(
    home: Home, registry: Loopback
) -> None:
    result = cargo(home, "login", "--registry", "ours", stdin=f"{TOKEN}\n")
    assert result.returncode == 0, result.stderr
    assert home.done("token", f"{registry.url}index/") == f"{TOKEN}\n"
    assert not (home.path / ".cargo" / "credentials.toml").exists()
    assert cargo(home, "fetch").returncode == 0
    assert cargo(home, "logout", "--registry", "ours").returncode == 0
    assert "not currently logged in" in cargo(home, "logout", "--registry", "ours").stderr
    assert home.auth("token", f"{registry.url}index/").returncode == 2


def test_cargo_login_without_a_token_says_how_to_give_one(home: Home, registry: Loopback) -> None:
    result = cargo(home, "login", "--registry", "ours")
    assert result.returncode != 0
    assert f"`auth login {registry.url}index/ --token -`" in result.stderr


def test_cargo_says_that_the_vault_is_locked(home: Home, registry: Loopback) -> None:
    home.done("login", registry.url, "--token", TOKEN)
    home.done("lock")
    result = cargo(home, "fetch")
    assert result.returncode != 0
    assert "`auth unlock`" in result.stderr
    assert set(registry.seen()) == {None}


@pytest.mark.parametrize("operation", ["read", "publish", "yank", "owners", "of-the-future"])
def test_a_token_answers_for_every_operation(home: Home, operation: str) -> None:
    home.done("login", "https://c.example", "--token", "t")
    assert get(home, "sparse+https://c.example/index/", operation) == token("t")


def test_a_token_that_ends_is_kept_until_then(home: Home) -> None:
    home.done("login", "https://c.example", "--token", "t", "--lifetime", "1h")
    answer = get(home, "sparse+https://c.example/")["Ok"]
    assert (answer["cache"], type(answer["expiration"])) == ("expires", int)


def test_a_persons_password_is_never_sent_as_a_token(home: Home) -> None:
    home.done("login", "https://c.example", "-u", "alice", "--password", "pw")
    assert get(home, "sparse+https://c.example/") == refused("not-found")


def test_a_token_of_a_git_host_never_goes_to_a_registry_with_its_index_there(home: Home) -> None:
    home.done("login", "https://github.com", "--token", "of-the-git-host")
    assert get(home, "https://github.com/team/index") == refused("not-found")
    assert get(home, "registry+https://github.com/team/index") == refused("not-found")
    assert get(home, GIT_HUB_INDEX) == refused("not-found")
    home.done("login", "https://github.com/team/index", "--token", "of-the-registry")
    assert get(home, "registry+https://github.com/team/index") == token("of-the-registry")


def test_crates_io_is_one_place_by_whatever_index(home: Home) -> None:
    home.done("login", "https://crates.io", "--token", "t")
    for index in (GIT_HUB_INDEX, "sparse+https://index.crates.io/"):
        assert get(home, index) == token("t")


def test_a_variable_answers_for_its_own_url(home: Home) -> None:
    given = {"UV_PUBLISH_URL": "https://c.example/", "UV_PUBLISH_TOKEN": "e"}
    assert get(home, "sparse+https://c.example/index/", **given) == token("e")
    assert get(home, "sparse+https://d.example/index/", **given) == refused("not-found")


@pytest.mark.parametrize("index", ["sparse+http://c.example/", "file:///srv/index", "nonsense"])
def test_what_can_have_no_credential_is_not_supported(home: Home, index: str) -> None:
    assert get(home, index) == refused("url-not-supported")


def test_several_requests_are_answered_one_after_another(home: Home) -> None:
    index = "sparse+https://c.example/index/"
    answers = plugin(
        home,
        request("login", index, token="t"),
        request("get", index, operation="read"),
        request("logout", index),
        request("logout", index),
    )
    done = [{"Ok": {"kind": "login"}}, token("t"), {"Ok": {"kind": "logout"}}]
    assert answers == [*done, refused("not-found")]


def test_what_is_no_request_is_an_error_of_the_protocol(home: Home) -> None:
    index = "sparse+https://c.example/"
    newer = request("get", index) | {"v": 2}
    answers = plugin(home, [], {"v": 1, "kind": "get"}, newer, request("dance", index))
    assert [answer["Err"]["kind"] for answer in answers] == [
        *("other", "other", "other"),
        "operation-not-supported",
    ]


def test_run_by_a_person_it_says_who_runs_it(home: Home) -> None:
    result = home.run("cargo-credential-tokenward")
    assert (result.returncode, result.stdout) == (2, "")
    assert "credential-provider" in result.stderr


def test_a_locked_vault_keeps_no_other_provider_from_what_was_never_stored(
    home: Home, registry: Loopback
) -> None:
    home.done("login", "https://other.example/", "--token", TOKEN)
    home.done("lock")
    assert get(home, "sparse+https://never.example/index/") == refused("not-found")
    config = home.path / ".cargo/config.toml"
    providers = '["cargo:token", "cargo-credential-tokenward"]'
    text = config.read_text().replace('["cargo-credential-tokenward"]', providers)
    config.write_text(f'{text}token = "{TOKEN}"\n')
    result = cargo(home, "fetch")
    assert result.returncode == 0, result.stderr
