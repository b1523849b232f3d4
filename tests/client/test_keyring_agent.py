"""What the one file says again that the protocol's package says: both have to mean the same."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from socket import AF_UNIX, socket
from time import monotonic
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.agents.reference import made_home, served_here
from tokenward.keyring_program import agent_client
from tokenward.keyring_program.client import RelayError, _without_secrets, is_index
from tokenward.transport import unix
from tokenward_protocol import places
from tokenward_protocol.packing import pack, unpack
from tokenward_protocol.urls import ServiceError, parse_service_url

if TYPE_CHECKING:
    from tokenward_protocol.packing import Value

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Unix sockets")
VECTORS = json.loads((Path(__file__).parents[1] / "vectors/wire-headers.json").read_text())


@pytest.mark.parametrize(
    "vector", [pytest.param(v, id=v["name"]) for v in VECTORS["vectors"] if "code" not in v]
)
def test_every_header_of_the_vectors_is_read_alike(vector: dict[str, Any]) -> None:
    data = bytes.fromhex(vector["bytes"])
    assert agent_client._read(data, 0) == (vector["header"], len(data))


VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.text(),
    lambda inner: st.lists(inner, max_size=20) | st.dictionaries(st.text(), inner, max_size=20),
    max_leaves=20,
)


@given(st.dictionaries(st.text(), VALUES, max_size=20))
def test_whatever_an_agent_writes_is_read_as_it_was_meant(header: dict[str, Value]) -> None:
    data = pack(header)
    assert agent_client._read(data, 0) == (header, len(data))


@given(st.text(max_size=300))
def test_a_text_is_written_so_that_an_agent_reads_it(text: str) -> None:
    written = b"\x81" + agent_client._text("a") + agent_client._text(text)
    assert unpack(written) == {"a": text}


# No percent sign: `parse_service_url` refuses a stray one in a user name, which leaves no doubt about the host.
@given(
    st.text("aB:@/\\?#. \t\n\x00é\uff0f", max_size=12), st.sampled_from(["@h.example/x", "/", ""])
)
def test_no_url_becomes_another_ones_when_its_user_info_is_taken_off(
    before: str, after: str
) -> None:
    url = f"https://{before}{after}"
    try:
        meant = parse_service_url(url).key
    except ServiceError:
        meant = ""
    try:
        asked = parse_service_url(_without_secrets(url, "alice")[0]).key
    except (RelayError, ServiceError):
        asked = ""
    assert asked in {meant, ""}


def test_an_answer_that_is_longer_than_any_frame_is_not_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made_home(tmp_path, monkeypatch)
    with served_here(tmp_path, monkeypatch, {}) as agent:
        agent.instead = lambda _: b"\xff" * 300_000
        with pytest.raises(ValueError, match=r"agent\.sock"):
            agent_client.fetch(str(agent.path), {"spelling": "a", "dir": None}, 60)


def test_a_connect_that_the_kernel_turns_away_is_tried_again_until_its_time_is_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A queue of connects that is full is no absent agent: a hundred threads of a tool fill it."""
    path, pauses = str(tmp_path / "agent.sock"), 0
    with socket(AF_UNIX) as listener, socket(AF_UNIX) as first, socket(AF_UNIX) as second:
        listener.bind(path)
        listener.listen(0)
        first.connect(path)
        with pytest.raises(TimeoutError):
            agent_client._connect(second, path, monotonic() + 0.01)

        def make_room(_: float) -> None:
            nonlocal pauses
            pauses += 1
            if pauses == 3:
                listener.accept()[0].close()

        monkeypatch.setattr(agent_client, "sleep", make_room)
        agent_client._connect(second, path, monotonic() + 60)
    assert pauses == 3


FOLDERS = ["", "relative", "{home}/a", "{home}/b/", "{home}/link"]


@pytest.mark.parametrize("data", FOLDERS)
@pytest.mark.parametrize("state", FOLDERS[:3])
@pytest.mark.parametrize("runtime", ["", "{home}/run", "{home}/none", "{home}/open"])
@pytest.mark.parametrize("chosen", ["", "{home}/link/more", "{home}/a/tokenward"])
def test_the_agent_is_looked_for_where_every_command_looks(
    data: str,
    state: str,
    runtime: str,
    chosen: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made_home(tmp_path, monkeypatch)
    (tmp_path / "link").symlink_to(tmp_path / "a")
    (tmp_path / "open/tokenward").mkdir(parents=True, mode=0o755)
    variables = {
        "XDG_DATA_HOME": data,
        "XDG_STATE_HOME": state,
        "XDG_RUNTIME_DIR": runtime,
        "TOKENWARD_DIR": chosen,
    }
    for name, value in variables.items():
        monkeypatch.setenv(name, value.format(home=tmp_path))
    home = str(tmp_path)
    kept = places.state_directory(sys.platform, os.environ, home)
    ordinary = os.path.realpath(places.data_directory(sys.platform, os.environ, home))
    directory = os.path.realpath(os.environ["TOKENWARD_DIR"] or ordinary)
    folder = unix.runtime_directory(os.environ, kept) or f"{kept}/run"
    socket = f"{folder}/{places.socket_name(directory, ordinary)}"
    assert agent_client.address() == (socket, directory)


@pytest.mark.parametrize(
    ("file", "text"),
    [
        (".config/tokenward/config.toml", 'auth-cache-dir = "/elsewhere"'),
        (".config/uv/uv.toml", '"auth\\u002dcache-dir" = "/elsewhere"'),
        (".local/state/tokenward/trusted.json", "{}"),
    ],
)
def test_where_settings_may_choose_another_directory_nothing_is_said(
    file: str, text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made_home(tmp_path, monkeypatch)
    assert agent_client.address() is not None
    (tmp_path / file).parent.mkdir(parents=True)
    (tmp_path / file).write_text(text)
    assert agent_client.address() is None
    monkeypatch.setenv("TOKENWARD_DIR", "/there")
    assert agent_client.address() is not None


@pytest.mark.parametrize(
    ("service", "mine"),
    [
        ("https://h.example/simple/", True),
        ("HTTP://user@LOCALHOST:8080", True),
        ("http://[::1]:80/x", True),
        ("http://[::1]", True),
        ("http://h.example/", False),
        ("http://localhost.example/", False),
        ("http://localhost@h.example/", False),
        ("ftp://h.example/", False),
        ("h.example", True),
        ("h.example:8080", True),
        ("localhost:8080", True),
        ("[::1]:8080", True),
        ("poetry-repository-ours", True),
        ("pdm-pypi-ours", True),
        ("python-poetry-check", False),
        ("mail", False),
        ("My Application", False),
        ("v1.2 of it", False),
        ("a:b", False),
        (":80", False),
        ("", False),
    ],
)
def test_what_only_an_index_can_be_is_known_from_its_name(service: str, mine: bool) -> None:
    assert is_index(service) is mine


@given(
    st.from_regex(
        r"\Ahttps?://([a-z.@:]{0,9}@)?(localhost|127\.0\.0\.1|\[::1\]|h\.example)(:[0-9]{1,5})?(/[a-z]*)*\Z"
    )
)
def test_every_url_that_a_credential_may_go_to_is_an_indexs(url: str) -> None:
    try:
        parse_service_url(url)
    except ServiceError:
        return
    assert is_index(url)
