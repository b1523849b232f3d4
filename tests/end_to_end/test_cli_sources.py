"""`auth login --from`: the commands by name, with what each program prints; pass itself, with its gpg."""

from __future__ import annotations

import shutil
import subprocess
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, NamedTuple

import pytest

from support.auth_commands import PROGRAMS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from support.home import Home

HOUR = int(time.time()) + 3600
RFC = datetime.fromtimestamp(HOUR, UTC)
GOOGLE = "https://europe-python.pkg.dev/corp/python/"
AMAZON = "https://team-111122223333.d.codeartifact.eu-central-1.amazonaws.com/pypi/main/"
AZURE = "https://pkgs.dev.azure.com/org/_packaging/feed/pypi/"
OTHER = "https://index.example/team/"

GCLOUD = f"""{{
  "credential": {{
    "access_token": "ya29.token",
    "id_token": "eyJhbGciOiJSUzI1NiJ9.e30.c2ln",
    "token_expiry": "{RFC:%Y-%m-%dT%H:%M:%SZ}"
  }}
}}"""
AWS = f"""{{
    "authorizationToken": "codeartifact",
    "expiration": "{RFC:%Y-%m-%dT%H:%M:%S}.123000+00:00"
}}"""
AZ = f"""{{
  "accessToken": "entra",
  "expiresOn": "2026-01-01 02:03:04.000000",
  "expires_on": {HOUR},
  "subscription": "00000000-0000-0000-0000-000000000000",
  "tenant": "00000000-0000-0000-0000-000000000000",
  "tokenType": "Bearer"
}}"""
DEVOPS = "499b84ac-1321-427f-aa17-267ca6975798"


class Source(NamedTuple):
    """One name: what it is for, the arguments that its program gets, and what that prints."""

    name: str
    service: str
    arguments: str
    prints: str
    secret: str
    username: str = ""
    has_end: bool = False


SOURCES = [
    Source(
        "gcloud",
        GOOGLE,
        "config config-helper --format=json(credential)",
        GCLOUD,
        "ya29.token",
        "oauth2accesstoken",
        True,
    ),
    Source(
        "gcloud:work",
        GOOGLE,
        "config config-helper --format=json(credential) --configuration=work",
        GCLOUD,
        "ya29.token",
        "oauth2accesstoken",
        True,
    ),
    Source(
        "aws",
        AMAZON,
        "codeartifact get-authorization-token --domain team --domain-owner 111122223333 --region eu-central-1 --output json",
        AWS,
        "codeartifact",
        "aws",
        True,
    ),
    Source(
        "aws:build",
        AMAZON,
        "codeartifact get-authorization-token --domain team --domain-owner 111122223333 --region eu-central-1 --output json --profile build",
        AWS,
        "codeartifact",
        "aws",
        True,
    ),
    Source(
        "az",
        AZURE,
        f"account get-access-token --resource {DEVOPS} --output json",
        AZ,
        "entra",
        "VssSessionToken",
        True,
    ),
    Source(
        "vault:secret/index#password",
        OTHER,
        "kv get -field=password secret/index",
        "from-vault",
        "from-vault",
    ),
]


def install(home: Home, program: str, arguments: str, prints: str, needs: str = "true") -> None:
    """Give the user a program that prints this for these arguments, and fails for any other."""
    path = home.path / "bin" / program
    path.parent.mkdir(exist_ok=True)
    (path.parent / "prints").write_text(prints)
    path.write_text(
        f'#!/bin/sh\n[ "$*" = "{arguments}" ] || {{ echo "unexpected arguments" >&2; exit 9; }}\n'
        f'{needs} || {{ echo "{program}: you are not signed in" >&2; exit 1; }}\n'
        f"cat '{path.parent}/prints'\n"
    )
    path.chmod(0o755)
    home.environment["PATH"] = f"{path.parent}:{home.environment['PATH']}"


@pytest.mark.parametrize("source", [pytest.param(source, id=source.name) for source in SOURCES])
def test_a_source_by_name_runs_its_program_and_reads_what_that_prints(
    home: Home, source: Source
) -> None:
    program = source.name.partition(":")[0]
    install(home, program, source.arguments, source.prints)
    who = () if source.username else ("-u", "ana")
    said = home.said("login", source.service, "--from", source.name, *who)
    assert f"The command is `{home.path}/bin/{program} " in said
    token = home.answer("token", source.service)
    assert token["token"] == source.secret
    assert token["username"] == (source.username or "ana")
    end = f"{RFC:%Y-%m-%dT%H:%M:%SZ}" if source.has_end else None
    assert token["expires"] == end
    got = home.run(PROGRAMS / "keyring", "get", source.service, token["username"])
    assert got.stdout == f"{source.secret}\n"


def test_settings_of_the_shell_become_arguments(home: Home) -> None:
    install(home, "aws", f"{SOURCES[3].arguments}", AWS)
    home.done("login", AMAZON, "--from", "aws", AWS_PROFILE="build")
    install(home, "vault", "kv get -address=https://vault.example -field=f p", "x")
    home.done(
        "login", OTHER, "-u", "ana", "--from", "vault:p#f", VAULT_ADDR="https://vault.example"
    )
    install(home, "gcloud", SOURCES[1].arguments, GCLOUD)
    home.done("login", GOOGLE, "--from", "gcloud", CLOUDSDK_ACTIVE_CONFIG_NAME="work")


@pytest.mark.parametrize(
    ("name", "arguments", "variable"),
    [
        ("op://Private/PyPI/token", "read --no-newline op://Private/PyPI/token", "OP_SESSION_corp"),
        ("bw:index", "get password index", "BW_SESSION"),
    ],
)
def test_a_source_that_needs_the_session_of_the_shell_is_run_there_alone(
    home: Home, name: str, arguments: str, variable: str
) -> None:
    program = name.partition(":")[0]
    install(home, program, arguments, "secret-item", f'[ -n "${variable}" ]')
    login = ("login", OTHER, "-u", "ana", "--from", name)
    assert f"{program} failed with status 1" in home.refused(*login)
    home.done(*login, **{variable: "the session"})
    assert home.done("token", OTHER) == "secret-item\n"
    home.done("lock")
    home.done("unlock")
    assert f"`auth refresh {OTHER}`" in home.refused("token", OTHER)
    home.done("refresh", OTHER, **{variable: "the session"})
    assert home.done("token", OTHER) == "secret-item\n"


@pytest.fixture
def store(home: Home) -> Iterator[Home]:
    """A user with a password store, by the real pass and gpg."""
    for program in ("pass", "gpg", "gpgconf"):
        if shutil.which(program) is None:
            pytest.skip(f"needs {program}: `./scripts/debian-packages` installs it")
    key = ("--batch", "--passphrase", "", "--quick-gen-key", "ana@index.example", "default")
    try:
        for command in (("gpg", *key, "default", "never"), ("pass", "init", "ana@index.example")):
            done = home.run(*command)
            assert done.returncode == 0, done.stderr
        done = home.run("pass", "insert", "-m", "work/index", stdin="from-pass\nlogin: ana\n")
        assert done.returncode == 0, done.stderr
        yield home
    finally:
        subprocess.run(["gpgconf", "--kill", "all"], env=home.environment, check=False)


def test_the_real_pass_makes_a_credential_of_its_store(store: Home) -> None:
    store.done("login", OTHER, "-u", "ana", "--from", "pass:work/index")
    assert store.done("token", OTHER) == "from-pass\n"
    store.done("lock")
    store.done("unlock")
    assert store.run(PROGRAMS / "keyring", "get", OTHER, "ana").stdout == "from-pass\n"
    store.run("pass", "rm", "-f", "work/index")
    assert "not in the password store" in store.refused("refresh", OTHER)
    assert "pass failed with status 1: Error: work/index is not in the password store." in (
        store.refused("token", OTHER)
    )
