"""Two accounts at one server: what was stored apart answers apart, and what blinds tools is said."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from support.home import Home

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="netrc lies elsewhere there")

BARE, SIMPLE = "https://nexus.example/repo", "https://nexus.example/repo/simple/"


def test_an_index_and_its_uploads_with_an_account_each_both_answer(home: Home) -> None:
    home.done("login", BARE, "-u", "deployer", "--password", "made-up-1")
    said = home.auth("login", SIMPLE, "-u", "reader", "--password", "made-up-2")
    assert (said.returncode, "gets no credential" in said.stderr) == (0, False)
    assert f"reader for {SIMPLE}" in said.stderr
    assert home.done("token", SIMPLE) == "made-up-2\n"
    assert home.done("token", f"{BARE}/legacy/") == "made-up-1\n"
    home.done("login", SIMPLE, "-u", "reader", "--password", "made-up-3")
    assert home.done("token", SIMPLE) == "made-up-3\n"
    home.done("logout", SIMPLE, "-u", "reader")
    assert home.done("token", SIMPLE) == "made-up-1\n"
    home.done("logout", SIMPLE, "-u", "deployer")
    assert home.auth("token", BARE).returncode == 2


def test_an_account_that_makes_another_ambiguous_is_warned_of(home: Home) -> None:
    home.done("login", SIMPLE, "-u", "reader", "--password", "made-up-2")
    said = home.auth("login", BARE, "-u", "deployer", "--password", "made-up-1")
    assert said.returncode == 0
    assert "Another account (reader) is stored for https://nexus.example/repo/:" in said.stderr
    again = home.auth("login", BARE, "-u", "deployer", "--password", "made-up-4")
    assert "Another account" not in again.stderr
    home.done("login", BARE, "--token", "made-up-5")
    third = home.auth("login", BARE, "-u", "third", "--password", "made-up-6")
    assert "Another account" not in third.stderr  # the token answers


def test_two_logins_of_a_host_in_a_netrc_are_warned_of(home: Home) -> None:
    netrc = home.path / ".netrc"
    netrc.write_text(
        "machine h.example login ann password made-up-1\n"
        "machine h.example login bob password made-up-2\n"
    )
    netrc.chmod(0o600)
    said = home.auth("import", "netrc", "--host", "h.example")
    assert said.returncode == 0
    assert "a tool that sends no user name now gets no credential" in said.stderr


def test_an_account_that_is_warned_of_is_told_apart_by_a_login_at_the_longer_url(
    home: Home,
) -> None:
    home.done("login", SIMPLE, "-u", "reader", "--password", "made-up-2")
    home.done("login", BARE, "-u", "deployer", "--password", "made-up-1")
    assert home.auth("token", f"{BARE}/legacy/").returncode == 2
    said = home.auth("login", SIMPLE, "-u", "reader", "--password", "made-up-3")
    assert said.returncode == 0
    assert f"Replaced the password of reader for {SIMPLE}" in said.stderr
    assert "Another account" not in said.stderr
    assert home.done("token", SIMPLE) == "made-up-3\n"
    assert home.done("token", f"{BARE}/legacy/") == "made-up-1\n"
    entries = [(e["service"], e["username"]) for e in home.answer("list")["credentials"]]
    assert sorted(entries) == [(f"{BARE}/", "deployer"), (SIMPLE, "reader")]


@pytest.mark.parametrize("order", [("reader", "deployer"), ("deployer", "reader")])
def test_an_import_tells_an_index_and_its_uploads_apart_in_either_order(
    home: Home, order: tuple[str, str]
) -> None:
    urls = {"reader": SIMPLE, "deployer": f"{BARE}/"}
    sections = "".join(
        f"[{user}]\nrepository = {urls[user]}\nusername = {user}\npassword = pw-{user}\n"
        for user in order
    )
    servers = " ".join(order)
    rc = home.path / ".pypirc"
    rc.write_text(f"[distutils]\nindex-servers = {servers}\n{sections}")
    rc.chmod(0o600)
    said = home.auth("import", "pypirc", "--remove")
    assert (said.returncode, "gets no credential" in said.stderr) == (0, False), said.stderr
    assert home.done("token", SIMPLE) == "pw-reader\n"
    assert home.done("token", f"{BARE}/legacy/") == "pw-deployer\n"
    assert home.auth("import", "pypirc").returncode == 0
