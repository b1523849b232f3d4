"""How this tokenward was installed, and so which commands upgrade it, remove it and add to it. Pure.

The folder of the environment tells: each installer keeps its environments in a folder of its own.
"""

from __future__ import annotations

_INSTALLERS = (
    ("/uv/tools/", "uv tool upgrade tokenward", "uv tool uninstall tokenward"),
    ("/pipx/", "pipx upgrade tokenward", "pipx uninstall tokenward"),
    ("/usr/lib/tokenward", "sudo apt upgrade tokenward", "sudo apt remove tokenward"),
)
_ADDERS = (("/uv/tools/", "uv tool install tokenward --with"), ("/pipx/", "pipx inject tokenward"))


def upgrade_command(prefix: str, python: str) -> str:
    """Return the command that installs a newer version; `prefix` is the environment's folder."""
    found = next((upgrade for part, upgrade, _ in _INSTALLERS if part in f"{prefix}/"), None)
    return found or f"{python} -m pip install --upgrade tokenward"


def addition_command(prefix: str, python: str, package: str) -> str:
    """Return the command that installs a package beside this one."""
    found = next((adder for part, adder in _ADDERS if part in f"{prefix}/"), None)
    return f"{found or f'{python} -m pip install'} {package}"


def removal_command(prefix: str, python: str) -> str:
    """Return the command that removes the program itself."""
    found = next((removal for part, _, removal in _INSTALLERS if part in f"{prefix}/"), None)
    return found or f"{python} -m pip uninstall tokenward"
