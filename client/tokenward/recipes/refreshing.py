"""`auth refresh`: run a recipe's command, or ask a keyring, as the user's own shell would.

With the user's terminal and environment a program or plug-in that needs the user (a device code, a
new login, a fingerprint) can ask, and one that needs a session of the user's shell has it. The
agent says which command it is, after it has judged the program; what the command made goes to the
agent, and nothing of it is shown.
"""

from __future__ import annotations

import os
import subprocess
from time import time

from tokenward.credentials import lookup, unlocking
from tokenward.errors import CommandError
from tokenward.ui.formatting import ahead_text, credential_text
from tokenward_protocol.command_output import MAX_OUTPUT, OutputError, read_output

TYPE_CHECKING = False
if TYPE_CHECKING:
    from tokenward.session import Session


def refresh(session: Session, service: str, username: str | None) -> int | None:
    """Have a new credential made; return its end in seconds since 1970, if known.

    `service` is a key. Raises CommandError.
    """
    lookup.require_outside_of_runs(session)
    recipe = unlocking.ask(
        session, "refresh", offer=True, service=service, username=username
    ).header
    program = "The keyring" if recipe["adopted"] else os.path.basename(recipe["command"][0])
    try:
        done = subprocess.run(
            recipe["command"],
            cwd="/",
            env={**session.environ, "KEYRING_PROPERTY_ASIDE": "1"},
            stdout=subprocess.PIPE,
            check=False,
        )
    except OSError as error:
        raise CommandError(f"{program} cannot be run: {error.strerror}.") from None
    if done.returncode:
        raise CommandError(f"{program} failed with status {done.returncode}.")
    if len(done.stdout) > MAX_OUTPUT:
        raise CommandError(f"{program} printed more than {MAX_OUTPUT // 1024} KiB.")
    wrong = ""
    try:
        made = read_output(recipe["format"], done.stdout, int(time()))
    except OutputError as error:
        made, wrong = None, str(error)
    if made is None:  # outside the handler, so that no exception keeps the output alive
        raise CommandError(f"{program} {wrong or 'printed no credential'}.")
    header = unlocking.ask(
        session,
        "refresh",
        made.secret,
        offer=True,
        service=recipe["service"],
        username=recipe["username"],
        end=made.end,
    ).header
    what = credential_text(recipe["username"], recipe["service"])
    end: int | None = header["expires"]
    until = ahead_text(header["until"] if end is None else end, time() - 1)
    how = "ends" if end is not None else "is forgotten"
    did = "was asked for" if recipe["adopted"] else "made"
    session.terminal.say(f"{program} {did} {what} anew; it {how} {until}.")
    return end
