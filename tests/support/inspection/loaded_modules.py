"""What the shortest commands may load, and how to see what an interpreter has loaded."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

from support.waiting import PATIENCE

if TYPE_CHECKING:
    from collections.abc import Mapping

HOT = {
    "__future__",
    "_socket",  # socket.socket without the module `socket`, which costs more than all the rest
    "tokenward",
    "tokenward.transport",
    "tokenward.transport.address",
    "tokenward.ending",
    "tokenward.errors",
    "tokenward.hot",
    "tokenward.transport.socket_stream",
    "tokenward_protocol",
    "tokenward_protocol.errors",
    "tokenward_protocol.frames",
    "tokenward_protocol.packing",
    "tokenward_protocol.places",
    "tokenward_protocol.url_parts",
    "tokenward_protocol.urls",
}
"""Beyond what the interpreter loads for nothing at all. Each line is paid by every `auth token`, so
adding one is a decision, to be made with the benchmark at hand."""

KEYRING = {
    "__future__",
    "_socket",
    "tokenward",
    "tokenward.ending",
    "tokenward.keyring_program",
    "tokenward.keyring_program.agent_client",
    "tokenward.keyring_program.client",
    "tokenward.keyring_command",
}
"""The same for the `keyring` program."""


def loaded(code: str, *arguments: str, environment: Mapping[str, str] | None = None) -> set[str]:
    """Return the modules that a fresh, isolated interpreter has loaded after `code`."""
    done = subprocess.run(
        [
            sys.executable,
            "-I",
            "-c",
            f"{code}\nimport sys\nprint()\nprint(*sys.modules)",
            *arguments,
        ],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
        timeout=PATIENCE,
    )
    return set(done.stdout.splitlines()[-1].split())
