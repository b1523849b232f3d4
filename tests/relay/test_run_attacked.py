"""A whole run, from `auth exec` to an index, in which something is killed, locked or looked for.

The tool is Python's own `urllib` or `curl`, which use the proxy as every tool does.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pytest

from support.home import Home
from support.inspection.held_texts import files_with, paths_below
from support.inspection.processes import is_running, relays
from support.relay_process.raw_index import RawIndex, Request, ok
from support.relay_process.uploads import BOUNDARY, form
from support.waiting import PATIENCE, until

if TYPE_CHECKING:
    import ssl
    from collections.abc import Iterator

SECRET = "stored-and-never-in-a-run-" + "marked" * 5
WAITS = "while [ ! -e go ]; do sleep 0.05; done; "


class Stage(NamedTuple):
    """A home with one login, and its index."""

    home: Home
    server: RawIndex

    @property
    def url(self) -> str:
        return f"https://127.0.0.1:{self.server.port}"

    def begin(self, script: str, *options: str) -> subprocess.Popen[str]:
        """Begin a run of a shell script."""
        command = ["auth", "exec", "--relay", "--index", "corp", *options, "--", "sh", "-c", script]
        return subprocess.Popen(
            command,
            cwd=self.home.path,
            env=self.home.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
            executable=str(Path(sys.executable).parent / "auth"),
        )

    def upload(self) -> str:
        """Return the command of a shell that uploads, and tells what came of it."""
        kind = f"Content-Type: multipart/form-data; boundary={BOUNDARY.decode()}"
        curl = f"curl -sS -o answer -w '%{{http_code}}' -H '{kind}' --data-binary @form"
        return f'{curl} {self.url}/legacy/; echo " ended $?"'

    def relay_pid(self) -> int:
        """Return the relay's process."""
        agent = self.home.agent_pid()
        assert agent is not None
        (relay,) = until(lambda: relays(agent))
        return relay

    def folders(self) -> list[Path]:
        """Return the folders of runs."""
        return [it for it in paths_below(self.home.path / "run") if it.parent.suffix == ".runs"]


@pytest.fixture
def stage() -> Iterator[Stage]:
    with Home() as home, RawIndex() as index:
        authority = home.path / "authority.pem"
        authority.write_bytes(index.certificate)
        folder = home.path / ".config/tokenward"
        folder.mkdir()
        url = f"https://127.0.0.1:{index.port}"
        (folder / "config.toml").write_text(
            f'ca = "{authority}"\n[services.corp]\nurl = "{url}/team/simple/"\n'
            f'publish-url = "{url}/legacy/"\n'
        )
        (home.path / "form").write_bytes(form())
        home.log_in(f"{url}/", SECRET, "--keyring-provider", "disabled")
        yield Stage(home, index)


@contextlib.contextmanager
def begun(stage: Stage, script: str, *options: str) -> Iterator[subprocess.Popen[str]]:
    with stage.begin(script, *options) as run:
        try:
            yield run
        finally:
            if run.poll() is None:
                os.killpg(run.pid, signal.SIGKILL)


def holds_up(index: RawIndex) -> tuple[threading.Event, threading.Event]:
    """Have an index think about uploads; return what is set when it does, and what ends it."""
    thinks, go_on = threading.Event(), threading.Event()

    def answer(sock: ssl.SSLSocket, request: Request) -> None:
        if request.line.startswith(b"POST"):
            thinks.set()
            go_on.wait(PATIENCE)
        sock.sendall(ok())

    index.answer = answer
    return thinks, go_on


def published(stage: Stage) -> list[object]:
    lines = stage.home.log_lines()
    return [line.get("status") for line in lines if line["event"] == "published"]


def test_the_capability_is_in_the_environment_of_the_command_and_nowhere_else(
    stage: Stage,
) -> None:
    script = f"printenv TWINE_PASSWORD; printenv; {WAITS} curl -sS {stage.url}/secret/ ; true"
    with begun(stage, script, "--project", "mine") as run:
        assert run.stdout is not None
        capability = run.stdout.readline().strip().encode()
        assert capability.startswith(b"tokenward-run-")
        command_lines = b"".join(
            path.read_bytes() for path in Path("/proc").glob("[0-9]*/cmdline") if readable(path)
        )
        assert b"auth" in command_lines
        assert capability not in command_lines
        assert SECRET.encode() not in command_lines
        agent, relay = stage.home.agent_pid(), stage.relay_pid()
        for pid in (agent, relay):
            environ = Path(f"/proc/{pid}/environ")
            if os.geteuid() != 0:  # they are closed to the user's own processes
                assert not readable(environ)
                continue
            assert capability not in environ.read_bytes()
            assert SECRET.encode() not in environ.read_bytes()
        (folder,) = stage.folders()
        assert folder.stat().st_mode & 0o777 == 0o700
        for path in folder.iterdir():
            assert path.stat().st_mode & 0o777 == 0o600
            assert b"PRIVATE" not in path.read_bytes()
        (stage.home.path / "go").touch()
        said, errors = run.communicate(timeout=PATIENCE)
    assert "this run may not read /secret/" in errors
    assert SECRET not in said + errors
    assert capability.decode() not in errors
    assert files_with(stage.home.path, capability, SECRET) == []
    until(lambda: stage.folders() == [])
    until(lambda: not is_running(relay))


def readable(path: Path) -> bool:
    try:
        path.read_bytes()
    except OSError:
        return False
    return True


def test_an_agent_that_is_killed_in_an_upload_ends_the_relay_and_the_upload(
    stage: Stage,
) -> None:
    thinks, go_on = holds_up(stage.server)
    with begun(stage, stage.upload(), "--project", "mine") as run:
        assert thinks.wait(PATIENCE)
        agent, relay = stage.home.agent_pid(), stage.relay_pid()
        assert agent is not None
        os.kill(agent, signal.SIGKILL)
        said, _ = run.communicate(timeout=PATIENCE)
        assert " ended " in said
        assert not said.endswith(" 0\n")
        until(lambda: not is_running(relay))
        assert len(stage.folders()) == 1
        stage.home.done("list")  # the next agent
        assert stage.folders() == []
    go_on.set()


def test_a_relay_that_is_killed_leaves_a_command_whose_requests_fail(stage: Stage) -> None:
    fetch = f"curl -sS -o /dev/null {stage.url}/team/simple/; echo curl $?; "
    token = f"auth token {stage.url}/; echo token $?; env -u TOKENWARD_RELAY auth token {stage.url}/; echo token $?"
    with begun(stage, f"{fetch} echo ready; {WAITS} {fetch} {token}") as run:
        assert run.stdout is not None
        assert run.stdout.readline() == "curl 0\n"
        assert run.stdout.readline() == "ready\n"
        os.kill(stage.relay_pid(), signal.SIGKILL)
        until(lambda: stage.folders() == [])
        (stage.home.path / "go").touch()
        said, errors = run.communicate(timeout=PATIENCE)
    lines = said.splitlines()
    assert lines[0] != "curl 0"
    assert [line for line in lines if line == "token 0"] == []
    assert SECRET not in said + errors
    assert stage.home.done("token", f"{stage.url}/") == f"{SECRET}\n"  # outside of it, as ever


def test_a_lock_in_the_middle_of_an_upload_ends_it_and_its_end_is_unknown(stage: Stage) -> None:
    thinks, go_on = holds_up(stage.server)
    with begun(stage, stage.upload(), "--project", "mine") as run:
        assert thinks.wait(PATIENCE)
        relay = stage.relay_pid()
        stage.home.done("lock")
        until(lambda: not is_running(relay))
        said, _ = run.communicate(timeout=PATIENCE)
        assert " ended " in said
        assert not said.endswith(" 0\n")
    go_on.set()
    stage.home.done("unlock")
    assert published(stage) == ["unknown"]


def test_a_command_that_is_killed_in_an_upload_takes_the_relay_with_it(stage: Stage) -> None:
    thinks, go_on = holds_up(stage.server)
    with begun(stage, stage.upload() + "; true", "--project", "mine") as run:
        assert thinks.wait(PATIENCE)
        relay = stage.relay_pid()
        os.kill(run.pid, signal.SIGKILL)
        until(lambda: not is_running(relay))
        until(lambda: stage.folders() == [])
    go_on.set()
    assert published(stage) == ["unknown"]


def test_a_run_whose_terminal_is_gone_goes_on(stage: Stage) -> None:
    """Its stderr is a pipe that has no reader any more, where refusals would be told."""
    script = (
        f"{WAITS} curl -s -o /dev/null -w '%{{http_code}} ' {stage.url}/x/ {stage.url}/team/simple/"
    )
    with begun(stage, script) as run:
        assert run.stderr is not None
        assert run.stdout is not None
        stage.relay_pid()
        run.stderr.close()
        (stage.home.path / "go").touch()
        assert run.stdout.read().replace("fine", "").split() == ["403", "200"]
