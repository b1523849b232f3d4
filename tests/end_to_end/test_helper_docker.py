"""`docker-credential-tokenward`, with the real docker client and a registry, and by the protocol."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from support.servers.docker_registry import IMAGE, docker_registry
from support.servers.http_server import basic
from support.tools.system_tools import give

if TYPE_CHECKING:
    from collections.abc import Iterator
    from subprocess import CompletedProcess

    from support.home import Home
    from support.servers.http_server import Loopback

MISS = "credentials not found in native keychain\n"
HUB = "https://index.docker.io/v1/"


@pytest.fixture
def registry(home: Home) -> Iterator[Loopback]:
    """A registry for alice; `home` has docker's client, which finds no engine."""
    give(home, "docker")
    config = home.path / ".docker" / "config.json"
    config.parent.mkdir()
    config.write_text('{"credsStore": "tokenward"}')
    home.environment["DOCKER_HOST"] = f"unix://{home.path}/no-engine"
    with docker_registry("alice", "pw") as it:
        certificate = home.path / "registry.pem"
        certificate.write_bytes(it.certificate)
        home.environment["SSL_CERT_FILE"] = str(certificate)
        yield it


def docker_login(home: Home, server: str, password: str) -> CompletedProcess[str]:
    """Run `docker login`; whatever it exits with."""
    command = ("docker", "login", server, "--username", "alice", "--password-stdin")
    return home.run(*command, stdin=password)


def logged_in(home: Home, registry: Loopback) -> None:
    result = docker_login(home, registry.netloc, "pw")
    assert result.returncode == 0, result.stderr
    assert home.done("token", registry.url) == "pw\n"


def inspect(home: Home, registry: Loopback) -> CompletedProcess[str]:
    image = f"{registry.netloc}/{IMAGE}"
    return home.run("docker", "manifest", "inspect", "--insecure", image)


def ask(home: Home, operation: str, stdin: str = "") -> tuple[int, str]:
    result = home.run("docker-credential-tokenward", operation, stdin=stdin)
    return result.returncode, result.stdout


def keep(home: Home, server: str, username: str, secret: str) -> None:
    said = {"ServerURL": server, "Username": username, "Secret": secret}
    assert ask(home, "store", json.dumps(said)) == (0, "")


def got(home: Home, server: str) -> tuple[str, str]:
    status, out = ask(home, "get", f"{server}\n")
    assert status == 0, out
    found = json.loads(out)
    assert found.keys() == {"ServerURL", "Username", "Secret"}
    assert found["ServerURL"] == server
    return found["Username"], found["Secret"]


def listed(home: Home) -> dict[str, str]:
    status, out = ask(home, "list")
    assert status == 0
    servers: dict[str, str] = json.loads(out)
    return servers


def test_docker_login_stores_here_and_docker_reads_it_back(home: Home, registry: Loopback) -> None:
    logged_in(home, registry)
    config = json.loads((home.path / ".docker" / "config.json").read_text())
    assert config["auths"] == {registry.netloc: {}}
    result = inspect(home, registry)
    assert result.returncode == 0, result.stderr
    assert registry.seen()[-1] == basic("alice", "pw")


def test_a_login_at_the_command_line_serves_docker_too(home: Home, registry: Loopback) -> None:
    home.done("login", registry.url, "-u", "alice", "--password", "pw")
    assert inspect(home, registry).returncode == 0


def test_a_login_that_the_registry_refuses_stores_nothing(home: Home, registry: Loopback) -> None:
    assert docker_login(home, registry.netloc, "wrong").returncode != 0
    assert ask(home, "get", registry.netloc) == (1, MISS)


def test_docker_logout_removes_it(home: Home, registry: Loopback) -> None:
    logged_in(home, registry)
    assert inspect(home, registry).returncode == 0
    result = home.run("docker", "logout", registry.netloc)
    assert (result.returncode, result.stderr) == (0, "")
    assert inspect(home, registry).returncode != 0
    assert registry.seen()[-1] is None
    assert home.auth("token", registry.url).returncode == 2


def test_docker_says_that_the_vault_is_locked(home: Home, registry: Loopback) -> None:
    logged_in(home, registry)
    home.done("lock")
    result = docker_login(home, registry.netloc, "pw")
    assert result.returncode != 0
    assert "`auth unlock`" in result.stderr


@pytest.mark.parametrize("server", ["r.example", "r.example:5000", HUB, "http://localhost:5000"])
def test_what_is_stored_is_got_listed_and_erased_in_dockers_own_spelling(
    home: Home, server: str
) -> None:
    keep(home, server, "alice", "pässword")
    assert got(home, server) == ("alice", "pässword")
    assert listed(home) == {server: "alice"}
    assert ask(home, "erase", server) == (0, "")
    assert ask(home, "get", server) == (1, MISS)
    assert ask(home, "erase", server) == (1, MISS)
    assert listed(home) == {}


def test_an_identity_token_is_kept_with_the_user_name_that_marks_it(home: Home) -> None:
    keep(home, HUB, "<token>", "an-identity-token")
    assert got(home, HUB) == ("<token>", "an-identity-token")


def test_the_account_that_docker_logged_in_as_last_answers(home: Home) -> None:
    keep(home, "r.example", "alice", "a")
    keep(home, "r.example", "bob", "b")
    assert got(home, "r.example") == ("bob", "b")
    assert got(home, "https://r.example") == ("bob", "b")
    assert listed(home) == {"r.example": "bob"}


def test_of_accounts_that_are_not_dockers_none_is_guessed(home: Home) -> None:
    for user in ("alice", "bob"):
        home.done("login", "https://r.example", "-u", user, "--password", "pw")
    status, out = ask(home, "get", "r.example")
    assert status == 1
    assert "alice and bob" in out


def test_no_index_is_listed_so_that_no_daemon_gets_its_secret(home: Home) -> None:
    home.done("login", "https://index.example", "--token", "t")
    keep(home, "r.example", "alice", "pw")
    assert listed(home) == {"r.example": "alice"}


def test_what_was_logged_out_elsewhere_is_not_listed(home: Home) -> None:
    keep(home, "r.example", "alice", "pw")
    home.done("logout", "https://r.example")
    assert listed(home) == {}


def test_a_credential_never_goes_to_http_elsewhere(home: Home) -> None:
    keep(home, "r.example", "alice", "pw")
    assert ask(home, "get", "http://r.example") == (1, MISS)
    status, out = ask(
        home, "store", '{"ServerURL": "http://r.example", "Username": "a", "Secret": "s"}'
    )
    assert status == 1
    assert "No credential can be stored for this server" in out


@pytest.mark.parametrize(
    ("stdin", "said"),
    [
        ("{", "not a JSON object"),
        ('{"Username": "a", "Secret": "s"}', "no `ServerURL`"),
        ('{"ServerURL": "r.example", "Secret": "s"}', "no `Username`"),
        ('{"ServerURL": "r.example", "Username": "a"}', "no `Secret`"),
    ],
)
def test_what_is_no_credential_is_an_error_on_stdout(home: Home, stdin: str, said: str) -> None:
    status, out = ask(home, "store", stdin)
    assert status == 1
    assert said in out


def test_run_by_a_person_it_says_who_runs_it(home: Home) -> None:
    result = home.run("docker-credential-tokenward")
    assert result.returncode == 1
    assert '"credsStore": "tokenward"' in result.stdout


@pytest.mark.parametrize("server", ["never.example", HUB])
def test_a_locked_vault_is_a_miss_for_what_was_never_stored(home: Home, server: str) -> None:
    keep(home, "r.example", "ana", "x")
    home.done("lock")
    for operation in "get", "erase":
        assert ask(home, operation, server) == (1, "credentials not found in native keychain\n")
    assert "`auth unlock`" in ask(home, "get", "r.example")[1]
