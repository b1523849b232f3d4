"""`run-in` and `environment` of a recipe in config.toml: who runs a command, by which variables.

The command is a real program: what it makes names the AWS profile that it was run with, and it
counts its runs.
"""

from __future__ import annotations

import socket
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from support.auth_commands import PROGRAMS
from tokenward_protocol.frames import PREFIX, make_frame, read_sizes
from tokenward_protocol.packing import pack, unpack

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from support.home import Home
    from tokenward_protocol.packing import Value

KEYRING = PROGRAMS / "keyring"
OURS = {"PYTHON_KEYRING_BACKEND": "tokenward.keyring_backend.Keyring"}
URL = "https://index.example/team/"
MAKER = """\
#!/bin/sh
echo "${{AWS_PROFILE:-no}}" >> '{folder}/runs'
[ -z "$CLOUDSDK_PYTHON" ] || exit 7
[ ! -e '{folder}/signed-out' ] || {{ echo 'maker: you are not signed in' >&2; exit 3; }}
echo "{printed}"
"""
PRINTED = "of-${AWS_PROFILE:-no}-${CLOUDSDK_CORE_ACCOUNT:-none}"


class Shell:
    """A user with the program, and config.toml with its recipe."""

    def __init__(self, home: Home) -> None:
        self.home = home
        self.folder = home.path / "bin"
        self.folder.mkdir()
        self.program = self.folder / "maker"
        self.program.write_text(MAKER.format(folder=self.folder, printed=PRINTED))
        self.program.chmod(0o755)
        self.config = home.path / ".config" / "tokenward" / "config.toml"
        self.config.parent.mkdir()

    def configure(self, more: str, *arguments: str) -> None:
        """Write the recipe."""
        command = [str(self.program), *arguments]
        self.config.write_text(
            'keyring-provider = "disabled"\n[services.corp]\n'
            f'url = "{URL}"\nusername = "ana"\ncommand = {command}\n{more}\n'
        )

    @property
    def profiles(self) -> list[str]:
        """The profile of each run."""
        path = self.folder / "runs"
        return path.read_text().splitlines() if path.exists() else []

    @property
    def runs(self) -> int:
        return len(self.profiles)

    def tool(self, *words: str, **variables: str) -> str:
        """Return what `keyring get` prints to a tool that asks so often, one process each time."""
        get = f"{KEYRING} get {URL} ana"
        done = self.home.run("sh", "-c", "; ".join([get, *words, "true"]), **OURS, **variables)
        return done.stdout + done.stderr


@pytest.fixture
def shell(home: Home) -> Shell:
    return Shell(home)


def test_a_command_that_is_left_to_what_asks_has_its_variables_and_answers_it_alone(
    shell: Shell,
) -> None:
    shell.configure('run-in = "asker"')
    home = shell.home
    assert home.done("token", "corp", AWS_PROFILE="home") == "of-home-none\n"
    assert home.done("token", "corp", AWS_PROFILE="work") == "of-work-none\n"
    again = f"{KEYRING} get {URL} ana"
    shell.folder.joinpath("runs").unlink()
    assert shell.tool(again, AWS_PROFILE="tool") == "of-tool-none\n" * 2
    assert shell.runs == 1, "what the tool's first request made is kept for it"
    home.done("agent", "stop")
    assert shell.tool(AWS_PROFILE="other") == "of-other-none\n", "it started the agent"
    backend = f"import keyring; print([keyring.get_password('{URL}', 'ana') for _ in '12'])"
    done = home.run(PROGRAMS / "python", "-c", backend, **OURS, AWS_PROFILE="lib")
    assert done.stdout == "['of-lib-none', 'of-lib-none']\n", done.stderr
    assert shell.runs == 3

    told = home.said("refresh", "corp")
    assert "each tool that needs the password of ana" in told
    assert shell.runs == 3
    told = home.said("login", "corp", AWS_PROFILE="work")
    assert "each tool that needs it runs it by itself" in told
    (entry,) = home.answer("list")["credentials"]
    assert (entry["command"], entry["until"]) == ("maker", None)


def test_for_a_share_and_a_relay_the_agent_runs_what_is_left_to_what_asks_elsewhere(
    shell: Shell,
) -> None:
    shell.configure('run-in = "asker"')
    home = shell.home
    path = home.answer("share", "--service", URL, "--whole", AWS_PROFILE="mine")["socket"]
    shared = {"TOKENWARD_SOCK": path, "AWS_PROFILE": "theirs"}
    assert home.done("token", URL, **shared) == "of-no-none\n"
    assert home.done("token", URL, AWS_PROFILE="mine") == "of-mine-none\n"
    assert home.done("token", URL, **shared) == "of-no-none\n"
    assert "hands out one credential" in home.refused("refresh", URL, **shared)
    home.done("agent", "restart")
    home.done("exec", "--index", URL, "--", "true", AWS_PROFILE="mine")
    assert shell.profiles[-1] == "no"
    (shell.folder / "signed-out").touch()
    home.done("agent", "restart")
    told = home.refused("exec", "--index", URL, "--", "true", AWS_PROFILE="mine")
    assert "maker failed with status 3: maker: you are not signed in" in told
    assert "hint: tools run it by themselves, but for a share or a relay the agent does" in told
    lines = home.answer("log")["lines"]
    assert not [line for line in lines if line.get("code") == "asker"]


def test_a_command_that_fails_where_it_asks_is_named_and_no_other_keyring_answers(
    shell: Shell,
) -> None:
    shell.configure('run-in = "asker"')
    (shell.folder / "signed-out").touch()
    told = shell.home.refused("token", "corp")
    assert "maker: you are not signed in" in told, "its own words are there"
    assert "maker failed with status 3." in told
    assert "tokenward: maker failed with status 3." in shell.tool()
    (shell.folder / "signed-out").unlink()
    runs = shell.runs
    shell.program.chmod(0o777)
    told = shell.home.refused("token", "corp")
    assert "can be changed by others" in told
    assert "can be changed by others" in shell.tool()
    assert shell.runs == runs


@contextmanager
def agent_of_another_host(path: Path, program: Path) -> Iterator[None]:
    """An agent at the end of a forwarded socket, which names a program of its own choice."""
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(path))
    listener.listen()
    named: dict[str, Value] = {
        "service": URL,
        "username": "ana",
        "command": [str(program)],
        "format": "auto",
    }
    left: dict[str, Value] = {
        "ok": False,
        "code": "asker",
        "message": "Run it.",
        "hint": "",
        "timeout": 9,
        **named,
    }
    greeting: dict[str, Value] = {
        "ok": True,
        "version": "0",
        "directory": "",
        "pid": 1,
        "replaceable": False,
    }
    answers = {"fetch": left, "hello": greeting}
    answers["refresh"] = {"ok": True, "adopted": False, "run_in": "agent", **named}

    def serve(connection: socket.socket) -> None:
        with connection, connection.makefile("rb") as stream:
            while start := stream.read(PREFIX):
                whole, header = read_sizes(start)
                request = unpack(memoryview(stream.read(whole - PREFIX))[:header])
                answer = {"id": request["id"], **answers[str(request["op"])]}
                connection.sendall(make_frame(pack(answer), b""))

    def accept() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=serve, args=(connection,), daemon=True).start()

    thread = threading.Thread(target=accept, daemon=True)
    thread.start()
    try:
        yield
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join()


def test_an_agent_at_a_forwarded_socket_cannot_have_a_client_run_a_program(shell: Shell) -> None:
    path = shell.home.path / "forwarded.sock"
    with agent_of_another_host(path, shell.program):
        at = {"TOKENWARD_SOCK": str(path)}
        for command in ("token", "refresh"):
            told = shell.home.refused(command, URL, **at)
            assert "may be on another host, so no command is run for it" in told
        assert "may be on another host" in shell.tool(**at)
    assert shell.runs == 0


def test_a_login_by_name_passes_the_variables_that_config_toml_names_and_no_others(
    shell: Shell,
) -> None:
    shell.configure('environment = ["AWS_PROFILE", "CLOUDSDK_*"]')
    home = shell.home
    told = home.refused("token", "corp", AWS_PROFILE="work")
    assert "gets variables of your shell by config.toml, and has none of them yet" in told
    assert "hint: `auth login corp` in that shell passes them on" in told
    assert shell.runs == 0
    assert "None of the variables is set" in home.refused("login", "corp")
    mine = {"AWS_PROFILE": "work", "CLOUDSDK_CORE_ACCOUNT": "ana", "CLOUDSDK_PYTHON": "/tmp/evil"}
    told = home.said("login", "corp", **mine)
    assert "maker gets these as they are now: AWS_PROFILE, CLOUDSDK_CORE_ACCOUNT." in told
    assert "maker makes the password of ana" in told
    assert home.done("token", "corp") == "of-work-ana\n"
    assert shell.runs == 1, "what the login made is kept"
    home.done("agent", "restart")
    assert home.done("token", "corp") == "of-work-ana\n"
    state = home.path / ".local" / "state"
    (stored,) = state.glob("tokenward/*/recipes.toml")
    assert stored.stat().st_mode & 0o777 == 0o600
    assert 'environment = ["AWS_PROFILE", "CLOUDSDK_CORE_ACCOUNT"]' in stored.read_text()
    assert "work" not in stored.read_text()

    home.done("lock")
    assert "locked" in home.auth("token", "corp").stderr
    home.done("unlock")
    shell.configure('environment = ["AWS_PROFILE", "CLOUDSDK_*"]', "another")
    assert "has none of them yet" in home.refused("token", "corp")
    home.done("login", "corp", AWS_PROFILE="later")
    assert home.done("token", "corp") == "of-later-none\n"
    shell.program.chmod(0o700)
    home.done("agent", "restart")
    told = home.refused("token", "corp")
    assert "has another owner or mode than at the login" in told
    home.done("login", "corp", AWS_PROFILE="later")
    assert home.done("token", "corp") == "of-later-none\n"


def test_an_export_of_a_recipe_of_config_toml_is_restored_without_its_variables(
    shell: Shell,
) -> None:
    shell.configure('environment = ["AWS_PROFILE"]')
    home = shell.home
    home.done("login", "corp", AWS_PROFILE="work")
    (home.path / "phrase").write_text("a long passphrase\n")
    (home.path / "phrase").chmod(0o600)
    phrase = ("--passphrase-file", str(home.path / "phrase"))
    home.done("export", "backup", *phrase)
    shell.config.write_text('keyring-provider = "disabled"\n')
    assert "is stored" in home.refused("token", URL)
    home.done("restore", "backup", "--yes", *phrase)
    assert home.done("token", URL) == "of-no-none\n"


def test_a_login_by_name_tries_the_command_and_changes_nothing_of_config_toml(
    shell: Shell,
) -> None:
    shell.configure('lifetime = "1h"')
    home = shell.home
    before = shell.config.read_text()
    (shell.folder / "signed-out").touch()
    assert "maker failed with status 3: maker: you are not" in home.refused("login", "corp")
    (shell.folder / "signed-out").unlink()
    told = home.said("login", "corp")
    assert f"maker makes the password of ana for {URL}, by `command` in {shell.config}." in told
    assert "ends in 1 hour" in told
    result = home.answer("login", "corp")
    assert (result["provider"], result["username"]) == ("command", "ana")
    assert result["expires"] is not None
    assert "no option changes it" in home.refused("login", "corp", "--lifetime", "2h")
    refused = home.refused("login", "corp", "--password", "-", "-u", "ana", stdin="x\n")
    assert "hint: remove `command` of `services.corp` there" in refused
    assert shell.config.read_text() == before


def test_a_project_names_no_command_and_no_variable_for_one(shell: Shell) -> None:
    project = shell.home.path / "project"
    project.mkdir()
    (project / "uv.toml").write_text(
        f'[[index]]\nname = "corp"\nurl = "{URL}"\ncommand = ["{shell.program}"]\nrun-in = "asker"\n'
    )
    (project / "config.toml").write_text(
        f'[services.corp]\nurl = "{URL}"\nusername = "ana"\ncommand = ["{shell.program}"]\n'
    )
    done = shell.home.run(PROGRAMS / "auth", "token", "corp", cwd=str(project))
    assert done.returncode == 2
    assert shell.runs == 0
