"""The name of this log: unique among all folders and machines.

Several machines may use one credentials directory, each with a log of its own, and the directory's
vaults vouch for all of them. The name is not kept in a file, which could be removed with the log;
it is a hash of values that only root changes: the machine's id and the path of the folder.
"""

from __future__ import annotations

import hashlib
import os
from socket import gethostname

from tokenward_agent.vault.audit_anchor import NAME_DIGITS
from tokenward_os.files import SETTINGS

_MACHINE_IDS = ("/etc/machine-id", "/var/lib/dbus/machine-id")  # machine-id(5)


def log_name(state: str) -> str:
    """Return the name of the log in a state folder, 16 hex digits."""
    text = f"{_machine()}\0{state}"
    return hashlib.sha256(os.fsencode(text)).hexdigest()[:NAME_DIGITS]


def _machine() -> str:
    for path in _MACHINE_IDS:
        try:
            file = os.open(path, os.O_RDONLY | SETTINGS)
        except OSError:
            continue
        try:
            return os.fsdecode(os.read(file, 64).strip())
        finally:
            os.close(file)
    return gethostname()
