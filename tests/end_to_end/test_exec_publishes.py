"""`auth exec` before real tools and two real indexes, each with an account of its own."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from support.servers.index_server import IndexServer
from support.tools.wheels import NAME, write_wheel

if TYPE_CHECKING:
    from collections.abc import Iterator

    from support.home import Home

USERS = {"one": "alice", "two": "bob"}


@pytest.fixture
def wheel(tmp_path: Path) -> Path:
    return write_wheel(tmp_path)


@pytest.fixture
def indexes(home: Home) -> Iterator[dict[str, IndexServer]]:
    """Two indexes by name, which uv and the user's own files know; logged in to both."""
    with IndexServer({"alice": "p w/1"}) as one, IndexServer({"bob": "p@ss:2%"}) as two:
        found = {"one": one, "two": two}
        text = "".join(
            f'[services.{name}]\nurl = "{it.simple}"\npublish-url = "{it.url}"\n'
            for name, it in found.items()
        )
        settings = Path(home.environment["XDG_CONFIG_HOME"]) / "tokenward" / "config.toml"
        settings.parent.mkdir(exist_ok=True)
        settings.write_text(text)
        for name, it in found.items():
            user = USERS[name]
            home.log_in(name, it.accounts[user], username=user)
        yield found


@pytest.mark.parametrize(
    "upload",
    [
        ("twine", "upload", "--non-interactive"),
        ("twine", "upload", "--non-interactive", "-r", "two"),  # the URL is exec's all the same
        ("uv", "publish", "--trusted-publishing", "never"),
    ],
    ids=" ".join,
)
@pytest.mark.parametrize(("first", "second"), [("one", "two"), ("two", "one")])
def test_an_upload_goes_to_the_first_index_and_the_second_hears_nothing(
    home: Home,
    indexes: dict[str, IndexServer],
    wheel: Path,
    upload: tuple[str, ...],
    first: str,
    second: str,
) -> None:
    options = ("--index", first, "--index", second)
    result = home.auth("exec", "--env", *options, "--", *upload, str(wheel), UV_PUBLISH_TOKEN="old")
    assert result.returncode == 0, result.stderr
    assert indexes[first].published() == [NAME]
    assert indexes[second].requests() == []


def test_uv_publish_by_name_is_uvs_own_error_and_sends_nothing(
    home: Home, indexes: dict[str, IndexServer], wheel: Path
) -> None:
    named = ("uv", "publish", "--index", "two", str(wheel))
    assert home.auth("exec", "--env", "--index", "one", "--", *named).returncode == 2
    assert [request for it in indexes.values() for request in it.requests()] == []


@pytest.mark.parametrize(("first", "second"), [("one", "two"), ("two", "one")])
def test_pip_installs_from_both(
    home: Home, indexes: dict[str, IndexServer], wheel: Path, first: str, second: str
) -> None:
    (indexes[second].packages / NAME).write_bytes(wheel.read_bytes())
    pip = ("pip", "install", "--no-deps", "--no-cache-dir", "--target", "site", "ward-greeting")
    options = ("--index", first, "--index", second)
    # Without the backend that is installed beside pip here, and without a prompt.
    quiet = {"PIP_KEYRING_PROVIDER": "disabled", "PIP_NO_INPUT": "1"}
    result = home.auth("exec", "--env", *options, "--", *pip, **quiet)
    assert result.returncode == 0, result.stderr
    assert (home.path / "site" / "ward_greeting.py").exists()
    for it in indexes.values():
        assert all(" 401 " not in request and " 403 " not in request for request in it.requests())


def test_uv_installs_from_a_named_index_of_the_project(
    home: Home, indexes: dict[str, IndexServer], wheel: Path
) -> None:
    (indexes["two"].packages / NAME).write_bytes(wheel.read_bytes())
    project = home.path / "project"
    project.mkdir()
    (project / "pyproject.toml").write_text(
        '[project]\nname = "p"\nversion = "1"\nrequires-python = ">=3.11"\n'
        'dependencies = ["ward-greeting"]\n'
        f'[[tool.uv.index]]\nname = "two"\nurl = "{indexes["two"].simple}"\ndefault = true\n'
    )
    sync = ("uv", "sync", "--directory", str(project), "--no-cache", "--no-python-downloads")
    result = home.auth("exec", "--env", "--index", "two", "--index", "one", "--", *sync)
    assert result.returncode == 0, result.stderr
    assert "ward-greeting" in (project / "uv.lock").read_text()
    assert "p%40ss" not in (project / "uv.lock").read_text()
    assert indexes["one"].requests() == []
