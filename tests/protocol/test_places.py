"""The places, held to platformdirs, which other programs ask for the same ones."""

from __future__ import annotations

import sys
from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st
from platformdirs.macos import MacOS
from platformdirs.unix import Unix

from tokenward_protocol import places

HOME = "/home/alice"
UNIX = pytest.mark.skipif(sys.platform == "win32", reason="platformdirs joins as the system does")
SETTINGS = st.fixed_dictionaries(
    {},
    optional={
        name: st.sampled_from(["/x", "/x/", "/x//", "/deep/er", "", "relative", "./x", " "])
        for name in ("XDG_DATA_HOME", "XDG_STATE_HOME", "XDG_CONFIG_HOME")
    },
)


def theirs(kind: type[Unix | MacOS], environ: dict[str, str]) -> tuple[str, str, str]:
    with pytest.MonkeyPatch.context() as patch:
        for name in ("XDG_DATA_HOME", "XDG_STATE_HOME", "XDG_CONFIG_HOME"):
            patch.delenv(name, raising=False)
        patch.setenv("HOME", HOME)
        for name, value in environ.items():
            patch.setenv(name, value)
        dirs = kind("tokenward", appauthor=False)
        return dirs.user_data_dir, dirs.user_state_dir, dirs.user_config_dir


def ours(platform: str, environ: dict[str, str]) -> tuple[str, str, str]:
    return (
        places.data_directory(platform, environ, HOME),
        places.state_directory(platform, environ, HOME),
        places.config_directory(platform, environ, HOME),
    )


def slashes(paths: tuple[str, str, str]) -> list[str]:
    """Two slashes in a row are one to the system."""
    return [path.replace("//", "/").replace("//", "/") for path in paths]


@UNIX
@given(SETTINGS)
def test_directories_on_linux_are_platformdirs(environ: dict[str, str]) -> None:
    absolute = {name: value for name, value in environ.items() if value.startswith("/")}
    assert slashes(ours("linux", environ)) == slashes(theirs(Unix, absolute))


@UNIX
@given(SETTINGS)
def test_directories_on_macos_are_platformdirs(environ: dict[str, str]) -> None:
    absolute = {name: value for name, value in environ.items() if value.startswith("/")}
    assert slashes(ours("darwin", environ)) == slashes(theirs(MacOS, absolute))


def test_runtime_directories_on_linux_are_the_sessions_the_users_the_states() -> None:
    environ = {"XDG_RUNTIME_DIR": "/run/user/5/"}
    assert places.runtime_directories("linux", 7, environ, "/s", None) == [
        "/run/user/5/tokenward",
        "/run/user/7/tokenward",
        "/s/run",
    ]


@pytest.mark.parametrize("value", ["", "relative", "tmp/x"])
def test_a_relative_runtime_directory_is_ignored(value: str) -> None:
    found = places.runtime_directories("linux", 7, {"XDG_RUNTIME_DIR": value}, "/s", None)
    assert found == ["/run/user/7/tokenward", "/s/run"]


def test_runtime_directories_on_macos_use_the_users_temporary_one() -> None:
    assert places.runtime_directories("darwin", 7, {}, "/s", "/var/folders/x/T/") == [
        "/var/folders/x/T/tokenward",
        "/s/run",
    ]
    assert places.runtime_directories("darwin", 7, {}, "/s", None) == ["/s/run"]


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=20).map(lambda name: "/" + name))
def test_a_directory_has_a_tag_of_sixteen_digits_of_its_hash(directory: str) -> None:
    tag = places.directory_tag(directory)
    assert tag == sha256(directory.encode()).hexdigest()[:16]
    assert places.socket_name(directory, directory) == "agent.sock"
    assert places.socket_name(directory, directory + "x") == f"{tag}.sock"


def test_a_directory_whose_name_is_not_utf8_has_a_tag_too() -> None:
    assert len(places.directory_tag("/\udcff")) == 16
