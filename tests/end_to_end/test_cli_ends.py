"""An end that a token shows, or that its host is known for, is its expiry from the login on."""

from __future__ import annotations

import base64
import json
import time
from datetime import datetime
from typing import TYPE_CHECKING

import pytest

from support.auth_commands import PROGRAMS
from support.macaroons import IDENTIFIER, token_of

if TYPE_CHECKING:
    from support.home import Home

URL = "https://index.example/team/"
AMAZON = "https://team-111122223333.d.codeartifact.eu-central-1.amazonaws.com/pypi/main/"
GOOGLE = "https://europe-python.pkg.dev/corp/python/"


def jwt(end: int) -> str:
    parts = ({"alg": "RS256", "typ": "JWT"}, {"sub": "ana", "exp": end})
    texts = [json.dumps(each).encode() for each in parts] + [b"signature"]
    return b".".join(base64.urlsafe_b64encode(each).rstrip(b"=") for each in texts).decode()


def seconds_left(home: Home, service: str) -> float:
    """Return how long the one entry of a service lives, as the list says."""
    (entry,) = [each for each in home.answer("list")["credentials"] if each["service"] == service]
    return datetime.fromisoformat(entry["expires"]).timestamp() - time.time()


def test_the_end_of_a_jwt_is_said_listed_and_handed_on(home: Home) -> None:
    end = int(time.time()) + 7000
    said = home.said("login", URL, "-u", "ana", "--password", jwt(end))
    assert "It will be deleted in 1 hour." in said
    assert "in 1 hour" in home.done("list")
    assert 6800 < seconds_left(home, URL) <= 7000
    attributes = "protocol=https\nhost=index.example\npath=team\n"
    (line,) = [
        line
        for line in home.run(
            PROGRAMS / "git-credential-tokenward", "get", stdin=attributes
        ).stdout.splitlines()
        if line.startswith("password_expiry_utc=")
    ]
    assert abs(int(line.partition("=")[2]) - end) <= 2


def test_the_end_of_a_macaroon_is_its_expiry(home: Home) -> None:
    end = int(time.time()) + 7000
    home.done("login", "--token", token_of("pypi.org", IDENTIFIER, f"[0, {end}, 0]"))
    assert 6800 < seconds_left(home, "https://upload.pypi.org/legacy/") <= 7000


@pytest.mark.parametrize(
    ("service", "username", "seconds"),
    [(AMAZON, "aws", 43200), (GOOGLE, "oauth2accesstoken", 3600)],
)
def test_what_a_host_is_known_for_is_said_and_kept(
    home: Home, service: str, username: str, seconds: int
) -> None:
    said = home.said("login", service, "-u", username, "--password", "opaque")
    assert "It will be deleted in" in said
    assert seconds - 200 < seconds_left(home, service) <= seconds
    home.done("login", service, "-u", "_json_key_base64", "--password", "for ever")
    entries = {e["username"]: e["expires"] for e in home.answer("list")["credentials"]}
    assert entries["_json_key_base64"] is None


def test_a_shorter_lifetime_counts_and_a_longer_one_does_not(home: Home) -> None:
    end = int(time.time()) + 7000
    home.done("login", URL, "-u", "ana", "--password", jwt(end), "--lifetime", "10m")
    assert seconds_left(home, URL) <= 600
    home.done("login", URL, "-u", "ana", "--password", jwt(end), "--lifetime", "7d")
    assert seconds_left(home, URL) <= 7000


def test_an_import_takes_the_end_over_and_refuses_what_is_over(home: Home) -> None:
    now = int(time.time())
    (home.path / ".netrc").write_text(
        f"machine index.example login ana password {jwt(now + 7000)}\n"
        f"machine over.example login ana password {jwt(now - 10)}\n"
    )
    (home.path / ".netrc").chmod(0o600)
    told = home.refused("import", "netrc", "--host", "index.example", "--host", "over.example")
    assert "It will be deleted in 1 hour." in told
    assert "expired" in told
    assert 6800 < seconds_left(home, "https://index.example/") <= 7000
    assert len(home.answer("list")["credentials"]) == 1
    refused = home.refused("login", URL, "-u", "ana", "--password", jwt(now - 10))
    assert "The token has expired, according to itself." in refused


def test_what_aws_left_in_pips_settings_is_imported_with_its_end_and_does_not_stay_for_ever(
    home: Home,
) -> None:
    """`aws codeartifact login --tool pip` writes such a line; its tokens live for twelve hours."""
    settings = home.path / ".config" / "pip" / "pip.conf"
    settings.parent.mkdir()
    settings.write_text(
        "[global]\nindex-url = " + AMAZON.replace("https://", "https://aws:opaque@") + "simple/\n"
    )
    settings.chmod(0o600)
    del home.environment["PIP_CONFIG_FILE"]
    told = home.said("import", "pip", "--remove")
    assert "It will be deleted in" in told
    assert 43000 < seconds_left(home, AMAZON) <= 43200
    assert "opaque" not in settings.read_text()
