"""config.toml: what it may say, and how a mistake in it is said."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tokenward.errors import CommandError
from tokenward.settings import config_toml
from tokenward_protocol import recipes

if TYPE_CHECKING:
    from pathlib import Path

WHOLE = """
auth-cache-dir = "~/credentials"
keyring-provider = "disabled"

[services.internal]
url = "https://index.example/simple/"
publish-url = "https://index.example/legacy/"
username = "alice"

[services.upload]
publish-url = "https://upload.example/"
"""


def test_a_missing_file_says_nothing(tmp_path: Path) -> None:
    path = str(tmp_path / "config.toml")
    found = config_toml.load_config(path)
    assert (found.file, found.definitions) == (path, ())
    assert found.auth_cache_dir is found.keyring_provider is None


def test_the_file_chooses_how_exec_works_and_what_relays_trust(tmp_path: Path) -> None:
    file = tmp_path / "config.toml"
    file.write_text('exec = "relay"\nca = "/c.pem"\nproxy = "http://p.example:1"\n')
    found = config_toml.load_config(str(file))
    assert (found.exec_way, found.ca, found.proxy) == ("relay", "/c.pem", "http://p.example:1")
    file.write_text('exec = "env"\n')
    assert config_toml.load_config(str(file)).exec_way == "env"


def test_the_file_sets_directory_provider_and_names(tmp_path: Path) -> None:
    file = tmp_path / "config.toml"
    file.write_text(WHOLE)
    found = config_toml.load_config(str(file))
    assert (found.auth_cache_dir, found.keyring_provider) == ("~/credentials", "disabled")
    internal, upload = found.definitions
    assert (internal.name, internal.url, internal.publish_url, internal.username) == (
        "internal",
        "https://index.example/simple/",
        "https://index.example/legacy/",
        "alice",
    )
    assert upload.url == upload.publish_url == "https://upload.example/"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("peers = []", "`peers` in"),
        ("[services.a]\nurl='https://h.example'\ntoken='SECRET'", r"`services\.a\.token` in"),
        ("keyring-provider = 'native'", "`keyring-provider` in"),
        ("keyring-provider = 1", "`keyring-provider` in"),
        ("auth-cache-dir = ''", "`auth-cache-dir` in"),
        ("exec = 'both'", "`exec` in"),
        ("exec = true", "`exec` in"),
        ("services = 'x'", "`services` in"),
        ("[services]\na = 'https://h.example'", r"`services\.a` in"),
        (
            "[services.a]\nusername = 'u'",
            r"`services\.a` in .* has neither `url` nor `publish-url`",
        ),
        ("[services.a]\nurl = 1", r"`services\.a\.url` in"),
        ("[services.pypi]\nurl = 'https://evil.example'", r"`services\.pypi` in"),
        ("[services.TestPyPI]\nurl = 'https://evil.example'", r"`services\.TestPyPI` in"),
        ("[services.'a.b']\nurl = 'https://h.example'", r"`services\.a\.b` in"),
        ("[services.'']\nurl = 'https://h.example'", r"`services\.` in"),
        ("x = SECRET", "not valid TOML \\(line 1\\)"),
        ("a = 1\na = 2 'SECRET'", "not valid TOML \\(line 2\\)"),
    ],
)
def test_a_mistake_names_the_file_and_the_key_and_no_value(
    text: str, said: str, tmp_path: Path
) -> None:
    file = tmp_path / "config.toml"
    file.write_text(text)
    with pytest.raises(CommandError, match=said) as caught:
        config_toml.load_config(str(file))
    assert str(file) in str(caught.value)
    assert "SECRET" not in f"{caught.value} {caught.value.hint}"


def test_a_file_that_is_no_text_is_one_sentence(tmp_path: Path) -> None:
    file = tmp_path / "config.toml"
    file.write_bytes(b"\xff\xfe")
    with pytest.raises(CommandError, match="is not UTF-8 text"):
        config_toml.load_config(str(file))


def test_the_keys_of_a_recipe_are_those_that_the_agent_reads() -> None:
    assert config_toml.OF_A_RECIPE == recipes.KEYS


def test_the_file_leaves_hosts_to_other_keyrings(tmp_path: Path) -> None:
    file = tmp_path / "config.toml"
    file.write_text('leave = ["*.pkg.dev", "pkgs.dev.azure.com"]\n')
    assert config_toml.load_config(str(file)).leave == ("*.pkg.dev", "pkgs.dev.azure.com")
    for wrong in (
        '"*.pkg.dev"',
        '["https://pkg.dev/"]',
        '["*"]',
        '["a*.pkg.dev"]',
        "[1]",
        '["a b.c"]',
    ):
        file.write_text(f"leave = {wrong}\n")
        with pytest.raises(CommandError, match=r"`leave` in .* is not a list of hosts"):
            config_toml.load_config(str(file))
