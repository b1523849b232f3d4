"""Fills a vault with made-up credentials at once, where a login for each would take minutes.

    python fill.py CREDENTIALS-DIRECTORY STATE-DIRECTORY COUNT

It opens the vault of `disabled` by its key file and saves it once. No agent may have it open. A
process of its own, so that nothing of the agent is loaded where times are taken.
"""

from __future__ import annotations

import secrets
import subprocess
import sys
from pathlib import Path
from time import time


def fill(directory: Path, state: Path, count: int) -> list[str]:
    """Store `count` credentials; return their services."""
    subprocess.run([sys.executable, __file__, directory, state, str(count)], check=True)
    return services(count)


def services(count: int) -> list[str]:
    """Return the services that `fill` stores credentials for."""
    return [f"https://index-{number}.example/team-{number % 7}/" for number in range(count)]


def _fill(directory: Path, state: Path, count: int) -> None:
    from tokenward_agent.vault.record import Record
    from tokenward_agent.vault.storage import Storage
    from tokenward_agent.vault.vault import Vault

    (key_file,) = state.glob("*/*.key")
    vault = Vault(Storage(str(directory), "disabled.vault"), "disabled", memoryview(bytearray(32)))
    vault.install(vault.open("key-file", key_file.read_bytes()))
    now = int(time())
    records = {}
    for service in services(count):
        secret = f"pypi-{secrets.token_urlsafe(130)}".encode()
        sealed = vault.seal(service, "__token__", secret)
        record = Record(service, "__token__", now, None, None, None, sealed)
        records[record.key] = record
    vault.install(vault.save(lambda held: {**held, **records}, now))


if __name__ == "__main__":
    _fill(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]))
