"""What `auth exec` gives uv changes no lock file of a project that has the index's URL itself.

The lock file that uv makes through `auth exec` is compared byte by byte with the one that it makes
with a credential by the project's own name for the index.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pytest

from support.servers.http_server import Loopback, Request, Response, basic
from support.servers.simple_index import answering, simple_index

if TYPE_CHECKING:
    from collections.abc import Iterator

    from support.home import Home

SECRET = "p w/1%:@"
HEAD = '[project]\nname = "p"\nversion = "1"\nrequires-python = ">=3.11"\ndependencies = '
PINNED = '[tool.uv.sources]\na = { index = "corp" }\n'
UV = {"UV_PYTHON": sys.executable, "UV_NO_CACHE": "1", "UV_HTTP_RETRIES": "0"}


class Indexes(NamedTuple):
    """`corp` has an account, `public` and `other` are open; all three have `shared`."""

    corp: Loopback
    public: Loopback
    other: Loopback


@pytest.fixture
def indexes(home: Home) -> Iterator[Indexes]:
    with (
        simple_index("a==1", "shared==1", account=("alice", SECRET)) as corp,
        simple_index("b==1", "shared==2") as public,
        simple_index("c==1", "shared==3") as other,
    ):
        settings = Path(home.environment["XDG_CONFIG_HOME"]) / "tokenward" / "config.toml"
        settings.parent.mkdir()
        settings.write_text(f'[services.corp]\nurl = "{corp.url}simple/"\n')
        home.log_in("corp", SECRET)
        yield Indexes(corp, public, other)


def table(name: str, it: Loopback, *more: str) -> str:
    return f'[[tool.uv.index]]\nname = "{name}"\nurl = "{it.url}simple/"\n' + "\n".join(more) + "\n"


def projects(at: Indexes) -> dict[str, dict[str, str]]:
    """Return the files of each project."""
    public = table("public", at.public, "default = true")
    corp, other = table("corp", at.corp), table("other", at.other)
    default = table("corp", at.corp, "default = true")
    explicit = table("corp", at.corp, "explicit = true")
    two, three = HEAD + '["a", "b", "shared"]\n', HEAD + '["a", "b", "c", "shared"]\n'
    member = HEAD.replace('"p"', '"m"') + '["a"]\n' + explicit + PINNED
    both = '[tool.uv.sources]\na = { index = "corp" }\nshared = { index = "public" }\n'
    return {
        "first": {"pyproject.toml": two + corp + public},
        "second": {"pyproject.toml": three + other + corp + public},
        "default": {"pyproject.toml": HEAD + '["a", "shared"]\n' + default},
        "default behind another": {
            "pyproject.toml": HEAD + '["a", "c", "shared"]\n' + other + default
        },
        "explicit": {"pyproject.toml": two + explicit + public + PINNED},
        "explicit beside another": {"pyproject.toml": three + other + explicit + public + PINNED},
        "pinned": {"pyproject.toml": two + corp + public + both},
        "uv.toml": {
            "pyproject.toml": two,
            "uv.toml": (corp + public).replace("tool.uv.", ""),
        },
        "workspace member": {
            "pyproject.toml": HEAD + '["m", "b", "shared"]\n' + public + "[tool.uv.workspace]\n"
            'members = ["m"]\n[tool.uv.sources]\nm = { workspace = true }\n',
            "m/pyproject.toml": member,
        },
    }


CASES = [
    "first",
    "second",
    "default",
    "default behind another",
    "explicit",
    "explicit beside another",
    "pinned",
    "uv.toml",
    "workspace member",
]


def lock(home: Home, folder: Path, *command: str, **variables: str) -> str:
    (folder / "uv.lock").unlink(missing_ok=True)
    result = home.run(*command, "uv", "lock", cwd=str(folder), **UV, **variables)
    assert result.returncode == 0, result.stderr
    assert "uv may take packages" not in result.stderr
    return (folder / "uv.lock").read_text()


@pytest.mark.parametrize("case", CASES)
def test_a_lock_file_is_what_it_was(home: Home, indexes: Indexes, case: str) -> None:
    folder = home.path / "project"
    folder.mkdir()
    for name, text in projects(indexes)[case].items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text)
    by_name = {"UV_INDEX_CORP_USERNAME": "alice", "UV_INDEX_CORP_PASSWORD": SECRET}
    before = lock(home, folder, **by_name)
    settings = (folder / "pyproject.toml").read_text()
    assert indexes.corp.url in before
    assert lock(home, folder, "auth", "exec", "--env", "--index", "corp", "--") == before
    assert not [found for it in indexes[1:] for found in it.seen() if found]
    sync = (
        "auth",
        "exec",
        "--env",
        "--index",
        "corp",
        "--",
        "uv",
        "sync",
        "--locked",
        "--no-install-workspace",
    )
    assert home.run(*sync, cwd=str(folder), **UV).returncode == 0
    add = ("auth", "exec", "--env", "--index", "corp", "--", "uv", "add", "--frozen", "shared")
    assert home.run(*add, cwd=str(folder), **UV).returncode == 0
    assert indexes.corp.url not in (folder / "pyproject.toml").read_text().replace(
        settings, ""
    ) or (
        (folder / "pyproject.toml").read_text().count(indexes.corp.url)
        == settings.count(indexes.corp.url)
    )


def test_what_may_resolve_otherwise_is_said(home: Home, indexes: Indexes) -> None:
    folder = home.path / "project"
    folder.mkdir()
    (folder / "pyproject.toml").write_text(projects(indexes)["explicit"]["pyproject.toml"])
    said = "uv may take packages"
    for command in (("uv", "--directory", ".", "lock"), ("sh", "-c", "uv lock")):
        words = ("auth", "exec", "--env", "--index", "corp", "--", *command)
        result = home.run(*words, cwd=str(folder), **UV)
        assert result.returncode == 0, result.stderr
        assert said in result.stderr


def two_accounts(request: Request) -> Response:
    """Answer as two indexes on one host, each with an account of its own; files are open."""
    if request.path.startswith("/one/"):
        return answering(("a==1",), ("ann", "1"))(request)
    if request.path.startswith("/two/"):
        return answering(("b==1",), ("bob", "2"))(request)
    return answering(("a==1", "b==1"))(request)


def test_two_accounts_at_one_host_each_get_their_own(home: Home) -> None:
    """uv keeps credentials by host: beside their URLs they are told apart."""
    folder = home.path / "project"
    folder.mkdir()
    with Loopback(two_accounts) as host:
        one, two = f"{host.url}one/simple/", f"{host.url}two/simple/"
        home.log_in(one, "1", username="ann")
        home.log_in(two, "2", username="bob")
        (folder / "pyproject.toml").write_text(
            f'{HEAD}["a", "b"]\n[[tool.uv.index]]\nname = "one"\nurl = "{one}"\n'
            f'[[tool.uv.index]]\nname = "two"\nurl = "{two}"\ndefault = true\n'
        )
        words = ("auth", "exec", "--env", "--index", one, "--index", two, "--", "uv", "lock")
        result = home.run(*words, cwd=str(folder), **UV)
        assert result.returncode == 0, result.stderr
        asked = {(it.path.split("/")[1], it.authorization) for it in host.requests}
        assert {it for it in asked if it[0] != "files"} == {
            ("one", basic("ann", "1")),
            ("two", basic("bob", "2")),
        }
