"""The shortest commands stay short from their first import to the secret on stdout."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from support.inspection.loaded_modules import HOT, KEYRING, loaded

if TYPE_CHECKING:
    from support.home import Home

COMMAND = """
import os, sys

class Ended(BaseException):
    pass

def end(status):
    raise Ended(status)

os._exit = end  # what it would skip is the look at the modules
sys.argv[0] = "auth"
from tokenward.__main__ import main
try:
    main()
except Ended as ended:
    assert ended.args == (0,)
else:
    raise AssertionError("the full route was taken")
"""
URL = "https://pypi.example/team"


@pytest.mark.parametrize("service", [URL, f"{URL}/simple/", "https://alice@pypi.example/team/"])
def test_a_whole_token_command_loads_only_what_is_listed(home: Home, service: str) -> None:
    home.log_in(URL, "a secret")
    extra = loaded(COMMAND, "token", service, environment=home.environment) - loaded("pass")
    assert extra - HOT - {"tokenward.__main__"} == set()


def test_another_directory_of_credentials_takes_the_shortest_route_too(home: Home) -> None:
    place = home.environment | {"TOKENWARD_DIR": str(home.path / "second")}
    home.environment = place
    home.log_in(URL, "a secret")
    extra = loaded(COMMAND, "token", URL, environment=place) - loaded("pass")
    assert "tokenward.cli" not in extra


def test_the_keyring_program_loads_only_what_is_listed(home: Home) -> None:
    home.log_in(URL, "a secret")
    code = "import sys; from tokenward.keyring_command import main; main(sys.argv[1:])"
    words = ("get", f"{URL}/simple/", "alice")
    extra = loaded(code, *words, environment=home.environment) - loaded("pass")
    assert extra - KEYRING == set()
