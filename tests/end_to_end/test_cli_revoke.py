"""`auth logout --revoke`: what an index's API does, what stays, and who is asked nothing."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from support.macaroons import IDENTIFIER, token_of
from support.servers.http_server import Loopback, Response
from support.servers.index_apis import Anaconda, GitLab, JFrog

if TYPE_CHECKING:
    from subprocess import CompletedProcess

    from support.home import Home

GLPAT = "glpat-an-access-token-of-gitlab"
JWT = "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJhbGljZSJ9.c2lnbmF0dXJl"


def is_stored(home: Home, url: str, username: str = "alice") -> bool:
    return home.auth("token", url, "-u", username).returncode == 0


def object_of(result: CompletedProcess[str]) -> dict[str, Any]:
    found = json.loads(result.stdout)
    assert isinstance(found, dict)
    return found


def test_a_token_of_gitlab_is_revoked_and_removed(home: Home) -> None:
    api = GitLab(GLPAT)
    with Loopback(api) as server:
        url = server.url + GitLab.INDEX
        home.log_in(url, GLPAT)
        result = home.auth("logout", url, "--revoke")
    assert result.returncode == 0, result.stderr
    assert result.stderr == (
        f"It was revoked at {server.netloc}.\nRemoved the password of alice for {url}.\n"
    )
    assert api.tokens == set()
    assert not is_stored(home, url)
    assert [request.method for request in server.requests] == ["DELETE"]


def test_an_access_token_of_jfrog_is_revoked_and_removed(home: Home) -> None:
    api = JFrog(JWT)
    with Loopback(api) as server:
        url = server.url + JFrog.INDEX
        home.log_in(url, JWT)
        found = home.answer("logout", url, "--revoke")
    assert found == {
        "removed": [
            {
                "service": url,
                "username": "alice",
                "provider": "disabled",
                "projects": None,
                "revoked": True,
            }
        ],
        "count": 1,
        "kept": [],
    }
    assert api.tokens == set()


def test_a_token_of_an_anaconda_server_that_the_users_file_names_is_revoked(home: Home) -> None:
    api = Anaconda("0123456789abcdef")
    with Loopback(api) as server:
        config = home.path / ".config/tokenward/config.toml"
        config.parent.mkdir(parents=True, exist_ok=True)
        config.write_text(f'[services.ours]\nurl = "{server.url}x/"\nkind = "anaconda"\n')
        home.log_in("ours", "0123456789abcdef")
        assert home.auth("logout", "ours", "--revoke").returncode == 0
    assert api.tokens == set()


def test_without_the_option_nothing_is_asked_and_the_option_is_named(home: Home) -> None:
    with Loopback(GitLab(GLPAT)) as server:
        url = server.url + GitLab.INDEX
        home.log_in(url, GLPAT)
        result = home.auth("logout", url)
    assert result.returncode == 0
    assert "hint: `--revoke` would have revoked it there, if it is a token\n" in result.stderr
    assert f"{server.url}-/user_settings/personal_access_tokens" in result.stderr
    assert server.requests == []
    assert not is_stored(home, url)


@pytest.mark.parametrize("status", [307, 401, 403, 500])
def test_what_could_not_be_revoked_stays_unless_it_is_to_be_forgotten(
    home: Home, status: int
) -> None:
    with Loopback(
        lambda _: Response(status, headers={"Location": "http://127.0.0.1:1/"})
    ) as server:
        url = server.url + GitLab.INDEX
        home.log_in(url, GLPAT)
        result = home.auth("logout", url, "--revoke", "--format", "json")
        assert result.returncode == 2
        assert f"The password of alice for {url} was not revoked at its index: " in result.stderr
        assert "error: 1 credential could not be revoked, and stays stored.\n" in result.stderr
        assert "`--forget`" in result.stderr
        assert GLPAT not in result.stderr + result.stdout
        assert (object_of(result)["removed"], object_of(result)["count"]) == ([], 0)
        assert object_of(result)["kept"][0]["service"] == url
        assert is_stored(home, url)
        result = home.auth("logout", url, "--revoke", "--forget")
        assert result.returncode == 0
        assert "It is still valid" in result.stderr
        assert not is_stored(home, url)
    assert len(server.requests) == 2


def test_a_host_that_is_not_there_keeps_the_credential_too(home: Home) -> None:
    with Loopback(GitLab(GLPAT)) as server:
        url = server.url + GitLab.INDEX
    home.log_in(url, GLPAT)
    result = home.auth("logout", url, "--revoke")
    assert result.returncode == 2
    assert "could not be asked: Connection refused." in result.stderr
    assert is_stored(home, url)


@pytest.mark.parametrize(
    ("index", "secret", "why"),
    [
        (GitLab.INDEX, "gldt-deploy", "A deploy token of GitLab cannot revoke itself."),
        (GitLab.INDEX, "glcbt-job", "A job token of GitLab expires with its job."),
        (JFrog.INDEX, "a password", "Only access tokens of JFrog can revoke themselves."),
        (
            "simple/",
            "a password",
            "It cannot be revoked from here: no call of its index is known for that.",
        ),
    ],
)
def test_what_cannot_be_revoked_is_removed_and_sent_nowhere(
    home: Home, index: str, secret: str, why: str
) -> None:
    with Loopback(lambda _: Response(200)) as server:
        url = server.url + index
        home.log_in(url, secret)
        result = home.auth("logout", url, "--revoke")
    assert result.returncode == 0, result.stderr
    assert why in result.stderr
    assert "It is still valid at" in result.stderr
    assert server.requests == []
    assert not is_stored(home, url)


def test_a_users_token_of_pypi_is_removed_and_the_page_named_where_it_can_be_revoked(
    home: Home,
) -> None:
    home.done("login", "--token", "-", stdin=f"{token_of('pypi.org')}\n")
    result = home.auth("logout", "--revoke")
    assert result.returncode == 0
    assert "upload.pypi.org lets only its user revoke it, on a page." in result.stderr
    assert "It is still valid at pypi until it is revoked there." in result.stderr
    assert "hint: revoke it at https://pypi.org/manage/account/token/" in result.stderr


MINTED = ('[4,"a publisher",null]', '[2,["a project"]]', "[0,9999999999,0]")


def test_a_copy_of_a_token_of_trusted_publishing_is_removed_and_not_revoked(home: Home) -> None:
    child = token_of("pypi.org", IDENTIFIER, *MINTED, '[1,["one"]]')
    home.done("login", "--token", "-", stdin=f"{child}\n")
    result = home.auth("logout", "--revoke", https_proxy="http://127.0.0.1:1")
    assert result.returncode == 0
    assert "It is an attenuated copy, and revoking it would revoke its original, too." in (
        result.stderr
    )
    assert "cannot be asked" not in result.stderr


def test_a_token_of_trusted_publishing_that_was_stored_would_be(home: Home) -> None:
    minted = token_of("pypi.org", IDENTIFIER, *MINTED)
    home.done("login", "--token", "-", stdin=f"{minted}\n")
    result = home.auth("logout", "--revoke", https_proxy="http://127.0.0.1:1")
    assert result.returncode == 2
    assert "upload.pypi.org could not be asked: Connection refused." in result.stderr


def test_a_sealed_token_of_a_user_is_revoked_on_a_page_alone(home: Home) -> None:
    home.done("login", "--token", "-", "--sealed", stdin=f"{token_of('pypi.org')}\n")
    result = home.auth("logout", "--revoke")
    assert result.returncode == 0
    assert "upload.pypi.org lets only its user revoke it, on a page." in result.stderr
    assert home.done("list") == ""


def test_every_account_is_revoked_and_one_failure_keeps_its_own(home: Home) -> None:
    api = GitLab(f"{GLPAT}1", f"{GLPAT}2")
    with Loopback(api) as server:
        url, other = server.url + GitLab.INDEX, server.url + JFrog.INDEX
        for number in (1, 2, 3):
            home.log_in(url, f"{GLPAT}{number}", username=f"user{number}")
        home.log_in(other, "a password")
        result = home.auth("logout", url, "--all", "--revoke", "--format", "json")
        assert result.returncode == 2
        assert [entry["username"] for entry in object_of(result)["removed"]] == ["user1", "user2"]
        assert [entry["username"] for entry in object_of(result)["kept"]] == ["user3"]
        assert api.tokens == set()
        assert is_stored(home, other)
        result = home.auth("logout", "--all", "--revoke", "--forget")
        assert result.returncode == 0
        assert home.done("list") == ""


def test_a_secret_that_is_stored_under_two_urls_is_revoked_once(home: Home) -> None:
    api = GitLab(GLPAT)
    with Loopback(api) as server:
        index, uploads = (f"{server.url}api/v4/projects/{n}/packages/pypi/" for n in (7, 8))
        config = home.path / ".config/tokenward/config.toml"
        config.parent.mkdir(parents=True, exist_ok=True)
        config.write_text(f'[services.ours]\nurl = "{index}"\npublish-url = "{uploads}"\n')
        home.log_in("ours", GLPAT)
        result = home.auth("logout", "ours", "--revoke")
    assert result.returncode == 0, result.stderr
    assert len(server.requests) == 1
    assert home.done("list") == ""


def test_only_what_lies_at_the_url_itself_is_revoked(home: Home) -> None:
    api = GitLab(GLPAT)
    with Loopback(api) as server:
        url = server.url + GitLab.INDEX
        home.log_in(url, GLPAT)
        result = home.auth("logout", f"{url}below/", "--revoke")
        assert result.returncode == 2
        assert "No credential is stored for" in result.stderr
        assert api.tokens == {GLPAT}


def test_a_logout_of_several_accounts_with_none_named_asks_which(home: Home) -> None:
    with Loopback(GitLab(GLPAT)) as server:
        url = server.url + GitLab.INDEX
        for name in ("alice", "bob"):
            home.log_in(url, GLPAT, username=name)
        result = home.auth("logout", url, "--revoke")
    assert result.returncode == 2
    assert "alice and bob" in result.stderr
    assert server.requests == []


def test_everything_cannot_be_revoked_while_a_vault_is_closed(home: Home) -> None:
    with Loopback(GitLab(GLPAT)) as server:
        home.log_in(server.url + GitLab.INDEX, GLPAT)
        home.done("lock")
        result = home.auth("logout", "--all", "--revoke")
    assert result.returncode == 2
    assert result.stderr == "error: The file vault is not open.\nhint: `auth unlock`\n"
    assert server.requests == []


def test_forgetting_is_for_what_was_to_be_revoked(home: Home) -> None:
    assert "`--forget` needs `--revoke`." in home.auth("logout", "--forget").stderr


def test_a_kind_that_is_not_known_is_an_error_of_the_file(home: Home) -> None:
    config = home.path / ".config/tokenward/config.toml"
    config.parent.mkdir(parents=True, exist_ok=True)
    config.write_text('[services.ours]\nurl = "https://h.example/"\nkind = "gitlap"\n')
    result = home.auth("token", "ours")
    assert result.returncode == 2
    assert "`services.ours.kind` in" in result.stderr
    assert "anaconda, azure, devpi, gitlab, jfrog" in result.stderr
