"""`auth exec` before the real uv in checkouts that give the user's index another URL.

In each of them uv asks the other server, and no request there has the password: what uv is given
stands beside its own URL. `test_exec_lock_files.py` has what uv does with that.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from support.servers.http_server import Loopback
from support.servers.simple_index import DENIED, simple_index
from support.tools.wheels import write_wheel

if TYPE_CHECKING:
    from collections.abc import Iterator
    from subprocess import CompletedProcess

    from support.home import Home

SECRET = "s3cret"
PROJECT = """\
[project]
name = "p"
version = "1"
requires-python = ">=3.11"
dependencies = ["a"]
"""
MEMBER = PROJECT.replace('"p"', '"m"')
SCRIPT = '# /// script\n# dependencies = ["a"]\n{}# ///\n'


@pytest.fixture
def good(home: Home) -> Iterator[Loopback]:
    """The user's own index, `corp`, logged in to; what uv looks for is not there."""
    with simple_index(account=("alice", SECRET)) as it:
        settings = Path(home.environment["XDG_CONFIG_HOME"]) / "tokenward" / "config.toml"
        settings.parent.mkdir(exist_ok=True)
        settings.write_text(f'[services.corp]\nurl = "{it.url}simple/"\n')
        home.log_in("corp", SECRET)
        yield it


@pytest.fixture
def evil() -> Iterator[Loopback]:
    """Another server, which wants to know a password."""
    with Loopback(lambda _: DENIED) as it:
        yield it


def index(url: str, *more: str, table: str = "tool.uv.index") -> str:
    return f'[[{table}]]\nname = "corp"\nurl = "{url}simple/"\n' + "".join(f"{m}\n" for m in more)


def pinned(url: str) -> str:
    return index(url, "explicit = true") + '[tool.uv.sources]\na = { index = "corp" }\n'


def checkouts(url: str) -> dict[str, tuple[dict[str, str], str]]:
    """Return files and a command of each; URL in a command is that of the other server."""
    default = index(url, "default = true")
    project = {"pyproject.toml": PROJECT + default}
    below = {f"sub/{name}": text for name, text in project.items()}
    script = "".join(f"# {line}\n" for line in default.splitlines())
    nothing = 'name = "p"\nversion = "1"\nrequires-python = ">=3.11"\n'
    whole = f"[project]\n{nothing}"
    member = "{ workspace = true }"
    path = '{ path = "m" }'
    return {
        "project": (project, "uv lock"),
        "sync": (project, "uv sync"),
        "tree": (project, "uv tree"),
        "add": (project, "uv add a"),
        "pinned": ({"pyproject.toml": PROJECT + pinned(url)}, "uv lock"),
        "uv.toml beside it": (
            {
                "pyproject.toml": PROJECT,
                "uv.toml": index(url, "default = true", table="index"),
            },
            "uv lock",
        ),
        "workspace member": (
            {
                "pyproject.toml": f'{whole}dependencies = ["m"]\n[tool.uv.workspace]\n'
                f'members = ["m"]\n[tool.uv.sources]\nm = {member}\n',
                "m/pyproject.toml": MEMBER + pinned(url),
            },
            "uv lock",
        ),
        "path dependency": (
            {
                "pyproject.toml": f'{whole}dependencies = ["m"]\n[tool.uv.sources]\nm = {path}\n',
                "m/pyproject.toml": MEMBER + pinned(url),
            },
            "uv lock",
        ),
        "script": ({"s.py": SCRIPT.format(script)}, "uv run s.py"),
        "locked script": ({"s.py": SCRIPT.format(script)}, "uv lock --script s.py"),
        "script in a project": (
            {"pyproject.toml": whole, "s.py": SCRIPT.format(script)},
            "uv run --script s.py",
        ),
        "--index": ({}, "uv pip install --target t --index corp=URLsimple/ a"),
        "--index of run": ({"pyproject.toml": PROJECT}, "uv run --index corp=URLsimple/ true"),
        "--default-index": (
            {"pyproject.toml": PROJECT},
            "uv lock --default-index corp=URLsimple/",
        ),
        "uvx": ({}, "uvx --default-index corp=URLsimple/ a"),
        "--directory": (below, "uv --directory sub lock"),
        "--project": (below, "uv lock --project sub"),
        "UV_PROJECT": (below, "env UV_PROJECT=sub uv lock"),
        "UV_WORKING_DIR": (below, "env UV_WORKING_DIR=sub uv lock"),
        "cd": (below, "sh -c cd${IFS}sub&&uv${IFS}lock"),
        "--config-file": (
            {"pyproject.toml": PROJECT, "x": index(url, "default = true", table="index")},
            "uv lock --config-file x",
        ),
        "large": ({"pyproject.toml": f"{PROJECT}{default}#{'x' * 1024 * 1024}\n"}, "uv lock"),
        "another TOML": (
            {"pyproject.toml": f'{PROJECT}{default}[tool.x]\ny = {{ a = 1,\n b = "\\e" }}\n'},
            "uv lock",
        ),
        "found links": (
            {"pyproject.toml": f'{PROJECT}{default}[tool.uv]\nfind-links = ["{url}simple/"]\n'},
            "uv lock",
        ),
        "direct": (
            {"pyproject.toml": PROJECT.replace('"a"', f'"a @ {url}a-1-py3-none-any.whl"')},
            "uv lock",
        ),
    }


CASES = list(checkouts(""))


def execute(home: Home, checkout: Path, command: str, service: str) -> CompletedProcess[str]:
    variables = {
        "UV_PYTHON": sys.executable,
        "UV_NO_CACHE": "1",
        "UV_NO_PYTHON_DOWNLOADS": "1",
        "UV_HTTP_RETRIES": "0",
    }
    words = ("auth", "exec", "--env", "--index", service, "--", *command.split(" "))
    return home.run(*words, cwd=str(checkout), **variables)


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("index_is_used", [False, True])
def test_no_other_server_gets_the_password(
    home: Home, good: Loopback, evil: Loopback, case: str, *, index_is_used: bool
) -> None:
    """`index_is_used`: the user's own settings have uv use the index, so that it is given to uv."""
    files, command = checkouts(evil.url)[case]
    if index_is_used:
        settings = Path(home.environment["XDG_CONFIG_HOME"]) / "uv" / "uv.toml"
        settings.parent.mkdir()
        settings.write_text(f'[[index]]\nname = "mine"\nurl = "{good.url}simple/"\n')
    checkout = home.path / "checkout"
    checkout.mkdir()
    for name, text in files.items():
        (checkout / name).parent.mkdir(exist_ok=True)
        (checkout / name).write_text(text)
    command = command.replace("URL", evil.url)
    result = execute(home, checkout, command, "corp")
    if "corp is one index in" in result.stderr:  # seen and refused; so by the URL, which is not
        assert evil.requests == []
        result = execute(home, checkout, command, f"{good.url}simple/")
    assert "Traceback" not in result.stderr
    assert SECRET not in result.stdout + result.stderr
    unread = "Nothing is set for uv" in result.stderr  # then it asks the good one, and stops there
    assert evil.requests or unread, result.stderr
    assert set(evil.seen()) <= {None}
    assert not [file for file in checkout.rglob("*") if file.is_file() and holds(file)]


def holds(file: Path) -> bool:
    return SECRET.encode() in file.read_bytes()


@pytest.mark.parametrize("key", ["publish-url", "check-url"])
def test_an_upload_goes_nowhere_else_whatever_a_project_says(
    home: Home, good: Loopback, evil: Loopback, key: str
) -> None:
    text = f'{PROJECT}[tool.uv]\n{key} = "{evil.url}simple/"\n'
    (home.path / "pyproject.toml").write_text(text)
    wheel = write_wheel(home.path)
    result = execute(home, home.path, f"uv publish --trusted-publishing never {wheel}", "corp")
    assert "uv may take packages" not in result.stderr
    assert set(evil.seen()) <= {None}
    assert [r.authorization for r in good.requests if r.method == "POST"] != [None]


def proxies(url: str, good: str) -> dict[str, tuple[dict[str, str], str]]:
    """Return files and a command of each checkout that has uv use another server as its proxy."""
    proxy = f'http-proxy = "{url}"\n'
    tool = f"{PROJECT}[tool.uv]\n{proxy}"
    hidden = f'{PROJECT}[tool.uv]\n"http\\u002dproxy" = "{url}"\n'
    default = f'[[tool.uv.index]]\nname = "q"\nurl = "{good}simple/"\ndefault = true\n'
    script = "".join(f"# {line}\n" for line in f"[tool.uv]\n{proxy}{default}".splitlines())
    publish = "uv publish --trusted-publishing never WHEEL"
    return {
        "project": ({"pyproject.toml": tool}, publish),
        "escape": ({"pyproject.toml": hidden}, publish),
        "uv.toml": ({"pyproject.toml": PROJECT, "uv.toml": proxy}, publish),
        "--directory": ({"sub/pyproject.toml": tool}, f"uv --directory sub {publish[3:]}"),
        "UV_PROJECT": ({"sub/pyproject.toml": tool}, f"env UV_PROJECT=sub {publish}"),
        "cd": ({"sub/pyproject.toml": tool}, "sh -c " + f"cd sub && {publish}".replace(" ", "\t")),
        "--config-file": ({"x": proxy}, f"{publish} --config-file x"),
        "large": ({"pyproject.toml": f"{tool}#{'x' * 1024 * 1024}\n"}, publish),
        "lock": ({"pyproject.toml": tool + default}, "uv lock"),
        "script": ({"s.py": SCRIPT.format(script)}, "uv lock --script s.py"),
        "make": ({"uv.toml": proxy, "Makefile": f"up:\n\t{publish}\n"}, "make up"),
    }


FILES = {
    "proxy": "A=1\nexport http_proxy = URL\n",
    "all": "ALL_PROXY='URL'\n",
    "quoted": '"HTTP_PROXY"=URL\n',
    "index of the tool's own": "TWINE_CERT=x\nTWINE_PROXY=URL\n",
    "uv's index": "UV_INDEX=corp=URLsimple/\n",
    "pip's proxy": "PIP_PROXY=URL\n",
    "not there": None,
    "not text": "\0\nHTTP_PROXY=URL",
}


@pytest.mark.parametrize("text", FILES.values(), ids=FILES)
@pytest.mark.parametrize(
    "command",
    [
        "uv run --no-project --env-file e RUN",
        "uv run --no-project --env-file=e RUN",
        "env UV_ENV_FILE=e uv run --no-project RUN",
        "sh -c uv\trun\t--no-project\t--env-file\te\tRUN",
        "uv --directory . run --no-project --env-file e RUN",
    ],
)
def test_no_file_of_variables_takes_the_password_elsewhere(
    home: Home, good: Loopback, evil: Loopback, command: str, text: str | None
) -> None:
    if text is not None:
        (home.path / "e").write_text(text.replace("URL", evil.url))
    run = f"twine upload --non-interactive {write_wheel(home.path)}"
    run = run.replace(" ", "\t") if "\t" in command else run
    result = execute(home, home.path, command.replace("RUN", run), "corp")
    assert evil.requests == good.requests == []
    assert "so nothing was started" in result.stderr


def test_a_file_of_other_variables_is_let_through(home: Home, good: Loopback) -> None:
    (home.path / "e").write_text(
        "# my proxy is none\n#HTTP_PROXY=x\nDATABASE_URL=postgres://x/\nDEBUG=1\n"
    )
    run = f"twine upload --non-interactive {write_wheel(home.path)}"
    execute(home, home.path, f"uv run --no-project --env-file e {run}", "corp")
    assert [r.authorization for r in good.requests if r.method == "POST"] != []


@pytest.mark.parametrize("case", list(proxies("", "")))
def test_no_proxy_of_a_checkouts_choice_gets_the_password(
    home: Home, good: Loopback, evil: Loopback, case: str
) -> None:
    wheel = str(write_wheel(home.path))
    files, command = proxies(evil.url, good.url)[case]
    checkout = home.path / "checkout"
    for name, text in files.items():
        (checkout / name).parent.mkdir(parents=True, exist_ok=True)
        (checkout / name).write_text(text.replace("WHEEL", wheel))
    result = execute(home, checkout, command.replace("WHEEL", wheel), "corp")
    assert set(evil.seen()) <= {None}, result
    assert good.requests == []
    assert "Traceback" not in result.stderr
    if command.startswith("uv"):
        assert "Nothing is set for uv" in result.stderr
