"""The shortest route gives the answers of the full one, or steps aside for it.

Every spelling goes through both, as real processes against one real socket.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from support.agents.reference import ReferenceAgent, done, refused
from support.inspection.loaded_modules import HOT as LISTED
from tokenward import hot
from tokenward_protocol import places
from tokenward_protocol.urls import FIXED, PYPI, TESTPYPI

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Unix sockets")

INDEX = "https://index.example/"
TOKEN = b"pypi-" + b"A" * 200
SECRETS = {
    (PYPI, "__token__"): TOKEN,
    (TESTPYPI, "__token__"): b"pypi-" + b"B" * 5000,
    (INDEX, "alice"): "pässwörd ✓".encode(),
    (INDEX, "bob"): b"\xff not text",
    ("http://localhost:8080/", "alice"): b"",
}

HOT = "import sys; from tokenward.__main__ import main; sys.exit(main())"
FULL = "import sys; from tokenward import cli; sys.exit(cli.main(sys.argv[1:]))"
ALONE = """\
import sys
from tokenward import hot
status = hot.run(*sys.argv[2:] or ["pypi"])
print(status, file=sys.stderr)
"""


class Desk:
    """A home with an agent in it, and both routes to it."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.environ = {
            "HOME": str(root),
            "XDG_RUNTIME_DIR": str(root / "run"),
            "XDG_CONFIG_DIRS": str(root / "etc"),
            "PATH": "/usr/bin:/bin",
            "LANG": "C.UTF-8",
            "TOKENWARD_NO_AUTOSTART": "1",
        }
        (root / "run" / "tokenward").mkdir(mode=0o700, parents=True)
        self.socket = root / "run" / "tokenward" / "agent.sock"
        self.directory = str(
            Path(places.data_directory(sys.platform, self.environ, str(root))).resolve()
        )

    def run(self, program: str, *argv: str, **more: str) -> subprocess.CompletedProcess[bytes]:
        return subprocess.run(
            [sys.executable, "-I", "-c", program, *argv],
            env=self.environ | more,
            cwd=self.root,
            capture_output=True,
            check=False,
            stdin=subprocess.DEVNULL,
        )

    def both(self, *argv: str, **more: str) -> subprocess.CompletedProcess[bytes]:
        """Run both routes, which have to do the same, and return what they did."""
        hot, full = (self.run(program, *argv, **more) for program in (HOT, FULL))
        assert (hot.returncode, hot.stdout, hot.stderr) == (
            full.returncode,
            full.stdout,
            full.stderr,
        )
        return hot

    def steps_aside(self, *argv: str, **more: str) -> bool:
        """Tell whether the shortest route leaves this to the full one, having printed nothing."""
        done = self.run(ALONE, *argv, **more)
        aside = done.stderr == b"None\n"
        assert aside or done.stderr == b"0\n", done.stderr
        assert bool(done.stdout) is not aside
        return aside

    def write(self, path: str, text: str) -> None:
        (self.root / path).parent.mkdir(parents=True, exist_ok=True)
        (self.root / path).write_text(text)


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


@pytest.fixture
def reference(desk: Desk) -> Iterator[ReferenceAgent]:
    with ReferenceAgent(desk.socket, desk.directory, SECRETS) as it:
        yield it


@pytest.mark.parametrize(
    "argv",
    [
        ["token"],
        ["token", "pypi"],
        ["token", "testpypi"],
        ["token", "https://pypi.org/simple/"],
        ["token", "UPLOAD.pypi.org"],
        ["token", "index.example"],
        ["token", "https://alice@index.example"],
        ["token", "https://bob@index.example/?x#y"],
        ["token", "http://localhost:8080"],
    ],
    ids=" ".join,
)
@pytest.mark.usefixtures("reference")
def test_both_routes_print_the_same_secret_and_a_newline(desk: Desk, argv: list[str]) -> None:
    found = desk.both(*argv)
    assert found.returncode == 0
    assert found.stdout.removesuffix(b"\n") in SECRETS.values()
    assert not desk.steps_aside(*argv)


@pytest.mark.parametrize(
    "service",
    [
        "",
        " ",
        "PyPI",
        "unknown",
        "localhost",
        "localhost:8080",
        "https://alice:pw@index.example/",
        "http://index.example/",
        "ftp://index.example/",
        "https://nothing.example/",
        "https://carol@index.example/",
        "https://index.example:99999/",
        "https://h\\x/",
        "\udcff",
        "https://index.example/\udcff",
        "x" * 5000,
    ],
)
@pytest.mark.usefixtures("reference")
def test_both_routes_refuse_or_explain_the_same(desk: Desk, service: str) -> None:
    desk.both("token", service)
    assert desk.steps_aside("token", service)


@pytest.mark.parametrize("option", ["-v", "--help", "--format=json", "-u", "--", "-"])
def test_an_option_is_for_the_full_route(monkeypatch: pytest.MonkeyPatch, option: str) -> None:
    from tokenward import __main__, cli

    seen: list[list[str]] = []

    def full(argv: list[str]) -> int:
        seen.append(argv)
        return 0

    monkeypatch.setattr(cli, "main", full)
    monkeypatch.setattr(__main__, "_shortest", pytest.fail)
    monkeypatch.setattr(sys, "argv", ["auth", "token", option])
    assert __main__.main() == 0
    assert seen == [["token", option]]


@pytest.mark.parametrize(
    "name",
    [
        "UV_PUBLISH_TOKEN",
        "UV_PUBLISH_PASSWORD",
        "UV_PUBLISH_URL",
        "UV_INDEX_TOKEN_INTERNAL",
        "UV_INDEX_INTERNAL_PASSWORD",
        "UV_CONFIG_FILE",
        "UV_NO_CONFIG",
    ],
)
@pytest.mark.usefixtures("reference")
def test_a_variable_that_may_have_a_say_takes_the_full_route(desk: Desk, name: str) -> None:
    assert desk.steps_aside("token", **{name: "/dev/null"})
    assert not desk.steps_aside("token", **{name: ""})


@pytest.mark.usefixtures("reference")
def test_a_token_of_the_environment_goes_first(desk: Desk) -> None:
    found = desk.both("token", UV_PUBLISH_TOKEN="pypi-from-the-environment")
    assert found.stdout == b"pypi-from-the-environment\n"


@pytest.mark.parametrize(
    "path", [".config/tokenward/config.toml", ".config/uv/uv.toml", "etc/uv/uv.toml"]
)
@pytest.mark.parametrize(
    "text",
    [
        'auth-cache-dir = "/x"',
        '"auth\\u002dcache-dir" = "/x"',
        '"\\U00000061uth" = 1',
        '"\\x61" = 1',
    ],
)
@pytest.mark.usefixtures("reference")
def test_a_file_that_may_move_the_credentials_takes_the_full_route(
    desk: Desk, path: str, text: str
) -> None:
    desk.write(path, "keyring-provider = 'disabled'\n")
    assert not desk.steps_aside("token")
    desk.write(path, f"{text}\n")
    assert desk.steps_aside("token")


@pytest.mark.usefixtures("reference")
def test_the_named_configuration_file_counts_instead_of_the_usual_one(desk: Desk) -> None:
    desk.write(".config/tokenward/config.toml", "auth-cache-dir = '/x'")
    desk.write("mine.toml", "")
    assert not desk.steps_aside("token", TOKENWARD_CONFIG=str(desk.root / "mine.toml"))
    desk.write("mine.toml", "auth-cache-dir = '/x'")
    assert desk.steps_aside("token", TOKENWARD_CONFIG=str(desk.root / "mine.toml"))


@pytest.mark.usefixtures("reference")
def test_a_trusted_project_takes_the_full_route(desk: Desk) -> None:
    state = Path(places.state_directory(sys.platform, desk.environ, str(desk.root)))
    state.mkdir(parents=True)
    (state / "trusted.json").write_text("{}")
    assert desk.steps_aside("token")


@pytest.mark.usefixtures("reference")
def test_settings_that_are_no_plain_file_take_the_full_route(desk: Desk) -> None:
    (desk.root / ".config/tokenward/config.toml").mkdir(parents=True)
    assert desk.steps_aside("token")


def test_without_an_agent_the_full_route_is_taken(desk: Desk) -> None:
    assert desk.steps_aside("token")
    found = desk.both("token")
    assert (found.returncode, found.stdout) == (2, b"")
    assert b"Traceback" not in found.stderr


@pytest.mark.parametrize("code", ["locked", "ambiguous", "not-found", "other-directory", "busy"])
def test_every_answer_but_the_secret_takes_the_full_route(desk: Desk, code: str) -> None:
    with ReferenceAgent(desk.socket, desk.directory, instead=lambda r: refused(r, code)):
        assert desk.steps_aside("token")


BROKEN: dict[str, Any] = {
    "a hang-up": lambda _: b"",
    "another id": lambda r: done(r | {"id": 9}, b"secret"),
    "two answers": lambda r: done(r, b"secret") * 2,
    "no msgpack": lambda _: b"\x00\x00\x00\x03\x00\x01\xc1",
    "too large": lambda _: b"\xff" * 6,
}


@pytest.mark.parametrize("kind", BROKEN)
def test_a_broken_answer_takes_the_full_route(desk: Desk, kind: str) -> None:
    with ReferenceAgent(desk.socket, desk.directory, instead=BROKEN[kind]):
        assert desk.steps_aside("token")


def test_a_runtime_directory_open_to_others_is_not_used(
    desk: Desk, reference: ReferenceAgent
) -> None:
    desk.socket.parent.chmod(0o755)
    assert desk.steps_aside("token")
    assert reference.connections == 0


@pytest.mark.root("gives a socket away")
def test_a_socket_of_another_user_is_sent_nothing(desk: Desk, reference: ReferenceAgent) -> None:
    os.chown(desk.socket, 4242, 4242)
    assert desk.steps_aside("token")
    assert reference.requests == []


def test_another_directory_has_its_own_agent(desk: Desk, reference: ReferenceAgent) -> None:
    other = str(desk.root / "other")
    path = desk.socket.with_name(f"{places.directory_tag(other)}.sock")
    with ReferenceAgent(path, other, {(PYPI, "__token__"): b"the other"}):
        found = desk.both("token", TOKENWARD_DIR=other)
        assert found.stdout == b"the other\n"
        assert not desk.steps_aside("token", TOKENWARD_DIR=other)
    assert reference.requests == []


def test_the_named_socket_is_asked_without_a_directory(desk: Desk) -> None:
    path = desk.root / "mine"
    with ReferenceAgent(path, "/whatever", SECRETS) as mine:
        assert desk.both("token", TOKENWARD_SOCK=str(path)).stdout == TOKEN + b"\n"
        assert not desk.steps_aside("token", TOKENWARD_SOCK=str(path))
        assert all("dir" not in request for request in mine.requests)


@pytest.mark.usefixtures("reference")
def test_a_closed_standard_output_gets_nothing_and_fails(desk: Desk) -> None:
    for program in (HOT, FULL):
        done = subprocess.run(
            ["sh", "-c", 'exec "$@" >&-', "sh", sys.executable, "-I", "-c", program, "token"],
            env=desk.environ,
            capture_output=True,
            check=False,
        )
        assert done.returncode == 2
        assert TOKEN not in done.stdout + done.stderr


@pytest.mark.usefixtures("reference")
def test_a_full_disk_is_said(desk: Desk) -> None:
    if not os.path.exists("/dev/full"):  # noqa: PTH110
        pytest.skip("no /dev/full")
    with open("/dev/full", "wb") as full:  # noqa: PTH123
        done = subprocess.run(
            [sys.executable, "-I", "-c", HOT, "token"],
            env=desk.environ,
            stdout=full,
            stderr=subprocess.PIPE,
            check=False,
        )
    assert done.returncode == 2
    assert b"No space left" in done.stderr


@pytest.mark.usefixtures("reference")
def test_a_reader_that_has_gone_is_no_accident(desk: Desk) -> None:
    ours, theirs = os.pipe()
    os.close(ours)
    done = subprocess.run(
        [sys.executable, "-I", "-c", HOT, "token"],
        env=desk.environ,
        stdout=theirs,
        stderr=subprocess.PIPE,
        check=False,
    )
    os.close(theirs)
    assert (done.returncode, done.stderr) == (2, b"")


FOR_URLS = {"tokenward_protocol.url_parts", "tokenward_protocol.urls"}
LIGHT = (LISTED - FOR_URLS - {"__future__"}) | {"time", "tokenward.__main__"}


def test_the_two_fixed_names_mean_the_same_on_both_routes() -> None:
    assert hot.FIXED == FIXED


@pytest.mark.parametrize(
    ("service", "allowed"),
    [("pypi", LIGHT), ("https://alice@index.example/", LIGHT | FOR_URLS)],
)
@pytest.mark.usefixtures("reference")
def test_the_shortest_route_loads_nothing_else(desk: Desk, service: str, allowed: set[str]) -> None:
    program = (
        "import json, sys; before = {*sys.modules}; from tokenward.__main__ import _shortest;"
        "status = _shortest(sys.argv[2]); json.dump([*{*sys.modules} - before], sys.stderr); sys.exit(status)"
    )
    found = desk.run(program, "token", service)
    assert found.returncode == 0
    assert set(json.loads(found.stderr)) - {"__future__"} <= allowed
