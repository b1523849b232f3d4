"""uv's files are found where uv finds them, which uv itself is asked, and read as it reads them."""

from __future__ import annotations

import os
import shutil
import subprocess
import sysconfig
from typing import TYPE_CHECKING

import pytest

from tokenward.errors import CommandError
from tokenward.settings import uv_toml

if TYPE_CHECKING:
    from pathlib import Path

UV = shutil.which("uv", path=sysconfig.get_path("scripts")) or shutil.which("uv")

INDEXES = """
[[index]]
name = "internal"
url = "https://index.example/simple/"
publish-url = "https://index.example/legacy/"

[[index]]
name = "bare"
url = "https://bare.example/simple/"

[[index]]
url = "https://unnamed.example/simple/"
"""


def environment(home: Path, **others: str) -> dict[str, str]:
    """Name a home and system directories without a file of this machine's."""
    return {
        "HOME": str(home),
        "PATH": os.environ["PATH"],
        "XDG_CONFIG_DIRS": str(home / "xdg"),
        **others,
    }


def ours(environ: dict[str, str], cwd: Path) -> str:
    """Return the cache-dir line of the strongest file that we find."""
    for found in (
        uv_toml.project_settings(environ, str(cwd)),
        uv_toml.user_settings(environ, environ["HOME"]),
        uv_toml.system_settings(environ),
    ):
        if found and b"cache-dir" in found.data:
            return found.data.decode().partition('cache-dir = "')[2].partition('"')[0]
    return ""


def of_uv(environ: dict[str, str], cwd: Path) -> str:
    """Ask uv for the setting that we used to mark each file."""
    assert UV, "the test group of pyproject.toml installs uv"
    done = subprocess.run(
        [UV, "cache", "dir"], cwd=cwd, env=environ, capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


def mark(file: Path, name: str, header: str = "") -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(f'{header}\ncache-dir = "/marked/{name}"\n')


UV_TABLE = '[project]\nname = "p"\nversion = "0"\n[tool.uv]'
WORKSPACE = "[tool.uv.workspace]\nmembers = ['packages/*']\nexclude = ['packages/out']\n[tool.uv]"
LAYOUTS = {
    "nothing": [],
    "a system file": [("xdg/uv/uv.toml", "")],
    "user over system": [("xdg/uv/uv.toml", ""), (".config/uv/uv.toml", "")],
    "project over user": [(".config/uv/uv.toml", ""), ("packages/in/uv.toml", "")],
    "a pyproject.toml": [("packages/in/pyproject.toml", UV_TABLE)],
    "uv.toml beside it": [("packages/in/pyproject.toml", UV_TABLE), ("packages/in/uv.toml", "")],
    "the nearest": [("packages/in/pyproject.toml", UV_TABLE), ("uv.toml", "")],
    "further up": [("uv.toml", "")],
    "the workspace": [("packages/in/pyproject.toml", UV_TABLE), ("pyproject.toml", WORKSPACE)],
    "no member": [("packages/out/pyproject.toml", UV_TABLE), ("pyproject.toml", WORKSPACE)],
}


@pytest.mark.parametrize("name", LAYOUTS)
@pytest.mark.parametrize("directory", ["packages/in/src", "packages/out/src"])
def test_uv_finds_the_same_file(name: str, directory: str, tmp_path: Path) -> None:
    cwd = tmp_path / directory
    cwd.mkdir(parents=True)
    for path, header in LAYOUTS[name]:
        mark(tmp_path / path, path, header)
    environ = environment(tmp_path)
    theirs = of_uv(environ, cwd)
    assert ours(environ, cwd) == (theirs if theirs.startswith("/marked") else "")


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("UV_NO_CONFIG", "1"),
        ("UV_NO_CONFIG", "0"),
        ("UV_CONFIG_FILE", "named.toml"),
        ("XDG_CONFIG_HOME", "{home}/elsewhere"),
        ("XDG_CONFIG_HOME", "relative"),
        ("XDG_CONFIG_DIRS", "/nowhere:{home}/second"),
    ],
)
def test_uv_obeys_the_same_variables(
    variable: str, value: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for path in ("named.toml", "elsewhere/uv/uv.toml", ".config/uv/uv.toml"):
        if variable != "XDG_CONFIG_DIRS":
            mark(tmp_path / path, path)
    mark(tmp_path / "second/uv/uv.toml", "second")
    environ = environment(tmp_path) | {variable: value.format(home=tmp_path)}
    monkeypatch.chdir(tmp_path)  # UV_CONFIG_FILE may be relative
    theirs = of_uv(environ, tmp_path)
    assert ours(environ, tmp_path) == (theirs if theirs.startswith("/marked") else "")


def test_seed_indexes_of_today_have_name_url_and_publish_url(tmp_path: Path) -> None:
    (tmp_path / "uv.toml").write_text(INDEXES)
    found = uv_toml.settings_in(str(tmp_path))
    assert found
    assert [(d.name, d.url, d.publish_url) for d in found.definitions] == [
        ("internal", "https://index.example/simple/", "https://index.example/legacy/"),
        ("bare", "https://bare.example/simple/", None),
    ]
    assert found.unnamed == ("https://unnamed.example/simple/",)


def test_seed_project_settings_have_index_extra_indexes_provider_and_directory(
    tmp_path: Path,
) -> None:
    (tmp_path / "pyproject.toml").write_text(
        '[tool.uv]\nindex = "https://a.example"\nextra-index-urls = ["https://b.example"]\n'
        'index-url = "https://c.example"\nextra-index-url = ["https://d.example"]\n'
        'keyring-provider = "keyring"\nauth-cache-dir = "~/creds"\n'
    )
    found = uv_toml.settings_in(str(tmp_path))
    assert found
    assert found.unnamed == (
        "https://a.example",
        "https://c.example",
        "https://d.example",
        "https://b.example",
    )
    assert (found.keyring_provider, found.auth_cache_dir) == ("keyring", "~/creds")
    assert found.file == str(tmp_path / "pyproject.toml")


@pytest.mark.parametrize(
    "text",
    ["index = 1", "index = [1, {}]", "[[index]]\nname = 1\nurl = 2", "keyring-provider = []"],
)
def test_settings_of_another_shape_are_passed_over(text: str, tmp_path: Path) -> None:
    (tmp_path / "uv.toml").write_text(text)
    found = uv_toml.settings_in(str(tmp_path))
    assert found
    assert not found.definitions
    assert found.keyring_provider is None


def test_a_pyproject_without_our_table_is_passed_over(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text("tool = 1")
    assert uv_toml.settings_in(str(tmp_path)) is None


def test_a_broken_file_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "uv.toml").write_text("index = SECRET")
    with pytest.raises(CommandError, match=r"uv\.toml is not valid TOML") as caught:
        uv_toml.project_settings(environment(tmp_path), str(tmp_path))
    assert "SECRET" not in str(caught.value)
