"""Every tool behind a relay: the index sees the stored credential, and the tool never has it."""

from __future__ import annotations

import platform
import re
import sys
from typing import TYPE_CHECKING

import pytest

from support.auth_commands import PROGRAMS
from support.servers.private_indexes_server import CDN, FORBIDDEN, INDEX, NONE, STORED
from support.systems.private_indexes import HomeInside, PrivateIndexes
from support.systems.real_names import needs_namespaces
from support.terminal import Typist
from support.tools.environments import programs
from support.tools.relaying import WAYS, RelayStage
from support.tools.tool_home import ALICE, SECRET, said
from tokenward.exec.relay_environment import MATURIN_USERNAME

if TYPE_CHECKING:
    from collections.abc import Iterator
    from subprocess import CompletedProcess

    from support.home import Home
    from support.servers.devpi_server import DevpiServer
    from support.tools.relaying import Way

pytestmark = [pytest.mark.tools, needs_namespaces, pytest.mark.xdist_group("private indexes")]

CAPABILITY = "tokenward-run-"


@pytest.fixture(scope="module")
def indexes(devpi: DevpiServer) -> Iterator[PrivateIndexes]:
    """A network in which there are private indexes, and nothing else."""
    with PrivateIndexes(ALICE, SECRET, devpi.socket) as it:
        yield it


@pytest.fixture
def stage(indexes: PrivateIndexes, devpi: DevpiServer) -> Iterator[RelayStage]:
    """A home in there."""
    with HomeInside(indexes) as home:
        yield RelayStage(home, indexes, devpi)


@pytest.mark.parametrize("way", WAYS, ids=[way.title for way in WAYS])
def test_a_tool_works_and_never_holds_the_credential(way: Way, stage: RelayStage) -> None:
    stage.log_in_everywhere()
    result = way.run(stage)
    seen = stage.indexes.seen()
    assert result.returncode == 0, (said(result), seen)
    assert way.done(stage), said(result)
    for method, pattern in way.wants:
        paths = [path for asked, path in stage.asked() if asked == method]
        assert any(re.fullmatch(pattern, path) for path in paths), (pattern, seen)
    assert {it.shown for it in seen if it.host != CDN} == {STORED}
    assert {it.shown for it in seen if it.host == CDN} <= {NONE}
    assert not any(it.leaks for it in seen)
    assert not any(it.status == 401 for it in seen)
    assert SECRET not in said(result)
    assert CAPABILITY not in said(result)
    assert not stage.leaks()
    shown = [it for it in stage.holding(CAPABILITY) if not way.shows or way.shows not in str(it)]
    assert shown == []
    if way.lock:
        assert "127.0.0.1" not in (stage.project / way.lock).read_text()


HOSTS = ["https://[::1]", "https://127.0.0.1", "https://bücher.example", "http://127.0.0.1"]
"""Indexes by an address, by a name outside of ASCII, and at http on this machine."""


@pytest.fixture(params=HOSTS)
def host(request: pytest.FixtureRequest, stage: RelayStage) -> str:
    """One of them, called `ours` and logged in to."""
    url = str(request.param)
    stage.configure(
        f'ca = "{stage.indexes.authority}"\n'
        f'[services.ours]\nurl = "{url}/simple/"\npublish-url = "{url}/"\n'
    )
    stage.log_in(f"{url}/")
    return url


NO_ADDRESS_OF_IPV6 = {"uv publish", "maturin upload", "uv pip install"}
"""Tools that ask for no such host through any proxy: the name that they verify has brackets."""


@pytest.mark.parametrize("title", ["twine upload", "uv publish", "hatch publish", "maturin upload"])
def test_an_index_at_any_kind_of_host_is_published_to(
    title: str, host: str, stage: RelayStage
) -> None:
    if "[" in host and title in NO_ADDRESS_OF_IPV6:
        refused_by_itself(title, stage)
        return
    (way,) = (way for way in WAYS if way.title == title)
    result = way.run(stage)
    assert result.returncode == 0, said(result)
    assert stage.asked() == [("POST", "/")]
    assert {it.shown for it in stage.indexes.seen()} == {STORED}


@pytest.mark.parametrize("title", ["pip install", "uv pip install", "curl"])
def test_an_index_at_any_kind_of_host_is_read(title: str, host: str, stage: RelayStage) -> None:
    if "[" in host and title in NO_ADDRESS_OF_IPV6:
        refused_by_itself(title, stage)
        return
    (way,) = (way for way in WAYS if way.title == title)
    result = way.run(stage) if title != "curl" else fetched(stage, f"{host}/simple/")
    assert result.returncode == 0, said(result)
    assert {it.shown for it in stage.indexes.seen()} == {STORED}


def refused_by_itself(title: str, at: RelayStage) -> None:
    """Hold a tool to what docs/RELAY.md says of it; where it works, that page has to change."""
    (way,) = (way for way in WAYS if way.title == title)
    result = way.run(at)
    assert result.returncode != 0
    assert "invalid" in said(result).lower()
    assert at.indexes.seen() == []


def fetched(at: RelayStage, url: str) -> CompletedProcess[str]:
    """Fetch a page with curl."""
    return at.execute("", "curl", "-sSf", url)


REFUSED = [
    *("twine upload", "uv publish", "poetry publish", "pdm publish", "hatch publish"),
    *("flit publish", "maturin upload", "pip install", "uv pip install", "uv sync"),
    *("poetry lock", "pdm lock", "build with pip", "curl"),
]


@pytest.mark.parametrize("title", REFUSED)
def test_a_tool_whose_credential_the_index_refuses_is_told_why_and_never_prompts(
    title: str, stage: RelayStage
) -> None:
    (way,) = (way for way in WAYS if way.title == title)
    stage.log_in_everywhere("another secret")
    result = way.run(stage)
    assert result.returncode != 0
    assert not way.done(stage)
    assert {it.status for it in stage.indexes.seen()} == {401}
    assert result.stderr.count("tokenward: ours did not accept the stored credential\n") == 1
    assert "another secret" not in said(result)


@pytest.mark.parametrize("title", ["maturin upload", "pip install", "uv publish"])
def test_what_an_index_forbids_is_said_where_the_tool_hides_it(
    title: str, stage: RelayStage
) -> None:
    (way,) = (way for way in WAYS if way.title == title)
    url = f"https://{INDEX}/{FORBIDDEN}/"
    stage.configure(
        f'ca = "{stage.indexes.authority}"\n[services.ours]\nurl = "{url}simple/"\n'
        f'publish-url = "{url}"\n'
    )
    stage.log_in(url)
    result = way.run(stage)
    assert result.returncode != 0
    assert result.stderr.count("tokenward: ours forbids this to the stored credential\n") == 1


def test_pip_on_a_terminal_asks_for_no_user_name(stage: RelayStage) -> None:
    stage.log_in_everywhere("another secret")
    pip = programs("pip") / "pip"
    words = ("exec", "--relay", "--index", "ours", "--", str(pip), "download", "ward-greeting")
    typist = TypistInside(stage.home, stage.indexes.inside, *words)
    shown = typist.leaves(1)
    assert "ours did not accept the stored credential" in shown
    assert "User for" not in shown


class TypistInside(Typist):
    """Somebody at a terminal in the network of the indexes."""

    program = "/usr/bin/nsenter"

    def __init__(self, home: Home, inside: tuple[str, ...], *arguments: str) -> None:
        command = (str(home.path), str(PROGRAMS / "auth"), *arguments)
        super().__init__(home, *inside[1:], *command)


def test_a_run_that_only_reads_publishes_nothing(stage: RelayStage) -> None:
    stage.log_in_everywhere()
    tool = programs("twine") / "twine"
    execute = ("exec", "--relay", "--index", "ours", "--read-only", "--")
    upload = (str(tool), "upload", "--non-interactive", str(stage.wheel))
    result = stage.home.auth(*execute, *upload)
    assert result.returncode == 1
    assert "this run may publish nothing to ours" in " ".join(said(result).split())
    assert stage.indexes.seen() == []


KERNEL_KEYRING = """
import ctypes, subprocess, sys

JOIN, READ, SEARCH, ADD, KEYCTL, SESSION = 1, 11, 10, 248, 250, -3
call = ctypes.CDLL(None, use_errno=True).syscall
OWN = b"keyring-rs:__token__@maturin"
call(KEYCTL, JOIN, None)
held = call(ADD, b"user", OWN, b"real", 4, SESSION)
if held < 0:
    sys.exit("this kernel keeps no keys")
done = subprocess.run(sys.argv[1:], check=False)
answer = ctypes.create_string_buffer(100)
size = call(KEYCTL, READ, held, answer, 100, 0)
print("own:", answer.raw[:size].decode())
for line in open("/proc/keys"):
    if "maturin" in line:
        print("key:", line.split("user", 1)[1].strip())
sys.exit(done.returncode)
"""


@pytest.mark.skipif(platform.machine() != "x86_64", reason="numbers of system calls")
def test_maturin_leaves_what_the_user_keeps_in_the_kernels_keyring(stage: RelayStage) -> None:
    """maturin stores what worked: the capability of a run that is over, by a name of its own."""
    stage.log_in_everywhere()
    maturin = (programs("maturin") / "maturin", "upload", "--non-interactive", str(stage.wheel))
    words = (sys.executable, "-c", KERNEL_KEYRING, *maturin)
    result = stage.execute("", *map(str, words), project="ward-greeting")
    assert result.returncode == 0, said(result)
    assert "own: real\n" in result.stdout
    keys = set(re.findall("key: keyring-rs:(.+)@maturin", result.stdout))
    assert keys == {"__token__", MATURIN_USERNAME}
    assert SECRET not in said(result)
