"""What Windows starts when the user logs on: written, run as it is written, and taken away."""

from __future__ import annotations

import json
import subprocess
import sys
import winreg
from typing import TYPE_CHECKING

import pytest

assert sys.platform == "win32"

from tokenward.errors import CommandError
from tokenward.services.manager import Job
from tokenward.services.windows import KEY, VALUE, LogOn

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from support.systems.windows_user import User


def written() -> str | None:
    try:
        with winreg.OpenKey(winreg.HKEY_CURRENT_USER, KEY) as key:
            return str(winreg.QueryValueEx(key, VALUE)[0])
    except FileNotFoundError:
        return None


@pytest.fixture(autouse=True)
def _nothing_before_and_after() -> Iterator[None]:
    assert written() is None
    yield
    if written() is not None:
        with winreg.OpenKey(winreg.HKEY_CURRENT_USER, KEY, 0, winreg.KEY_SET_VALUE) as key:
            winreg.DeleteValue(key, VALUE)


def test_install_says_what_it_wrote_and_that_starts_the_agent(
    new_user: Callable[[], User],
) -> None:
    user = new_user()
    said = json.loads(user.good("agent", "install", "--format", "json"))
    assert said["written"] == [rf"HKEY_CURRENT_USER\{KEY}\{VALUE}"]
    assert "starts it when you log on" in user.good("agent", "status")
    user.good("agent", "stop")
    command = written()
    assert command is not None
    agent = subprocess.Popen(command, env=user.environ)
    try:
        user.environ["TOKENWARD_NO_AUTOSTART"] = "1"
        while user.auth("list").status != 0:
            assert agent.poll() is None
        pid = json.loads(user.good("agent", "status", "--format", "json"))["pid"]
        assert pid == agent.pid
        assert json.loads(user.good("agent", "uninstall", "--format", "json"))["removed"]
        assert agent.wait(60) == 0
    finally:
        agent.kill()
        agent.wait()
    assert written() is None
    assert "not installed in a service manager" in user.auth("agent", "uninstall").err


def test_what_somebody_else_wrote_stays() -> None:
    with winreg.CreateKey(winreg.HKEY_CURRENT_USER, KEY) as key:
        winreg.SetValueEx(key, VALUE, 0, winreg.REG_SZ, "theirs.exe")
    with pytest.raises(CommandError, match="did not write it"):
        LogOn().install(job())
    with pytest.raises(CommandError, match="did not write it"):
        LogOn().uninstall()
    assert written() == "theirs.exe"


def job(program: str = r"C:\Python\python.exe", **variables: str) -> Job:
    return Job([program, "-I", "-m", "tokenward_agent"], "", variables)


def test_the_command_has_no_window_and_names_the_directory_where_it_is_another() -> None:
    LogOn().install(job())
    assert written() == r"C:\Python\pythonw.exe -I -m tokenward_agent"
    LogOn().install(job(TOKENWARD_DIR=r"D:\my vaults"))
    assert written() == (r'C:\Python\pythonw.exe -I -m tokenward_agent --directory "D:\my vaults"')
    assert LogOn().install(job(TOKENWARD_DIR=r"D:\my vaults")) == []


def test_what_windows_would_not_take_is_refused_and_nothing_written() -> None:
    with pytest.raises(CommandError, match="longer than the 260 characters"):
        LogOn().install(job("C:\\" + "x" * 260 + "\\python.exe"))
    with pytest.raises(CommandError, match="TOKENWARD_CONFIG"):
        LogOn().install(job(TOKENWARD_CONFIG=r"C:\mine.toml"))
    assert written() is None
