"""`auth restore` of a recipe: what an export says is run here only after a yes.

Variables of the user's shell do not come with it. An export may come from another machine, and a
recipe in it names a program. So the user sees the
command and agrees at a terminal, or by `--yes`; the agent then judges and runs it as at a login.
"""

from __future__ import annotations

import json
import shlex

from tokenward.credentials import unlocking
from tokenward.credentials.bulk_store import ALREADY, FAILED, STORED, ImportOutcome
from tokenward.errors import CommandError
from tokenward.transport.connect import AgentError
from tokenward.ui.formatting import capitalise, credential_text
from tokenward_protocol.recipes import Recipe, RecipeError, read_recipe

TYPE_CHECKING = False
if TYPE_CHECKING:
    from tokenward.session import Session


def bring_back(
    session: Session, service: str, username: str, exported: bytes, *, yes: bool
) -> ImportOutcome:
    """Store the recipe of an export again; its errors are in the outcome."""
    what = credential_text(username, service)
    try:
        recipe = read_recipe(json.loads(exported))
    except (ValueError, TypeError, AttributeError) as wrong:
        key = f"`{wrong.key}` {wrong}" if isinstance(wrong, RecipeError) else "it is no recipe"
        return ImportOutcome(FAILED, f"{capitalise(what)} was not restored: {key}.")
    if _is_stored(session, service, username, recipe):
        return ImportOutcome(ALREADY)
    command = shlex.join(recipe.command)
    if not yes:
        session.terminal.say(f"{capitalise(what)} is made by this command: {command}")
        if not session.terminal.is_there() or not session.terminal.confirm("Store and run it?"):
            return ImportOutcome(
                FAILED,
                f"{capitalise(what)} was not restored: its command runs here only after a yes.",
                "`auth restore --yes` says yes to every command of an export",
            )
    try:
        body = json.dumps(recipe._replace(environment=()).as_table()).encode()
        arguments = {"service": service, "username": username, "recipe": True}
        unlocking.ask(session, "login", body, offer=True, **arguments)
    except CommandError as refused:
        return ImportOutcome(
            FAILED, f"{capitalise(what)} was not restored: {refused}", refused.hint
        )
    return ImportOutcome(STORED)


def _is_stored(session: Session, service: str, username: str, recipe: Recipe) -> bool:
    try:
        said = session.ask_once("describe", service=service, username=username).header
    except AgentError:
        return False
    return bool(said["service"] == service and said.get("recipe") == recipe.as_table())
