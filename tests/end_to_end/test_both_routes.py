"""`auth token` by its shortest route and by the full one: the same answer, whatever is the case.

The shortest route (hot.py) answers what it can and leaves the rest to the full commands. Here each
spelling that may take it goes through both, with a real agent, and nobody could tell which it was.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from support.macaroons import token_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from support.home import Home

HOT = "import sys; from tokenward.__main__ import main; sys.exit(main())"
FULL = "import sys; from tokenward import cli; sys.exit(cli.main(sys.argv[1:]))"

SPELLINGS = [
    [],
    ["pypi"],
    ["testpypi"],
    ["PyPI"],
    ["https://pypi.org/simple/"],
    ["test.pypi.org"],
    ["https://h.example"],
    ["H.example/team/simple/"],
    ["https://alice@h.example/"],
    ["https://carol@h.example/"],
    ["https://alice:s3cret@h.example/"],
    ["localhost"],
    ["localhost:8080"],
    ["http://localhost:8080"],
    ["127.0.0.1:8080"],
    ["corp"],
    ["nobody-knows-it"],
    ["http://h.example/"],
    ["https://[::1"],
    [""],
]


def store(home: Home) -> None:
    home.done("login", "--token", token_of("pypi.org"))
    home.done("login", "testpypi", "--token", token_of("test.pypi.org"))
    home.done("login", "https://h.example/", "-u", "alice", "--password", "pässwörd")
    home.done("login", "http://localhost:8080/", "-u", "alice", "--password", "plain")
    home.done("login", "https://localhost:8080/", "-u", "alice", "--password", "with TLS")


def configure(home: Home, text: str) -> None:
    file = Path(home.environment["XDG_CONFIG_HOME"]) / "tokenward" / "config.toml"
    file.parent.mkdir()
    file.write_text(text)


def nothing_stored(home: Home) -> None:
    home.done("agent", "start")


def several_accounts(home: Home) -> None:
    store(home)
    home.done("login", "https://h.example/", "-u", "bob", "--password", "another")


def locked(home: Home) -> None:
    store(home)
    home.done("lock")


def no_agent(home: Home) -> None:
    store(home)
    home.done("agent", "stop")
    home.environment["TOKENWARD_NO_AUTOSTART"] = "1"


def variables_that_answer(home: Home) -> None:
    configure(home, '[services.corp]\nurl = "https://h.example/team/"\n')
    store(home)
    home.environment["UV_PUBLISH_TOKEN"] = "from the environment"
    home.environment["UV_INDEX_CORP_USERNAME"] = "alice"
    home.environment["UV_INDEX_CORP_PASSWORD"] = "from a variable"


def variables_that_are_empty(home: Home) -> None:
    store(home)
    home.environment |= {"UV_PUBLISH_TOKEN": "", "UV_INDEX_TOKEN_CORP": "", "UV_CONFIG_FILE": ""}


def another_directory(home: Home) -> None:
    store(home)
    configure(home, f'auth-cache-dir = "{home.path}/vaults"\n')
    home.done("login", "https://h.example/", "-u", "alice", "--password", "in the other directory")


def a_name_of_the_users(home: Home) -> None:
    configure(home, '[services.corp]\nurl = "https://h.example/"\nusername = "bob"\n')
    several_accounts(home)


def broken_settings(home: Home) -> None:
    store(home)
    configure(home, "auth-cache-dir = [")  # what cannot choose a directory is not read


def an_account_in_pypirc(home: Home) -> None:
    home.done("agent", "start")
    (home.path / ".pypirc").write_text(
        "[distutils]\nindex-servers = corp\n[corp]\nrepository = https://h.example/\n"
        "username = alice\npassword = in the file\n"
    )


@pytest.mark.parametrize(
    "situation",
    [
        store,
        nothing_stored,
        several_accounts,
        locked,
        no_agent,
        variables_that_answer,
        variables_that_are_empty,
        another_directory,
        a_name_of_the_users,
        broken_settings,
        an_account_in_pypirc,
    ],
)
def test_both_routes_answer_the_same(home: Home, situation: Callable[[Home], None]) -> None:
    situation(home)
    with_closed_stdout = [(">&-", spelling) for spelling in SPELLINGS[::5]]
    for redirection, spelling in [*(("", spelling) for spelling in SPELLINGS), *with_closed_stdout]:
        hot, full = (route(home, program, redirection, *spelling) for program in (HOT, FULL))
        assert hot == full, (redirection, spelling)
        status, stdout, stderr = hot
        assert bool(stdout) is (status == 0), (redirection, spelling)
        assert "Traceback" not in stderr
        assert "s3cret" not in stderr


def test_a_closed_descriptor_makes_no_difference(home: Home) -> None:
    store(home)
    for redirection in ("<&-", "2>&-", "<&- 2>&-"):
        for program in (HOT, FULL):
            found = route(home, program, redirection)
            assert found == (0, f"{token_of('pypi.org')}\n", "")


def route(home: Home, program: str, redirection: str, *spelling: str) -> tuple[int, str, str]:
    """Run `auth token` by one of the two; return exit status, stdout and stderr."""
    shell = ("sh", "-c", f'exec "$@" {redirection}', "sh")
    done = home.run(*shell, sys.executable, "-I", "-c", program, "token", *spelling)
    return done.returncode, done.stdout, done.stderr
