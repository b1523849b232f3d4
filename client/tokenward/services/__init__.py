"""Service managers: what the system has that starts the agent, at its address or at log-on.

Each manager has a module of its own, and `here` picks the one of this system. It looks after one
agent a user, that of the credentials directory that `auth agent install` was run for; the agent of
any other directory is started on demand as ever, and so is every agent where no manager is.

A manager that listens at the agent's address makes connecting the way to start it, so that whoever
must not start one looks whether it is `asleep` first.
"""

from __future__ import annotations

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from tokenward.services.manager import Manager


def here(environ: Mapping[str, str]) -> Manager | None:
    """Return the service manager of this user's session, None where there is none to be used."""
    if sys.platform == "linux":
        from tokenward.services import systemd

        return systemd.found(environ)
    if sys.platform == "darwin":
        from tokenward.services import launchd

        return launchd.found(environ)
    if sys.platform == "win32":
        from tokenward.services import windows

        return windows.found(environ)
    return None


def asleep(socket: str, environ: Mapping[str, str]) -> bool:
    """Tell whether a manager listens at this address while its agent does not run."""
    manager = here(environ)
    service = manager.service() if manager is not None else None
    if service is None or service.socket != socket:
        return False
    return service.listening and not service.running
