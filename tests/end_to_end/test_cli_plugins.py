"""`auth login --adopt` with a plug-in of keyring, where there is no system keyring.

The plug-in is a real backend of the library, configured as users configure one: it makes a token of
the variables that it has, and needs the user where it is told to. Real plug-ins:
tests/tools/test_plugins.py.
"""

from __future__ import annotations

import base64
import json
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from support.auth_commands import PROGRAMS
from support.terminal import Typist

if TYPE_CHECKING:
    from pathlib import Path

    from support.home import Home

KEYRING = PROGRAMS / "keyring"
OURS = {"PYTHON_KEYRING_BACKEND": "tokenward.keyring_backend.Keyring"}
"""The library's own program, asking us first as after `auth setup keyring`."""

URL = "https://index.example/team/"
PLUGIN = """
import os, sys, time, keyring.backend, keyring.credentials
from pathlib import Path
HERE = Path(__file__).parent
class Cloud(keyring.backend.KeyringBackend):
    priority = 9
    def get_password(self, service, username):
        if "index.example" not in service:
            return None
        with (HERE / "asked").open("a") as file:
            file.write("asked\\n")
        if (HERE / "needs-the-user").exists():
            sys.stderr.write("To sign in, open https://login.example/device and enter the code ABCD.\\n")
            if os.environ.get("ARTIFACTS_KEYRING_NONINTERACTIVE_MODE"):
                raise RuntimeError
            while not (HERE / "entered").exists():
                time.sleep(0.05)
        if (HERE / "token").exists():
            return (HERE / "token").read_text()
        return "of-" + os.environ.get("AWS_PROFILE", "nobody")
    def get_credential(self, service, username):
        found = self.get_password(service, username)
        return found and keyring.credentials.SimpleCredential("cloud", found)
    def set_password(self, service, username, password):
        raise NotImplementedError
    def delete_password(self, service, username):
        raise NotImplementedError
"""


@pytest.fixture
def plugin(home: Home) -> Path:
    """The plug-in's folder."""
    folder = home.path / "plugin"
    folder.mkdir()
    (folder / "some_cloud.py").write_text(PLUGIN)
    config = home.path / ".config" / "python_keyring" / "keyringrc.cfg"
    config.parent.mkdir()
    config.write_text(f"[backend]\ndefault-keyring=some_cloud.Cloud\nkeyring-path={folder}\n")
    (home.path / ".config" / "tokenward").mkdir()
    settings = home.path / ".config" / "tokenward" / "config.toml"
    settings.write_text('keyring-provider = "disabled"\n')
    home.log_in("https://other.example/", "the vault is there")
    return folder


def test_a_plugin_is_adopted_into_the_file_vault_with_the_variables_of_the_shell(
    home: Home, plugin: Path
) -> None:
    told = home.said("login", URL, "-u", "cloud", "--adopt", AWS_PROFILE="work", AWS_REGION="eu")
    assert "get these as they are now: AWS_PROFILE, AWS_REGION." in told
    assert f"Adopted the password of cloud for {URL} in the file vault." in told
    assert home.done("token", URL) == "of-work\n"
    assert (plugin / "asked").read_text() == "asked\n", "what the login read was kept"
    home.done("agent", "restart")
    assert home.done("token", URL) == "of-work\n"
    assert home.run(KEYRING, "get", URL, "cloud", **OURS).stdout == "of-work\n"
    assert (plugin / "asked").read_text() == "asked\n" * 2
    assert home.run(KEYRING, "del", URL, "cloud", **OURS).returncode == 0
    assert home.done("token", URL) == "of-work\n", "an index refused it: the entry stays"
    assert (plugin / "asked").read_text() == "asked\n" * 3
    entry, _ = home.answer("list")["credentials"]
    assert (entry["adopted"], entry["provider"]) == (True, "disabled")


def test_what_a_plugin_says_reaches_the_user_and_a_device_code_is_entered_at_the_terminal(
    home: Home, plugin: Path
) -> None:
    (plugin / "needs-the-user").touch()
    adopt = ("login", URL, "-u", "cloud", "--adopt")
    told = home.refused(*adopt)
    assert "some_cloud.Cloud failed with RuntimeError: To sign in, open https://login" in told
    assert "and enter the code ABCD.\n" in told
    assert "hint: `auth login` with `--adopt --attended` asks it at your terminal" in told
    assert len(home.answer("list")["credentials"]) == 1

    typist = Typist(home, *adopt, "--attended", AWS_PROFILE="work")
    typist.sees("open https://login.example/device and enter the code ABCD")
    (plugin / "entered").touch()
    typist.sees("The keyring was asked for the password of cloud for")
    assert "hint: next: `" in typist.leaves(0)
    assert home.done("token", URL) == "of-work\n", "it was kept"

    home.done("agent", "restart")
    told = home.refused("token", URL)
    assert "enter the code ABCD.\n" in told
    assert f"hint: `auth refresh {URL}` asks it at your terminal" in told
    tool = home.run(KEYRING, "get", URL, "cloud", **OURS)
    assert "and enter the code ABCD. (`auth refresh" in tool.stderr, "a tool is told, too"
    assert "asked it" not in home.said("refresh", URL, AWS_PROFILE="other")
    assert home.done("token", URL) == "of-other\n"


def test_the_end_that_a_token_shows_is_said_and_listed(home: Home, plugin: Path) -> None:
    end = int(time.time()) + 3600
    claims = base64.urlsafe_b64encode(json.dumps({"exp": end}).encode()).decode().rstrip("=")
    (plugin / "token").write_text(f"eyJhbGciOiJub25lIn0.{claims}.x")
    told = home.said("login", URL, "-u", "cloud", "--adopt")
    assert "The token that its keyring has now ends in" in told
    entry = next(each for each in home.answer("list")["credentials"] if each["adopted"])
    assert entry["expires"] == datetime.fromtimestamp(end, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def test_a_share_is_answered_from_what_is_kept_and_hears_nothing_of_a_plugin(
    home: Home, plugin: Path
) -> None:
    home.done("login", URL, "-u", "cloud", "--adopt", AWS_PROFILE="work")
    path = home.answer("share", "--service", URL, "--whole")["socket"]
    assert home.done("token", URL, TOKENWARD_SOCK=path) == "of-work\n"
    assert home.run(KEYRING, "del", URL, "cloud", **OURS).returncode == 0
    (plugin / "needs-the-user").touch()
    told = home.refused("token", URL, TOKENWARD_SOCK=path)
    assert "The keyring of the shared credential failed." in told
    assert "ABCD" not in told
    assert "No command" not in home.refused("refresh", URL, TOKENWARD_SOCK=path)
