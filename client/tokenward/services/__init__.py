"""Service managers: the part of the system that starts the agent, at its address or at log-on.

Each manager has a module of its own, and `find_manager` picks the one of this system. It starts one
agent per user: that of the credentials directory for which `auth agent install` was run. Agents of
other directories, and of systems without a manager, are started on demand.

If a manager listens at the agent's address, connecting starts the agent. Code that must not start
one first checks whether it is `is_asleep`.
"""

from __future__ import annotations

import os
import sys

from tokenward_os.files import uid

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from tokenward.services.manager import Manager


def find_manager(environ: Mapping[str, str]) -> Manager | None:
    """Return the service manager of this user's session, or None if there is no usable one."""
    if sys.platform == "linux":
        runtime = environ.get("XDG_RUNTIME_DIR") or f"/run/user/{uid()}"
        if not os.path.exists(f"{runtime}/systemd/private"):
            return None
        from tokenward.services import systemd

        return systemd.find_manager(runtime, environ)
    if sys.platform == "darwin":
        from tokenward.services import launchd

        return launchd.find_manager(environ)
    if sys.platform == "win32":
        from tokenward.services import windows

        return windows.find_manager(environ)
    return None


def is_asleep(socket: str, environ: Mapping[str, str]) -> bool:
    """Return whether a manager listens at this address while its agent does not run."""
    manager = find_manager(environ)
    service = manager.service() if manager is not None else None
    if service is None or service.socket != socket:
        return False
    return service.listening and not service.running
