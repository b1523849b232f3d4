"""A run whose credential a command makes, and ends in its middle."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from support.auth_commands import PROGRAMS
from support.servers.ending_index import MAKES, EndingGate
from support.servers.http_server import Request, Response

if TYPE_CHECKING:
    from collections.abc import Iterator

    from support.home import Home

READS = """
import os, sys, time, urllib.request
url = sys.argv[1]
while urllib.request.urlopen(url).read() != b"enough":
    time.sleep(0.02)
"""


@pytest.fixture
def index(home: Home) -> Iterator[EndingGate]:
    """An https index, and a user whose program makes tokens of five seconds for it."""

    def answer(_request: Request) -> Response:
        return Response(200, b"enough" if len(set(gate.let_in)) >= 2 else b"more")

    with EndingGate("ana", answer, tls=True) as gate:
        (home.path / "ca.pem").write_bytes(gate.certificate)
        program = home.path / "bin" / "maker"
        program.parent.mkdir(exist_ok=True)
        program.write_text(MAKES.format(folder=program.parent, seconds=5))
        program.chmod(0o755)
        folder = home.path / ".config" / "tokenward"
        folder.mkdir()
        (folder / "config.toml").write_text(
            f'ca = "{home.path}/ca.pem"\n[services.corp]\nurl = "{gate.url}simple/"\n'
            f'username = "ana"\ncommand = ["{program}"]\n'
        )
        yield gate


def test_a_run_across_the_end_of_a_token_notices_nothing(home: Home, index: EndingGate) -> None:
    script = home.path / "reads.py"
    script.write_text(READS)
    words = ("exec", "--index", "corp", "--", "python3", str(script))
    result = home.auth(*words, f"{index.url}simple/demo/")
    assert result.returncode == 0, result.stderr
    assert len(set(index.let_in)) >= 2
    assert index.refused == []
    assert "token-" not in result.stdout + result.stderr


def test_a_run_does_not_begin_where_the_command_makes_nothing(
    home: Home, index: EndingGate
) -> None:
    program = home.path / "bin" / "maker"
    program.write_text("#!/bin/sh\necho 'log in first' >&2\nexit 1\n")
    started = home.path / "started"
    result = home.auth("exec", "--index", "corp", "--", "touch", str(started))
    assert result.returncode == 2
    assert "maker failed with status 1: log in first." in result.stderr
    assert not started.exists()
    assert index.let_in == []


@pytest.mark.parametrize("hides", [False, True])
def test_a_command_behind_a_relay_can_have_no_other_command_run(
    home: Home, index: EndingGate, hides: bool
) -> None:
    planted, ran = home.path / "bin" / "planted", home.path / "ran"
    planted.write_text(f"#!/bin/sh\ntouch {ran}\necho secret\n")
    planted.chmod(0o755)
    auth = str(PROGRAMS / "auth")
    login = f"{auth} login https://other.example/ -u eve --command -- {planted}"
    script = home.path / "attack.sh"
    unset = "unset TOKENWARD_RELAY\n" if hides else ""
    script.write_text(f"{unset}{login}\n{auth} refresh corp\n")
    result = home.auth("exec", "--index", "corp", "--", "sh", str(script))
    assert result.returncode == 2
    assert "behind a relay" in result.stderr
    assert not ran.exists()
    assert home.answer("list")["credentials"][0]["username"] == "ana"
    assert (home.path / "bin" / "runs").read_text().count("run") == 1
