"""What users type and tools call stays short from its first import to what it prints."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

import pytest

from support.inspection.loaded_modules import (
    COMMANDS,
    ENDED,
    HELPERS,
    HOT,
    KEYRING,
    OF_A_TOKEN,
    OVERVIEW,
    loaded,
)
from support.macaroons import token_of

if TYPE_CHECKING:
    from support.home import Home

AUTH = ENDED.format(code="from tokenward.__main__ import main; main()")
URL = "https://pypi.example/team"


@cache
def of(imports: str) -> set[str]:
    """Return what the standard library loads for its modules, or for none."""
    return loaded(imports)


OPTIONS = "import argparse, importlib; argparse.ArgumentParser().parse_args([])"


@pytest.mark.parametrize("service", [URL, f"{URL}/simple/", "https://alice@pypi.example/team/"])
def test_a_whole_token_command_loads_only_what_is_listed(home: Home, service: str) -> None:
    home.log_in(URL, "a secret")
    extra = loaded(AUTH, "token", service, environment=home.environment) - of("pass")
    assert extra - HOT - {"tokenward.__main__"} == set()


def test_another_directory_of_credentials_takes_the_shortest_route_too(home: Home) -> None:
    place = home.environment | {"TOKENWARD_DIR": str(home.path / "second")}
    home.environment = place
    home.log_in(URL, "a secret")
    extra = loaded(AUTH, "token", URL, environment=place) - of("pass")
    assert "tokenward.cli" not in extra


def test_the_overview_of_the_commands_loads_no_parser_of_options(home: Home) -> None:
    extra = loaded(AUTH, "--help", environment=home.environment) - of("pass")
    assert extra - OVERVIEW - {"tokenward.__main__"} == set()


NETWORK = {"ssl", "http.client", "urllib.request", "subprocess", "asyncio"}


@pytest.mark.parametrize(
    "command", [f"login {URL} -u alice --password secret", f"logout {URL}", "lock", "log"]
)
def test_a_command_that_asks_no_index_loads_nothing_for_the_network(
    home: Home, command: str
) -> None:
    home.log_in(URL, "a secret")
    extra = loaded(AUTH, *command.split(), environment=home.environment)
    assert extra & NETWORK == set()


@pytest.mark.parametrize("command", ["token " + URL + " -u alice", "list", "status"])
def test_a_full_command_loads_beside_argparse_only_what_is_listed(home: Home, command: str) -> None:
    home.log_in(URL, "a secret")
    words = command.split()
    extra = loaded(AUTH, *words, environment=home.environment) - of(OPTIONS)
    if words[0] == "status":  # it reads the journal of `auth setup`
        extra -= of("import contextlib, json")
    assert extra - COMMANDS[words[0]] - {"tokenward.__main__"} == set()


@pytest.mark.parametrize("command", ["token", "list", "status"])
def test_json_costs_json_alone(home: Home, command: str) -> None:
    home.done("login", "--token", token_of("pypi.org"))
    extra = loaded(AUTH, command, "--format", "json", environment=home.environment)
    extra -= of(OPTIONS) | of("import contextlib, json")
    listed = COMMANDS[command] | (OF_A_TOKEN if command == "token" else set())
    assert extra - listed - {"tokenward.__main__"} == set()


@pytest.mark.parametrize(
    ("helper", "arguments", "said", "library"),
    [
        ("git", ["get"], "protocol=https\nhost=pypi.example\npath=team\n", "pass"),
        ("docker", ["get"], "pypi.example/team", "import _json"),
        (
            "cargo",
            ["--cargo-plugin"],
            '{"v": 1, "kind": "get", "registry": {"index-url": "sparse+https://crates.example/"}}',
            "import _json",
        ),
    ],
)
def test_a_helper_loads_only_what_is_listed(
    home: Home, helper: str, arguments: list[str], said: str, library: str
) -> None:
    home.log_in(URL, "a secret")
    home.done("login", "https://crates.example/", "--token", "a token")
    code = ENDED.format(code=f"from tokenward.helpers import run_{helper}; run_{helper}()")
    extra = loaded(code, *arguments, environment=home.environment, stdin=said)
    assert extra - of(library) - HELPERS[helper] == set()


def test_the_keyring_program_loads_only_what_is_listed(home: Home) -> None:
    home.log_in(URL, "a secret")
    code = ENDED.format(code="from tokenward.keyring_command import main; main(sys.argv[1:])")
    words = ("get", f"{URL}/simple/", "alice")
    extra = loaded(code, *words, environment=home.environment) - of("pass")
    assert extra - KEYRING == set()
