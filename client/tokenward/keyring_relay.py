"""The part of keyring_program/client.py that needs tokenward, run where it is installed.

    python -I -m tokenward.keyring_relay get|set|del

stdin has one JSON object: `service`, `username`, `password` (the last two may be null), and for a
`get` with a prompt `attended` and the screen, as in a fetch. stdout gets one: `username` and
`password` for `get`, `notes` (sentences for the user) for a `set`, nothing for a `del`; after a
failure `code`, `message` and the agent's `stored` and `why`. Copies of older versions rely on this,
so keys are only ever added.

Settings are obeyed and an agent is started as by any command. But a tool is running, not the user:
there are no questions here, and no passphrase is used to open a vault. A `set` makes a missing
vault, as the first `auth login` does.
"""

from __future__ import annotations

import json
import os
import sys
from contextlib import closing

from tokenward.credentials import storing
from tokenward.credentials.storing import choose_provider
from tokenward.errors import CommandError
from tokenward.session import Session
from tokenward.transport.connect import AgentError
from tokenward.ui.terminal import Terminal
from tokenward_protocol.messages import VARIABLES
from tokenward_protocol.urls import key_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    Arguments = dict[str, Any]


def main() -> int:
    """Do what the command line and stdin ask for; write the result to stdout as JSON."""
    try:
        with closing(_session()) as session:
            answer = _OPS[sys.argv[1]](session, json.load(sys.stdin))
    except UnicodeError:
        answer = {"code": "bad-request", "message": "The secret is not text."}
    except CommandError as failed:
        code = failed.code if isinstance(failed, AgentError) else "failed"
        answer = {
            "code": code,
            "message": f"{failed} ({failed.hint})" if failed.hint else str(failed),
        }
        if isinstance(failed, AgentError):
            known = ("stored", "why")
            answer |= {key: failed.header[key] for key in known if key in failed.header}
    json.dump(answer, sys.stdout)
    return 0


def _session() -> Session:
    terminal = Terminal(os.environ, quiet=True)
    terminal.attended = False
    return Session(terminal, os.environ, json=False)


def _get(session: Session, asked: Arguments) -> Arguments:
    wanted: Arguments = {"spelling": asked["service"], "username": asked["username"]}
    wanted.update((key, asked[key]) for key in _SCREEN if key in asked)
    try:
        answer = session.ask_once("fetch", **wanted)
    except AgentError as refused:
        if refused.code != "asker" or not asked.get("attended"):  # such a tool does not wait yet
            raise
        session.run_here(refused.header)
        answer = session.ask_once("fetch", **wanted)
    return {"username": answer.header["username"], "password": answer.body.decode()}


def _set(session: Session, asked: Arguments) -> Arguments:
    found = storing.check_secret_for(
        (_key(asked["service"]),), asked["username"], asked["password"]
    )
    choice = choose_provider(session, None)
    choice.make_vault(session)
    header = session.ask_once(
        "login",
        found.body,
        spelling=asked["service"],
        username=asked["username"],
        provider=choice.provider,
    ).header
    return {"notes": [*found.notices, *map(str, header["notes"])]}


def _key(spelling: str) -> str:
    """Return the agent's key: that of a URL, anything else unchanged."""
    return ("://" in spelling and key_of(spelling)) or spelling


def _del(session: Session, asked: Arguments) -> Arguments:
    # Of a credential that a command makes, only what it made is forgotten.
    session.ask_once("logout", spelling=asked["service"], username=asked["username"], refused=True)
    return {}


_SCREEN = ("attended", *VARIABLES, "term")
_OPS = {"get": _get, "set": _set, "del": _del}

if __name__ == "__main__":
    sys.exit(main())
