"""A team's secret in Vault: read when it is needed, kept in memory alone, narrowed or behind a relay.

Vault's API is a stand-in by its documents. What reads it is the real curl, and a script in the place
of Vault's own program that does with curl what `vault kv get -field` does.
"""

from __future__ import annotations

import json
import shutil
import sys
from typing import TYPE_CHECKING

import pytest

from support.auth_commands import PROGRAMS
from support.inspection.held_texts import files_with
from support.macaroons import caveats_of, token_of
from support.relay.shares import ACCOUNT, CURL, SECRET, SharedIndex
from support.servers.http_server import basic
from support.servers.vault_kv import TOKEN, VaultServer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from support.home import Home

pytestmark = [
    pytest.mark.skipif(sys.platform == "win32", reason="there are no recipes on Windows"),
    pytest.mark.skipif(shutil.which("curl") is None, reason="needs curl"),
]

OTHER = "https://index.example/"
PYPI_TOKEN = token_of("pypi.org", "of the team")
_VAULT = """\
#!/bin/sh
# As `vault kv get -address=URL -field=NAME MOUNT/PATH`, with the token of ~/.vault-token.
set -eu
[ "$1 $2" = "kv get" ]
address=${3#-address=} field=${4#-field=} mount=${5%%/*} path=${5#*/}
printf 'X-Vault-Token: %s' "$(cat "$HOME/.vault-token")" |
    curl --fail --silent --show-error --header @- "${address%/}/v1/$mount/data/$path" |
    sed -n "s/.*\\"$field\\": \\"\\([^\\"]*\\)\\".*/\\1/p"
"""


@pytest.fixture
def team() -> Iterator[VaultServer]:
    with VaultServer() as found:
        found.secrets = {
            "index": {"password": SECRET},
            "pypi": {"token": PYPI_TOKEN},
        }
        yield found


def by_http(home: Home, url: str) -> tuple[str, ...]:
    """Return the options for a recipe that reads Vault's API, as docs/SOURCES.md has it."""
    header = home.path / ".vault-header"
    header.write_text(f"X-Vault-Token: {TOKEN}")
    header.chmod(0o600)
    curl = ("curl", "--fail", "--silent", "--show-error", "--header", f"@{header}", url)
    return ("--command", "--as", "json", "--", *curl)


def test_it_is_read_by_http_when_it_is_needed_and_stands_in_no_file(
    home: Home, team: VaultServer
) -> None:
    home.done("login", OTHER, "-u", "ana", *by_http(home, f"{team.url}v1/secret/data/index"))
    found = home.answer("token", OTHER)
    assert (found["token"], found["username"], found["expires"]) == (SECRET, "ana", None)
    assert files_with(home.path, SECRET.encode()) == []
    team.secrets["index"]["password"] = "rotated"
    assert home.done("token", OTHER) == f"{SECRET}\n"
    home.done("refresh", OTHER)
    assert home.done("token", OTHER) == "rotated\n"
    home.done("lock")
    home.refused("token", OTHER)


@pytest.mark.parametrize("place", ["kv/index", "artifactory/index"])
def test_other_engines_are_read_and_a_lease_is_obeyed(
    home: Home, team: VaultServer, place: str
) -> None:
    home.done("login", OTHER, "-u", "ana", *by_http(home, f"{team.url}v1/{place}"))
    found = home.answer("token", OTHER)
    assert found["token"] == SECRET
    assert found["expires"] is not None


def test_by_vaults_own_program_the_same_and_what_tools_get_is_attenuated(
    home: Home, team: VaultServer
) -> None:
    program = home.path / "bin/vault"
    program.parent.mkdir()
    program.write_text(_VAULT)
    program.chmod(0o755)
    (home.path / ".vault-token").write_text(TOKEN)
    home.environment["PATH"] = f"{program.parent}:{home.environment['PATH']}"
    home.done("login", "pypi", "--from", "vault:secret/pypi#token", VAULT_ADDR=team.url)
    assert home.done("token", "pypi") == f"{PYPI_TOKEN}\n"
    limits = caveats_of(home.done("token", "pypi", "--project", "mine", "--ttl", "10m").strip())
    assert limits is not None
    assert [1, ["mine"]] in [json.loads(each) for each in limits]
    got = home.run(PROGRAMS / "keyring", "get", "https://upload.pypi.org/legacy/", "__token__")
    assert got.stdout.strip() != PYPI_TOKEN
    assert caveats_of(got.stdout.strip())
    path = home.answer("share", "--service", "pypi", "--project", "mine")["socket"]
    shared = home.auth("token", TOKENWARD_SOCK=path).stdout.strip()
    assert [1, ["mine"]] in [json.loads(each) for each in caveats_of(shared) or ()]
    assert files_with(home.path, PYPI_TOKEN.encode()) == []


def test_openbao_has_a_name_of_its_own_and_its_own_variables(home: Home, team: VaultServer) -> None:
    program = home.path / "bin/bao"
    program.parent.mkdir()
    program.write_text(_VAULT)
    program.chmod(0o755)
    (home.path / ".vault-token").write_text(TOKEN)
    home.environment["PATH"] = f"{program.parent}:{home.environment['PATH']}"
    source = ("--from", "bao:secret/index#password")
    home.done("login", OTHER, "-u", "ana", *source, BAO_ADDR=team.url, VAULT_ADDR="https://no/")
    assert home.done("token", OTHER) == f"{SECRET}\n"


@pytest.mark.skipif(sys.platform != "linux", reason="a relay is for Linux")
def test_a_command_behind_a_relay_uses_it_and_never_has_it(team: VaultServer) -> None:
    with SharedIndex() as corp:
        home = corp.home
        home.done("logout", corp.index.url)
        url = f"{team.url}v1/secret/data/index"
        home.done("login", corp.index.url, "-u", "ana", *by_http(home, url))
        script = f"env; {' '.join(CURL)} {corp.page}one/"
        found = home.done("exec", "--index", "corp", "--", "sh", "-c", script)
        assert "one-1.0-py3-none-any.whl" in found
        assert SECRET not in found
        assert corp.index.seen()[-1] == basic(*ACCOUNT)
        assert files_with(home.path, SECRET.encode()) == []


def test_a_token_that_vault_refuses_stores_nothing_and_later_hands_out_nothing(
    home: Home, team: VaultServer
) -> None:
    options = by_http(home, f"{team.url}v1/secret/data/index")
    team.tokens.clear()
    refused = home.refused("login", OTHER, "-u", "ana", *options)
    assert "403" in refused
    assert TOKEN not in refused
    team.tokens.add(TOKEN)
    missing = by_http(home, f"{team.url}v1/secret/data/nothing")
    assert "404" in home.refused("login", OTHER, "-u", "ana", *missing)
    home.done("login", OTHER, "-u", "ana", *options)
    team.tokens.clear()
    home.done("agent", "restart")
    said = home.refused("token", OTHER)
    assert "403" in said
    assert TOKEN not in said
