"""No traceback, no warning of Python's and no hang, whatever lies around a command."""

from __future__ import annotations

import socket
import sys
import threading
from typing import TYPE_CHECKING

import pytest

from support.auth_commands import PROGRAMS
from support.terminal import Typist

if TYPE_CHECKING:
    from support.home import Home

URL = "https://index.example/"
ODD = ["5", "true", '"text"', "[]", "[5]", '["a"]', "{}", "[[5]]", "1.5", "2026-01-01", "[{}]"]
KEYS = ["index", "index-url", "extra-index-url", "publish-url", "keyring-provider", "pip"]
KEYS += ["trusted-publishing"]


# Four hundred commands in one process: all of it is what they do, and nothing their start.
EACH_VALUE = """
import pathlib, sys
from tokenward import cli
file, key, *values = sys.argv[1:]
for value in values:
    text = f"{key} = {value}\\n"
    pathlib.Path(file).write_text(text)
    assert cli.main(["setup", "uv"]) in {0, 2}, value
    assert text in pathlib.Path(file).read_text(), value
    for command in (["setup", "--undo"], ["dir"], ["import"], ["login", "a-name", "--token", "x"]):
        assert cli.main(command) in {0, 1, 2}, (command, value)
"""


@pytest.mark.parametrize("key", KEYS)
def test_a_key_of_any_type_in_uvs_settings_is_no_traceback(home: Home, key: str) -> None:
    file = home.path / ".config/uv/uv.toml"
    file.parent.mkdir(parents=True)
    done = home.run(sys.executable, "-I", "-c", EACH_VALUE, file, key, *ODD)
    assert "Traceback" not in done.stderr
    assert done.returncode == 0, done


def test_no_command_leaves_a_socket_open(home: Home) -> None:
    strict = {"PYTHONWARNINGS": "error", "PYTHONDEVMODE": "1"}
    home.done("login", URL, "-u", "alice", "--password", "-", stdin="s3cret\n", **strict)
    for words in (("token", URL, "-u", "alice"), ("list",), ("status",), ("lock",), ("unlock",)):
        done = home.auth(*words, **strict)
        assert done.returncode == 0, done
        assert "Warning" not in done.stderr, done.stderr
    assert "Warning" not in home.auth("logout", "https://none.example", **strict).stderr
    for program, word in (
        ("docker-credential-tokenward", "list"),
        ("git-credential-tokenward", "get"),
    ):
        said = "protocol=https\nhost=index.example\n\n"
        done = home.run(PROGRAMS / program, word, stdin=said, **strict)
        assert done.returncode == 0, done
        assert "Warning" not in done.stderr, done.stderr


@pytest.mark.parametrize(
    "words", [("--color", "never"), ("--color=never",), ("-v", "--color", "never")]
)
def test_a_command_line_that_cannot_be_read_is_told_without_colour(
    home: Home, words: tuple[str, ...]
) -> None:
    for wrong in (("list", "--nothing"), ("nothing",), ("login", "--lifetime", "x")):
        shown = Typist(home, *words, *wrong, NO_COLOR="").leaves(2)
        assert "error: " in shown
        assert "\x1b[" not in shown
    assert "\x1b[" not in Typist(home, *words, NO_COLOR="").leaves(0)
    assert "\x1b[" in Typist(home, "list", "--nothing", NO_COLOR="").leaves(2)


def test_a_host_that_sends_a_byte_now_and_then_holds_no_check_up(home: Home) -> None:
    """It would go on for ever; the test's own limit is what tells that."""
    over = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as server:

        def drip() -> None:
            connection, _ = server.accept()
            with connection:
                connection.recv(65536)
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 10000\r\n\r\n")
                while not over.wait(1):
                    try:
                        connection.sendall(b"x")
                    except OSError:
                        return

        thread = threading.Thread(target=drip)
        thread.start()
        url = f"http://127.0.0.1:{server.getsockname()[1]}/"
        told = home.refused("login", url, "-u", "a", "--password", "-", "--check", stdin="x\n")
        over.set()
        thread.join()
    assert "did not answer in" in told


def test_unlocking_a_vault_that_is_not_there_says_so(home: Home) -> None:
    home.log_in(URL, "s3cret", "--keyring-provider", "disabled")
    home.done("lock")
    told = home.refused("unlock", "--keyring-provider", "keyring")
    assert "There is no keyring vault" in told
    assert "`auth unlock --keyring-provider disabled`" in told
    assert home.vault()["state"] == "locked"
