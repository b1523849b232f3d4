"""Where things lie, by variable, by setting, by default."""

from __future__ import annotations

import json
import os
import pwd
import subprocess
import sys
from pathlib import Path

import pytest

from tokenward.errors import CommandError
from tokenward.settings import directories


def test_the_defaults_are_those_of_platformdirs(tmp_path: Path) -> None:
    environ = {"HOME": str(tmp_path), "PATH": os.environ["PATH"]}
    program = (
        "import json, platformdirs as p; print(json.dumps([p.user_data_dir('tokenward'),"
        " p.user_state_dir('tokenward'), p.user_config_dir('tokenward')]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], env=environ, capture_output=True, check=True
    )
    data, state, config = json.loads(done.stdout)
    found = directories.locate(environ)
    assert found.credentials == found.ordinary == os.path.realpath(data)
    assert found.state == state
    assert directories.config_file(environ) == f"{config}/config.toml"


def test_tokenward_dir_wins_and_its_links_are_resolved(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    environ = {"HOME": str(tmp_path), "TOKENWARD_DIR": str(tmp_path / "link")}
    found = directories.locate(environ, "/elsewhere", "config.toml")
    assert found.credentials == str((tmp_path / "real").resolve())
    assert found.chosen_by == "TOKENWARD_DIR"


def test_a_relative_directory_becomes_absolute(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    found = directories.locate({"HOME": str(tmp_path), "TOKENWARD_DIR": "creds"})
    assert found.credentials == str(tmp_path.resolve() / "creds")


@pytest.mark.parametrize(
    ("setting", "expected"),
    [
        ("~", "/home/u"),
        ("~/creds", "/home/u/creds"),
        ("/var/creds", "/var/creds"),
        ("creds", "/home/u/.config/tokenward/creds"),
        ("../creds", "/home/u/.config/tokenward/../creds"),
    ],
)
def test_a_setting_is_relative_to_home_or_to_its_file(setting: str, expected: str) -> None:
    file = "/home/u/.config/tokenward/config.toml"
    assert directories.expand(setting, file, "/home/u") == expected


@pytest.mark.parametrize("setting", ["~other/creds", "a\0b"])
def test_a_setting_that_is_no_path_names_its_file(setting: str) -> None:
    with pytest.raises(CommandError, match=r"/etc/uv/uv\.toml"):
        directories.expand(setting, "/etc/uv/uv.toml", "/home/u")


def test_an_empty_variable_is_not_set(tmp_path: Path) -> None:
    environ = {"HOME": str(tmp_path), "TOKENWARD_DIR": "", "TOKENWARD_CONFIG": ""}
    assert directories.locate(environ).chosen_by == ""
    assert directories.config_file(environ).startswith(str(tmp_path))


def test_tokenward_config_names_another_file(tmp_path: Path) -> None:
    environ = {"HOME": str(tmp_path), "TOKENWARD_CONFIG": "/etc/own.toml"}
    assert directories.config_file(environ) == "/etc/own.toml"


def test_without_home_the_systems_word_counts() -> None:
    assert directories.home({}) == pwd.getpwuid(os.geteuid()).pw_dir


def test_each_credentials_directory_has_a_state_folder_of_its_own(tmp_path: Path) -> None:
    one, two = (
        directories.locate({"HOME": str(tmp_path), "TOKENWARD_DIR": f"/creds/{name}"})
        for name in "ab"
    )
    assert one.state_folder != two.state_folder
    assert Path(one.state_folder).parent == Path(two.state_folder).parent == Path(one.state)
