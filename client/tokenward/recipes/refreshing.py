"""`auth refresh`: run a recipe's command, or ask a keyring, as the user's own shell would.

With the user's terminal and environment a program or plug-in that needs the user (a device code, a
new login, a fingerprint) can ask, and one that needs a session of the user's shell has it. The
agent says which command it is, after it has judged the program; what the command made goes to the
agent, and nothing of it is shown.
"""

from __future__ import annotations

from time import time

from tokenward import run_here
from tokenward.credentials import lookup, unlocking
from tokenward.ui.formatting import ahead_text, credential_text
from tokenward_protocol.recipes import ASKER

TYPE_CHECKING = False
if TYPE_CHECKING:
    from tokenward.session import Session


def refresh(session: Session, service: str, username: str | None) -> int | None:
    """Have a new credential made; return its end in seconds since 1970, if known.

    What tools run by themselves is only forgotten. `service` is a key. Raises CommandError.
    """
    lookup.require_outside_of_runs(session)
    recipe = unlocking.ask(
        session, "refresh", offer=True, service=service, username=username
    ).header
    program = "The keyring" if recipe["adopted"] else run_here.name_of(recipe["command"])
    if recipe.get("run_in") == ASKER:
        what = credential_text(recipe["username"], recipe["service"])
        session.terminal.say(
            f"What {program} made was forgotten: each tool that needs {what} runs it by itself."
        )
        return None
    made = run_here.run(recipe["command"], recipe["format"], session.environ, program=program)
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
