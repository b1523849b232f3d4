"""docs/CLI.md names each key that `--format json` prints: scripts rely on that page."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from support.servers.http_server import Loopback, Response

if TYPE_CHECKING:
    from support.home import Home

DOCS = Path(__file__).resolve().parents[2] / "docs"
PAGE = (DOCS / "CLI.md").read_text()
SECTIONS = dict(re.findall(r"^## auth ([a-z ]+)\n(.*?)(?=^## )", PAGE, re.MULTILINE | re.DOTALL))
WITHOUT_JSON = {"agent run", "exec", "helper", "passphrase remove"}
OF_MANAGERS = {"agent install", "agent uninstall"}  # they need one: tests of systemd run them
FREE = {"who", "protections"}  # objects whose keys are names


def documented(command: str) -> set[str]:
    """Return the words in backquotes of the paragraphs that begin to speak of JSON."""
    paragraphs = re.split(r"\n\n", SECTIONS[command])
    text = " ".join(part[part.index("JSON") :] for part in paragraphs if "JSON" in part)
    if command == "log":
        text += (DOCS / "AUDIT.md").read_text()
    return set(re.findall(r"`(\w+)`", text))


def keys(value: Any) -> set[str]:
    """Return the keys of an object, and of what it holds."""
    if isinstance(value, list):
        return set().union(*map(keys, value))
    if isinstance(value, dict):
        inner = (keys(it) for name, it in value.items() if name not in FREE)
        return set(value).union(*inner)
    return set()


@pytest.mark.skipif(sys.platform != "linux", reason="some of these commands are for Linux alone")
def test_each_key_that_is_printed_is_documented(home: Home) -> None:
    with Loopback(lambda _: Response(200)) as index:
        seen, missing = printed(home, f"{index.url}simple/")
    assert not missing, missing
    assert seen == set(SECTIONS) - WITHOUT_JSON - OF_MANAGERS


def printed(home: Home, url: str) -> tuple[set[str], dict[tuple[str, ...], list[str]]]:
    """Return the commands that were run, and the keys that they print and the page has not."""
    secret, other, file = "a-secret", "another-secret", str(home.path / "export")
    (home.path / "passphrase").write_text("a long passphrase\n")
    (home.path / "passphrase").chmod(0o600)
    home.environment["TOKENWARD_PASSPHRASE_FILE"] = str(home.path / "passphrase")
    phrase = ("--passphrase-file", str(home.path / "passphrase"))
    (home.path / ".pypirc").write_text(
        f"[distutils]\nindex-servers = corp\n[corp]\nrepository = {url}\nusername = bob\npassword = x\n"
    )
    (home.path / "uv.toml").write_text('keyring-provider = "disabled"\n')
    steps: list[tuple[str, ...]] = [
        ("login", url, "-u", "ana", "--password", secret),
        ("login", url, "-u", "ana", "--password", other),
        ("login", "https://b.example/", "-u", "ana", "--command", "--", "/bin/echo", "made"),
        ("list",),
        ("refresh", "https://b.example/"),
        ("token", url, "-u", "ana"),
        ("token", url, "-u", "ana", "--describe"),
        ("token", url, "-u", "ana", "--check"),
        ("status",),
        ("agent status",),
        ("agent start",),
        ("share", "--service", url, "-u", "ana", "--whole"),
        ("share", "--stop"),
        ("dir",),
        ("import", "pypirc", "--dry-run"),
        ("import", "pypirc"),
        ("export", file, *phrase),
        ("restore", file, *phrase),
        ("passphrase set",),
        ("lock",),
        ("unlock",),
        ("log",),
        ("log", "--verify"),
        ("setup", "hatch"),
        ("trust", "."),
        ("doctor",),
        ("logout", url, "-u", "ana"),
        ("logout", "--all"),
        ("agent restart",),
        ("agent stop",),
    ]
    missing: dict[tuple[str, ...], list[str]] = {}
    for command, *arguments in steps:
        result = home.auth(*command.split(), "--format", "json", *arguments)
        assert result.stdout, (command, arguments, result.stderr)
        if unknown := keys(json.loads(result.stdout)) - documented(command):
            missing[(command, *arguments)] = sorted(unknown)
    return {command for command, *_ in steps}, missing
