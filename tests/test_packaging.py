"""What a user installs: the wheel that is built from this checkout, looked at from outside."""

from __future__ import annotations

import configparser
import subprocess
import sys
import zipfile
from pathlib import Path, PurePosixPath

import pytest

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    folder = tmp_path_factory.mktemp("wheel")
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "wheel", "--quiet"]
    subprocess.run(
        [*pip, "--no-deps", "--no-build-isolation", "--wheel-dir", folder, ROOT],
        check=True,
        stdin=subprocess.DEVNULL,
    )
    (built,) = folder.iterdir()
    return zipfile.ZipFile(built)


def metadata(wheel: zipfile.ZipFile, name: str) -> str:
    (path,) = (n for n in wheel.namelist() if n.endswith(f".dist-info/{name}"))
    return wheel.read(path).decode()


def entry_points(wheel: zipfile.ZipFile) -> configparser.ConfigParser:
    parser = configparser.ConfigParser(delimiters=["="])
    parser.read_string(metadata(wheel, "entry_points.txt"))
    return parser


def test_the_wheel_holds_the_three_packages_and_nothing_else(wheel: zipfile.ZipFile) -> None:
    tops = {PurePosixPath(name).parts[0] for name in wheel.namelist()}
    assert {top for top in tops if not top.endswith(".dist-info")} == {
        "tokenward",
        "tokenward_agent",
        "tokenward_protocol",
    }


def test_the_wheel_holds_every_module_of_the_checkout(wheel: zipfile.ZipFile) -> None:
    here = {
        path.relative_to(ROOT / source).as_posix()
        for source in ("agent", "client", "protocol")
        for path in (ROOT / source).rglob("*.py")
    }
    assert {name for name in wheel.namelist() if name.endswith(".py")} == here


def test_the_wheel_holds_the_units_as_they_are(wheel: zipfile.ZipFile) -> None:
    units = {f"tokenward/services/units/{path.name}": path for path in (ROOT / "systemd").iterdir()}
    found = {name for name in wheel.namelist() if "/units/" in name}
    assert found == set(units)
    assert {name: wheel.read(name) for name in found} == {
        name: path.read_bytes() for name, path in units.items()
    }


def test_each_package_tells_type_checkers_that_it_is_typed(wheel: zipfile.ZipFile) -> None:
    assert {name for name in wheel.namelist() if name.endswith("py.typed")} == {
        "tokenward/py.typed",
        "tokenward_agent/py.typed",
        "tokenward_protocol/py.typed",
    }


def test_the_programs_are_installed(wheel: zipfile.ZipFile) -> None:
    assert dict(entry_points(wheel)["console_scripts"]) == {
        "auth": "tokenward.__main__:main",
        "tokenward": "tokenward.__main__:main",
        "tokenward-agent": "tokenward_agent.__main__:main",
        "git-credential-tokenward": "tokenward.helpers.git:main",
        "docker-credential-tokenward": "tokenward.helpers.docker:main",
        "cargo-credential-tokenward": "tokenward.helpers.cargo:main",
    }


def test_keyring_finds_the_backend_by_its_entry_point(wheel: zipfile.ZipFile) -> None:
    assert dict(entry_points(wheel)["keyring.backends"]) == {
        "tokenward": "tokenward.keyring_backend"
    }


def test_the_licences_come_along(wheel: zipfile.ZipFile) -> None:
    texts = {PurePosixPath(n).name for n in wheel.namelist() if "/licenses/" in n}
    assert texts == {"LICENSE", "LICENSE-APACHE", "LICENSE-MIT"}
    assert "License-Expression: Apache-2.0 OR MIT\n" in metadata(wheel, "METADATA")


def test_nothing_in_the_wheel_runs_when_an_interpreter_starts(wheel: zipfile.ZipFile) -> None:
    assert [name for name in wheel.namelist() if name.endswith(".pth")] == []
