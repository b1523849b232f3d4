"""The job that `auth agent install` gives a service manager, and messages about it.

The manager's environment may differ from that of the user's shell. So the job has the variables
that choose the directories of credentials, state and configuration, and the credentials directory,
if a setting chose it.
"""

from __future__ import annotations

import os
import sys

from tokenward.errors import CommandError
from tokenward.services.manager import Job
from tokenward.transport import autostart

if sys.platform == "win32":
    from tokenward.transport import pipe as local
else:
    from tokenward.transport import unix as local

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from tokenward.services.manager import InstalledService, Manager
    from tokenward.settings.directories import Directories

_PLACES = ("XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_STATE_HOME", "TOKENWARD_PINENTRY")


def make_job(directories: Directories, environ: Mapping[str, str]) -> Job:
    """Return the job for these directories. Raises CommandError."""
    if environ.get("TOKENWARD_SOCK"):
        raise CommandError(
            "TOKENWARD_SOCK names the agent that is used here, and no service manager starts it.",
            "unset TOKENWARD_SOCK",
        )
    made = local.make_runtime_directory
    if sys.platform == "darwin":
        made = local.lasting_directory
    base = made(environ, directories.state)
    if base is None:
        raise CommandError(
            "There is no private directory for the agent's socket.",
            "set XDG_RUNTIME_DIR to a directory of your own",
        )
    variables = {name: value for name in _PLACES if (value := environ.get(name))}
    if config := environ.get("TOKENWARD_CONFIG"):
        variables["TOKENWARD_CONFIG"] = os.path.abspath(config)
    if directories.credentials != directories.ordinary:
        variables["TOKENWARD_DIR"] = directories.credentials
    command = [*autostart.interpreter(), "-m", "tokenward_agent"]
    return Job(command, _first(base, directories), variables)


def own_socket(directories: Directories, environ: Mapping[str, str]) -> str:
    """Return the address of the agent of these directories, however it is started."""
    return _first(str(local.runtime_directory(environ, directories.state)), directories)


def is_installed(manager: Manager, wanted: Job) -> bool:
    """Return whether the manager already listens at the address, so its agent need not stop."""
    service = manager.service()
    return service is not None and service.listening and service.socket == wanted.socket


def to_json(manager: Manager | None, service: InstalledService | None) -> dict[str, Any] | None:
    """Return the description of an installed service for JSON."""
    if manager is None or service is None:
        return None
    return {
        "manager": manager.name,
        "files": service.files,
        "socket": service.socket,
        "listening": service.listening,
    }


def describe(
    name: str, service: InstalledService, directories: Directories, environ: Mapping[str, str]
) -> str:
    """Return the line about an installed service; `name` is the manager's."""
    if not service.socket:
        return f"{name} starts it when you log on."
    if service.socket != own_socket(directories, environ):
        return f"{name} starts the agent of other credentials, at {service.socket}."
    if service.listening:
        return f"{name} listens at {service.socket}, and starts it on demand."
    return f"{name} should start it, but does not listen; `auth agent install` repairs that."


def _first(base: str, directories: Directories) -> str:
    return next(local.addresses(base, directories.credentials, directories.ordinary))
