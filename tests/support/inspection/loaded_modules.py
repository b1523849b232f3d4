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
    "tokenward.ending",
    "tokenward.hot",
    "tokenward.keyring_program",
    "tokenward.keyring_program.agent_client",
    "tokenward_protocol",
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


_ASKING = {
    "__future__",
    "_socket",
    "tokenward",
    "tokenward.ending",
    "tokenward.errors",
    "tokenward.files",
    "tokenward.files.own_folders",
    "tokenward.files.reading",
    "tokenward_protocol.light",
    "tokenward.services",
    "tokenward.session",
    "tokenward.settings",
    "tokenward.settings.config_toml",
    "tokenward.settings.directories",
    "tokenward.settings.effective",
    "tokenward.settings.service_names",
    "tokenward.settings.uv_toml",
    "tokenward.transport",
    "tokenward.transport.unix",
    "tokenward.transport.connect",
    "tokenward.transport.connection",
    "tokenward.ui",
    "tokenward.ui.formatting",
    "tokenward.ui.terminal",
    "tokenward_os",
    "tokenward_os.files",
    "tokenward_os.user",
    "tokenward_protocol",
    "tokenward_protocol.frames",
    "tokenward_protocol.folder_trust",
    "tokenward_protocol.messages",
    "tokenward_protocol.packing",
    "tokenward_protocol.places",
    "tokenward_protocol.url_parts",
    "tokenward_protocol.urls",
}
"""What every full command loads that asks the agent."""

_FINDING = {
    "tokenward.credentials",
    "tokenward.credentials.lookup",
    "tokenward.credentials.narrowing",
    "tokenward.credentials.unlocking",
    "tokenward.ui.secret_input",
}
"""What finds a credential."""

OVERVIEW = {
    "__future__",
    "gc",
    "tokenward",
    "tokenward.cli",
    "tokenward.ending",
    "tokenward.errors",
    "tokenward.ui",
    "tokenward.ui.formatting",
    "tokenward.ui.terminal",
    "tokenward_protocol",
    "tokenward_protocol.url_parts",
    "tokenward_protocol.urls",
}
"""`auth --help`."""

COMMANDS = {
    command: OVERVIEW | _ASKING | {"tokenward.commands", "tokenward.ui.argument_parser"} | more
    for command, more in {
        "token": _FINDING | {"tokenward.commands.token", "tokenward.credentials.lookup"},
        "list": {
            "tokenward.commands.list",
            "tokenward.credentials",
            "tokenward.credentials.listing",
        },
        "status": {
            "tokenward.commands.status",
            "tokenward.credentials",
            "tokenward.credentials.listing",  # its first line says what is stored
            "tokenward.files.atomic_write",
            "tokenward.files.user_files",
            "tokenward.setup",
            "tokenward.setup.journal",
        },
    }.items()
}
"""The full commands that are run most, beside what argparse and json load."""

OF_A_TOKEN = {
    "tokenward_protocol.base64url",
    "tokenward_protocol.caveats",
    "tokenward_protocol.index_tokens",
    "tokenward_protocol.macaroons",
}
"""What says of a token of an index when it ends."""

HELPERS = {
    helper: _ASKING
    | _FINDING
    | {
        "resource",
        "tokenward.helpers",
        "tokenward.helpers.program",
    }
    | {"gc", f"tokenward.helpers.{helper}"}
    | more
    for helper, more in {
        "git": set[str](),
        "docker": {
            *("_sha2", "_sha256"),  # by the version of Python; without OpenSSL, which hashlib loads
            "tokenward.keyring_program",
            "tokenward.keyring_program.agent_client",
        },
        "cargo": set[str](),
    }.items()
}
"""The helpers' programs."""


ENDED = """
import os, sys

class Ended(BaseException):
    pass

def end(status):
    raise Ended(status)

os._exit = end  # what it would skip is the look at the modules
sys.argv[0] = "auth"
try:
    {code}
except Ended as ended:
    assert ended.args == (0,), ended
else:
    raise AssertionError("it did not end at once")
"""
"""The program whose `code` does it, and ends the process without finalising it."""


def loaded(
    code: str,
    *arguments: str,
    environment: Mapping[str, str] | None = None,
    stdin: str = "",
) -> set[str]:
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
        input=stdin,
        capture_output=True,
        text=True,
        check=True,
        timeout=PATIENCE,
    )
    return set(done.stdout.splitlines()[-1].split())
