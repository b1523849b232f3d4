"""Where no system keyring can answer is told without the library; in every doubt one may be there."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tokenward_agent.worker.keyring_reach import may_have_keyring

if TYPE_CHECKING:
    from pathlib import Path


def test_without_a_bus_a_screen_or_a_choice_there_is_none(tmp_path: Path) -> None:
    environ = {"HOME": str(tmp_path), "XDG_RUNTIME_DIR": str(tmp_path)}
    assert not may_have_keyring(environ, "linux")


@pytest.mark.parametrize(
    "variable", ["DBUS_SESSION_BUS_ADDRESS", "DISPLAY", "PYTHON_KEYRING_BACKEND"]
)
def test_a_variable_that_leads_to_one_leaves_it_to_the_library(
    variable: str, tmp_path: Path
) -> None:
    assert may_have_keyring({"HOME": str(tmp_path), variable: "x"}, "linux")


@pytest.mark.parametrize(
    ("place", "variables"),
    [
        (".config/python_keyring/keyringrc.cfg", {}),
        ("settings/python_keyring/keyringrc.cfg", {"XDG_CONFIG_HOME": "settings"}),
        ("run/bus", {"XDG_RUNTIME_DIR": "run"}),
    ],
)
def test_a_file_that_leads_to_one_leaves_it_to_the_library(
    place: str, variables: dict[str, str], tmp_path: Path
) -> None:
    environ = {"HOME": str(tmp_path)} | {n: str(tmp_path / v) for n, v in variables.items()}
    assert not may_have_keyring(environ, "linux")
    (tmp_path / place).parent.mkdir(parents=True)
    (tmp_path / place).touch()
    assert may_have_keyring(environ, "linux")


@pytest.mark.parametrize("platform", ["darwin", "win32"])
def test_other_systems_have_one_without_a_bus(platform: str, tmp_path: Path) -> None:
    assert may_have_keyring({"HOME": str(tmp_path)}, platform)
