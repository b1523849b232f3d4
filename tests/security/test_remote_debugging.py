"""Code that root would have Python 3.14 run in the agent and in its workers, however they are started.

The attack itself, `sys.remote_exec`, is tried on each; on an ordinary process it succeeds.
"""

from __future__ import annotations

import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from support.agents.process import COMMAND, Agent
from support.auth_commands import PROGRAMS
from support.inspection.remote_debugging import needs_remote_exec
from support.waiting import until
from tokenward.transport import autostart
from tokenward_agent.worker.runner import _SOURCES, _WORKER, worker_command

pytestmark = [pytest.mark.root("attaches to a process"), needs_remote_exec]

ROOT = Path(__file__).resolve().parents[2]
ENTRY_POINT = str(PROGRAMS / "tokenward-agent")
AGENTS = {
    "by a client": [*autostart.interpreter(), "-c", autostart._PROGRAM],
    "by a service manager": [*autostart.interpreter(), "-m", "tokenward_agent"],
    "as a program": [ENTRY_POINT],
    "as a module": [sys.executable, "-m", "tokenward_agent"],
    "isolated, and told nothing": COMMAND,
}
WORKERS = {
    "by the agent": worker_command("argon2id"),
    "by the agent, with site": worker_command("keyring-get"),
    "told nothing": [sys.executable, "-I", _WORKER, *_SOURCES],
}


def inject(pid: int, folder: Path) -> Path:
    """Have a process write a file; return its path. Raises RuntimeError where it is deaf."""
    written, script = folder / "written", folder / "script.py"
    script.write_text(f"open({str(written)!r}, 'w').close()")
    sys.remote_exec(pid, script)  # type: ignore[attr-defined, unused-ignore]  # from 3.14 on
    return written


def is_hardened(pid: int) -> bool:
    return "NoNewPrivs:\t1" in Path(f"/proc/{pid}/status").read_text()


def test_code_is_run_in_a_process_that_is_not_closed_to_it(tmp_path: Path) -> None:
    program = "import time; print('ready', flush=True)\nwhile True: time.sleep(0.01)"
    command = [sys.executable, "-I", "-c", program]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as target:
        try:
            assert target.stdout is not None
            assert target.stdout.readline() == b"ready\n"
            until(inject(target.pid, tmp_path).exists)
        finally:
            target.kill()


@pytest.mark.parametrize("how", AGENTS)
def test_an_agent_runs_no_code_of_others(
    how: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("support.agents.process.COMMAND", AGENTS[how])
    agent = Agent(tmp_path)
    try:
        status = agent.ask("status")
        assert status["pid"] == agent.pid
        protections = status["protections"]
        assert isinstance(protections, dict)
        assert protections["remote debugging off"] == "in force"
        with pytest.raises(RuntimeError, match="not enabled"):
            inject(agent.pid, tmp_path)
    finally:
        agent.end()


@pytest.mark.parametrize("how", WORKERS)
def test_a_worker_runs_no_code_of_others(how: str, tmp_path: Path) -> None:
    with subprocess.Popen(WORKERS[how], stdin=subprocess.PIPE) as worker:
        try:
            until(lambda: is_hardened(worker.pid))
            with pytest.raises(RuntimeError, match="not enabled"):
                inject(worker.pid, tmp_path)
        finally:
            worker.kill()


@pytest.mark.parametrize("unit", ["tokenward.service", "tokenward-worker@.service"])
def test_what_a_unit_starts_is_deaf_from_its_first_moment_on(unit: str, tmp_path: Path) -> None:
    """Not only once it has begun anew: the unit's own environment says so to its interpreter."""
    lines = (ROOT / "client/tokenward/services/units" / unit).read_text().splitlines()
    said = [line.split("=", 1)[1] for line in lines if line.startswith("Environment=")]
    environment = dict(line.split("=", 1) for line in said)
    command = [line.split("=", 1)[1] for line in lines if line.startswith("ExecStart=")]
    assert command == ["/usr/bin/tokenward-agent"]
    (shebang,) = Path(ENTRY_POINT).read_text().splitlines()[:1]
    ask = "import sys; print(sys.is_remote_debug_enabled())"
    python = shlex.split(shebang.removeprefix("#!"))
    asked = subprocess.check_output([*python, "-c", ask], env=environment, cwd=tmp_path, text=True)
    assert asked == "False\n"
