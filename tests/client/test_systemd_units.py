"""The literal units: what they say, that systemd understands it, and how they are written for a user."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tokenward.errors import CommandError
from tokenward.services import systemd
from tokenward.services.manager import Job

UNITS = Path(__file__).resolve().parent.parent.parent / "client/tokenward/services/units"

CONFINED = {
    "UMask=0077",
    "LimitCORE=0",
    "MemorySwapMax=0",
    "KeyringMode=private",
    "NoNewPrivileges=yes",
    "LockPersonality=yes",
    "RestrictAddressFamilies=AF_UNIX",
    "RestrictNamespaces=yes",
    "RestrictRealtime=yes",
    "RestrictSUIDSGID=yes",
    "SystemCallArchitectures=native",
    "SystemCallErrorNumber=EPERM",
    "SystemCallFilter=@system-service memfd_secret",
}
MANAGED = {
    "Type=notify",
    "ExecStart=/usr/bin/tokenward-agent",
    "ExecReload=/bin/kill -HUP $MAINPID",
    "Restart=on-failure",
    "RestartPreventExitStatus=2",
    "TimeoutStopSec=20",
    "Environment=TOKENWARD_IDLE_EXIT=30m",
    "Environment=TOKENWARD_WORKERS=%t/tokenward/worker.sock",
    "Environment=PYTHON_DISABLE_REMOTE_DEBUG=1",
}
WORKER = {
    "ExecStart=/usr/bin/tokenward-agent",
    "Environment=PYTHON_DISABLE_REMOTE_DEBUG=1",
    "StandardOutput=null",
    "StandardError=null",
    "TimeoutStopSec=5",
    "SuccessExitStatus=KILL",
    "UMask=0077",
    "LimitCORE=0",
    "MemorySwapMax=0",
    "NoNewPrivileges=yes",
}
LISTENING = {"SocketMode=0600", "DirectoryMode=0700", "RemoveOnStop=yes"}


def said(unit: str, section: str) -> set[str]:
    """Return the lines of a section, which holds each of them once."""
    text = (UNITS / unit).read_text()
    part = text.partition(f"[{section}]\n")[2].partition("\n[")[0]
    lines = [line for line in part.splitlines() if line and not line.startswith("#")]
    assert len(set(lines)) == len(lines)
    return set(lines)


def test_the_agent_is_confined_by_these_directives_and_no_others() -> None:
    assert said("tokenward.service", "Service") == CONFINED | MANAGED


def test_a_worker_is_confined_by_nothing_that_a_keyring_or_a_screen_could_need() -> None:
    assert said("tokenward-worker@.service", "Service") == WORKER


def test_the_sockets_are_the_users_alone() -> None:
    address = "ListenStream=%t/tokenward/agent.sock"
    assert said("tokenward.socket", "Socket") == {address, *LISTENING}
    workers = "ListenStream=%t/tokenward/worker.sock"
    assert said("tokenward-worker.socket", "Socket") == {workers, "Accept=yes", *LISTENING}


@pytest.fixture
def written(tmp_path: Path) -> list[Path]:
    """The units as they are written for a user whose folders have odd names."""
    odd = tmp_path / "a 100% $HOME é"
    odd.mkdir(mode=0o700)
    program = odd / "python"
    program.symlink_to("/bin/true")
    variables = {"XDG_DATA_HOME": f'{odd}/\\ "quoted"'}
    job = Job([str(program), "-I", "-m", "x"], f"{odd}/agent.sock", variables)
    for unit in systemd.UNITS:
        (tmp_path / unit).write_text(systemd.unit_text(unit, job))
    return [tmp_path / unit for unit in systemd.UNITS]


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="needs Debian's systemd")
def test_systemd_understands_every_line(written: list[Path]) -> None:
    run = written[0].parent / "run"
    run.mkdir(mode=0o700)
    command = ["systemd-analyze", "--user", "--man=no", "--recursive-errors=yes", "verify"]
    result = subprocess.run(
        [*command, *written],
        env={"PATH": os.defpath, "XDG_RUNTIME_DIR": str(run), "HOME": str(run)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (result.returncode, result.stderr) == (0, "")


def test_only_program_address_and_places_differ_from_the_literal_files(written: list[Path]) -> None:
    for path in written:
        lines = set(path.read_text().splitlines()) - set(
            (UNITS / path.name).read_text().splitlines()
        )
        allowed = ("# Written by", "ExecStart=", "ListenStream=", 'Environment="XDG_DATA_HOME=')
        assert [line for line in lines if not line.startswith(allowed)] == []


def test_what_no_unit_can_hold_is_refused() -> None:
    with pytest.raises(CommandError, match="cannot hold the path"):
        systemd.quote("/home/a\nExecStart=/tmp/x")
