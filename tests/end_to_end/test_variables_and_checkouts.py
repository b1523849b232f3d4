"""A checkout's files bind no variable: whatever asks, in whatever project it asks."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from support.auth_commands import PROGRAMS

if TYPE_CHECKING:
    from collections.abc import Callable
    from subprocess import CompletedProcess

    from support.home import Home

MINE = "https://mine.example/"
THEIRS = "https://theirs.example/"
SECRET = "s3cret of mine"
EXPORTED = {
    "UV_INDEX_PRIVATE_USERNAME": "__token__",
    "UV_INDEX_PRIVATE_PASSWORD": SECRET,
    "UV_INDEX_TOKEN_PRIVATE": SECRET,
    "UV_PUBLISH_INDEX": "private",
    "UV_PUBLISH_TOKEN": SECRET,
    "UV_PUBLISH_USERNAME": "__token__",
    "UV_PUBLISH_PASSWORD": SECRET,
}


def git(url: str) -> tuple[tuple[str, ...], str]:
    scheme, _, host = url.rstrip("/").partition("://")
    return ("git-credential-tokenward", "get"), f"protocol={scheme}\nhost={host}\n\n"


def docker(url: str) -> tuple[tuple[str, ...], str]:
    return ("docker-credential-tokenward", "get"), url


def cargo(url: str) -> tuple[tuple[str, ...], str]:
    registry = {"index-url": f"sparse+{url}"}
    request = {"v": 1, "kind": "get", "operation": "read", "registry": registry}
    return ("cargo-credential-tokenward", "--cargo-plugin"), f"{json.dumps(request)}\n"


def bazel(url: str) -> tuple[tuple[str, ...], str]:
    return ("auth", "helper", "--protocol=bazel", "get"), json.dumps({"uri": url})


def token(url: str) -> tuple[tuple[str, ...], str]:
    return ("auth", "token", url), ""


def described(url: str) -> tuple[tuple[str, ...], str]:
    return ("auth", "token", "--describe", "--format", "json", url), ""


def execute(url: str) -> tuple[tuple[str, ...], str]:
    return ("auth", "exec", "--env", "--index", url, "--", "env"), ""


def api(url: str) -> tuple[tuple[str, ...], str]:
    code = f"import tokenward; print(tokenward.get({url!r}))"
    return (sys.executable, "-I", "-c", code), ""


WAYS = [git, docker, cargo, bazel, token, described, execute, api]
every_way = pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)

INDEX = f'name = "private"\nurl = "{THEIRS}"\npublish-url = "{THEIRS}"\n'
CHECKOUTS: dict[str, tuple[dict[str, str], dict[str, str]]] = {
    "pyproject": ({"pyproject.toml": f"[[tool.uv.index]]\n{INDEX}"}, {}),
    "uv.toml": ({"uv.toml": f"[[index]]\n{INDEX}"}, {}),
    "workspace": (
        {
            "pyproject.toml": f'[tool.uv.workspace]\nmembers = ["a"]\n[[tool.uv.index]]\n{INDEX}',
            "a/pyproject.toml": '[project]\nname = "a"\nversion = "1"\n',
        },
        {"cwd": "a"},
    ),
    "a path from here": ({"x.toml": f"[[index]]\n{INDEX}"}, {"UV_CONFIG_FILE": "x.toml"}),
    "a config from here": (
        {"x.toml": f'[services.private]\nurl = "{THEIRS}"\n'},
        {"TOKENWARD_CONFIG": "x.toml"},
    ),
}
every_checkout = pytest.mark.parametrize("checkout", CHECKOUTS)


def configure(home: Home, text: str) -> None:
    settings = Path(home.environment["XDG_CONFIG_HOME"]) / "tokenward" / "config.toml"
    settings.parent.mkdir(exist_ok=True)
    settings.write_text(text)


def ask(
    home: Home, way: Callable[[str], tuple[tuple[str, ...], str]], url: str, checkout: str
) -> CompletedProcess[str]:
    """Ask for `url` in a checkout, with every variable exported that could answer."""
    files, more = CHECKOUTS[checkout]
    folder = home.path / "checkout"
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    (program, *arguments), stdin = way(url)
    variables = {name: value for name, value in more.items() if name != "cwd"}
    cwd = str(folder / more.get("cwd", ""))
    path = program if program.startswith("/") else PROGRAMS / program
    return home.run(path, *arguments, stdin=stdin, cwd=cwd, **EXPORTED, **variables)


@every_way
@every_checkout
def test_a_checkout_binds_no_variable_to_its_url(
    home: Home, way: Callable[[str], tuple[tuple[str, ...], str]], checkout: str
) -> None:
    result = ask(home, way, THEIRS, checkout)
    assert "Traceback" not in result.stderr
    assert SECRET not in result.stdout
    assert "Authorization" not in result.stdout  # in which the helper of Bazel encodes it
    assert "__token__" not in result.stdout


@every_way
def test_a_checkout_takes_no_variable_from_the_users_own_url(
    home: Home, way: Callable[[str], tuple[tuple[str, ...], str]]
) -> None:
    configure(home, f'[services.private]\nurl = "{MINE}"\n')
    result = ask(home, way, MINE, "pyproject")
    assert result.returncode == 0, result.stderr
    assert "__token__" in result.stdout or SECRET in result.stdout or "Basic" in result.stdout


def test_what_binds_no_variable_is_said(home: Home) -> None:
    command = ("token", "-v", THEIRS)
    files, _ = CHECKOUTS["pyproject"]
    (home.path / "pyproject.toml").write_text(files["pyproject.toml"])
    said = home.refused(*command, **EXPORTED)
    for name in ("UV_INDEX_TOKEN_PRIVATE", "UV_INDEX_PRIVATE_PASSWORD"):
        assert f"{name} is not used: no file of yours has exactly one index of that name." in said
    assert "UV_PUBLISH_TOKEN and UV_PUBLISH_PASSWORD are not used: No index is known" in said
    assert SECRET not in said
