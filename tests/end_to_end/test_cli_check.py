"""`--check`: what a harmless request proves, what it does not, and that a refusal stores nothing."""

from __future__ import annotations

import json
import time
from email.utils import formatdate
from typing import TYPE_CHECKING

import pytest

from support.servers.http_server import Loopback, Request, Response, basic
from support.servers.index_apis import Anaconda, GitLab, Pages

if TYPE_CHECKING:
    from support.home import Home
    from support.servers.index_server import IndexServer

GLPAT = "glpat-an-access-token-of-gitlab"
SECRET = "a password of alice's"


def checked(home: Home, url: str) -> tuple[str, str, str]:
    found = json.loads(home.auth("token", url, "--check", "--format", "json").stdout)
    return found["check"], found["message"], found["unproven"]


def test_a_real_index_takes_the_right_password_alone(home: Home, index: IndexServer) -> None:
    password = "correct horse battery staple"
    home.log_in(index.url, password, "--check")
    result = home.auth("token", index.url, "--check")
    assert result.returncode == 0
    host = index.url.split("/")[2]
    assert result.stdout == (
        f"{host} accepts the credential, and needs one.\nThis does not prove that it may upload.\n"
    )
    assert password not in result.stdout + result.stderr
    wrong = home.auth("login", index.url, "-u", "bob", "--password", "wrong", "--check")
    assert wrong.returncode == 2
    assert wrong.stderr == (
        f"error: {host} does not accept the credential.\n"
        "hint: nothing was stored; without `--check` it would be\n"
    )
    assert home.auth("token", index.url, "-u", "bob").returncode == 2


def test_a_refusal_of_what_is_stored_is_a_failure_and_data(home: Home) -> None:
    with Loopback(Pages([])) as server:
        home.log_in(server.url, SECRET)
        result = home.auth("token", server.url, "--check", "--format", "json")
    assert result.returncode == 2
    assert json.loads(result.stdout)["check"] == "refused"
    assert result.stderr.startswith(f"error: {server.netloc} does not accept the credential.\n")


def test_an_index_that_is_open_to_everybody_proves_nothing(home: Home) -> None:
    with Loopback(Pages([basic("alice", SECRET)], everybody=True)) as server:
        home.log_in(server.url, SECRET)
        state, message, _ = checked(home, server.url)
    assert state == "unknown"
    assert "is public" in message
    assert [request.authorization is None for request in server.requests] == [True, False]


def test_a_place_without_a_list_of_projects_proves_nothing(home: Home) -> None:
    with Loopback(lambda _: Response(404)) as server:
        home.log_in(server.url, SECRET, "--check")  # nothing speaks against it
        state, message, _ = checked(home, server.url)
    assert state == "unknown"
    assert "(status 404)" in message


def test_a_redirect_proves_nothing_and_leads_the_secret_nowhere(home: Home) -> None:
    with Loopback(lambda _: Response(200)) as elsewhere:
        moved = Response(302, headers={"Location": f"{elsewhere.url}simple/"})
        with Loopback(lambda _: moved) as server:
            home.log_in(server.url, SECRET)
            assert checked(home, server.url)[0] == "unknown"
    assert elsewhere.requests == []


def test_a_token_of_gitlab_describes_itself(home: Home) -> None:
    with Loopback(GitLab(GLPAT)) as server:
        url = server.url + GitLab.INDEX
        home.log_in(url, GLPAT)
        state, message, unproven = checked(home, url)
        assert state == "accepted"
        assert message == f"{server.netloc} accepts the token (scopes api; until 2027-01-31)."
        assert "upload" in unproven
        wrong = home.auth("login", url, "--token", f"{GLPAT}x", "--check")
        assert wrong.returncode == 2
        assert "does not accept the token" in wrong.stderr


def test_a_token_of_gitlab_that_is_not_active_is_refused(home: Home) -> None:
    with Loopback(lambda _: Response(200, b'{"active": false}')) as server:
        url = server.url + GitLab.INDEX
        home.log_in(url, GLPAT)
        assert checked(home, url)[0] == "refused"


def test_a_token_of_anaconda_says_whose_it_is(home: Home) -> None:
    config = home.path / ".config/tokenward/config.toml"
    config.parent.mkdir(parents=True, exist_ok=True)
    with Loopback(Anaconda("0123456789abcdef")) as server:
        config.write_text(f'[services.ours]\nurl = "{server.url}"\nkind = "anaconda"\n')
        home.log_in("ours", "0123456789abcdef")
        assert checked(home, "ours")[1] == f"{server.netloc} accepts the token as that of alice."


@pytest.mark.parametrize("answer", [b"no json", b'{"active": "\\u001b[2Jx"}', b"[]"])
def test_an_answer_that_nobody_documents_harms_nothing(home: Home, answer: bytes) -> None:
    with Loopback(lambda _: Response(200, answer)) as server:
        url = server.url + GitLab.INDEX
        home.log_in(url, GLPAT)
        result = home.auth("token", url, "--check")
    assert "Traceback" not in result.stderr
    assert "\x1b" not in result.stderr + result.stdout


def test_words_of_an_index_move_no_cursor(home: Home) -> None:
    fields = {"active": True, "scopes": ["\x1b[2J"], "expires_at": "\u202e2027"}
    with Loopback(lambda _: Response(200, json.dumps(fields).encode())) as server:
        url = server.url + GitLab.INDEX
        home.log_in(url, GLPAT)
        result = home.auth("token", url, "--check")
    assert "\\x1b[2J" in result.stdout
    assert "\\u202e2027" in result.stdout


def test_an_index_that_is_not_there_stores_nothing(home: Home) -> None:
    with Loopback(lambda _: Response(200)) as server:
        url = server.url
    result = home.auth("login", url, "--token", "x", "--check")
    assert result.returncode == 2
    assert "could not be asked" in result.stderr
    assert home.auth("token", url).returncode == 2


def test_without_the_option_nobody_is_asked(home: Home) -> None:
    with Loopback(Pages([])) as server:
        home.log_in(server.url, SECRET)
        home.done("token", server.url)
    assert server.requests == []


def test_a_clock_that_differs_is_said(home: Home) -> None:
    def answer(_: Request) -> Response:
        return Response(200, headers={"Date": formatdate(time.time() + 7300, usegmt=True)})

    with Loopback(answer) as server:
        result = home.auth("login", server.url, "--token", "x", "--check")
        again = home.auth("token", server.url, "--check")
    assert f"warning: The clock here is 2 hours behind that of {server.netloc}" in result.stderr
    for said in (result.stderr, again.stderr):
        assert f"Attenuated tokens for {server.url} expire by its clock from now on." in said
    found = home.log_lines()
    seen = [line["ahead"] for line in found if line["event"] == "clock"]
    assert [7200 < ahead <= 7300 for ahead in seen] == [True, True]


@pytest.mark.parametrize("option", ["--adopt", "--trusted-publishing"])
def test_what_a_login_cannot_check_is_said(home: Home, option: str) -> None:
    result = home.auth("login", "https://h.example/", "-u", "alice", option, "--check")
    assert result.returncode == 2
    assert "exclude each other" in result.stderr
