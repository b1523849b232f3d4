"""`auth login NAME` where config.toml has a command for NAME: try it, and pass variables on to it.

Nothing of config.toml changes by it. The agent judges and runs the command; the owner and mode of its
program count from then on, and the variables of this shell that `environment` names are sealed in a
vault. A command that each tool runs by itself is run here once, and nothing of it is kept.
"""

from __future__ import annotations

from tokenward import run_here
from tokenward.credentials import lookup, unlocking
from tokenward.credentials.storing import choose_provider
from tokenward.errors import CommandError
from tokenward.recipes.typed import block_of, tell_end, write_result
from tokenward.ui.formatting import credential_text, join_words
from tokenward_protocol.messages import COMMAND
from tokenward_protocol.recipes import ASKER

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import Namespace
    from typing import Any

    from tokenward.session import Session
    from tokenward.settings.service_names import Definition, Service
    from tokenward.ui.secret_input import GivenCredential
    from tokenward_protocol.recipes import Recipe


def definition_of(
    arguments: Namespace, session: Session, service: Service, given: GivenCredential
) -> Definition | None:
    """Return the table of config.toml whose command a login is about, None for another login.

    Raises CommandError.
    """
    others = (arguments.adopt, arguments.by_command, arguments.source, arguments.trusted_publishing)
    if service.file is None or given.has_secret or any(others):
        return None
    config = session.settings.config
    named = (each for each in config.definitions if each.name == service.name)
    found = next((each for each in named if each.recipe and each.file == service.file), None)
    is_meant = found is not None and given.username in {None, found.username}
    return found if is_meant else None


def log_in(
    arguments: Namespace, session: Session, service: Service, definition: Definition
) -> None:
    """Have the command of config.toml tried, and pass its variables on. Raises CommandError."""
    lookup.require_outside_of_runs(session)
    recipe, file, username = definition.recipe, definition.file, definition.username or ""
    if recipe is None:
        raise LookupError(definition.name)
    _require_alone(arguments, definition, recipe)
    program = run_here.name_of(recipe.command)
    variables, provider = _variables(session, recipe, definition), None
    if variables:
        choice = choose_provider(session, arguments.keyring_provider)
        choice.make_vault(session)
        provider = choice.provider
    made = None
    if recipe.run_in == ASKER:
        seconds = float(recipe.timeout)
        made = run_here.run(
            recipe.command, recipe.format, session.environ, program=program, seconds=seconds
        )
    stored: list[dict[str, Any]] = []
    for key in service.login_keys:
        header = unlocking.ask(
            session,
            "login",
            variables,
            offer=True,
            spelling=service.spelling_of(key) or key,
            username=username,
            recipe=True,
            environment=len(variables) or None,
            provider=provider,
        ).header
        what = credential_text(username, header["service"])
        if made is not None:
            session.terminal.say(
                f"{program} made {what}, by `{COMMAND}` in {file}; each tool that needs it runs it by"
                " itself."
            )
            stored.append({**header, "expires": made.end})
            continue
        session.terminal.say(f"{program} makes {what}, by `{COMMAND}` in {file}.")
        answer = {**header, "configured": True}
        stored.append({**answer, "expires": tell_end(session, recipe, answer)})
    write_result(session, username, stored)


def _require_alone(arguments: Namespace, definition: Definition, recipe: Recipe) -> None:
    """Raise CommandError for an option that cannot change a command of config.toml."""
    names = ["sealed", "check", "lifetime", "attended", "words", "form", "pass_env"]
    names += [] if recipe.environment else ["keyring_provider"]
    if any(getattr(arguments, name) for name in names):
        raise CommandError(
            f"The command of `services.{definition.name}` in {definition.file} makes this credential,"
            " and no option changes it.",
            f"correct `services.{definition.name}` there",
        )


def _variables(session: Session, recipe: Recipe, definition: Definition) -> bytes:
    """Return the variables of this shell that the command gets. Raises CommandError."""
    if not recipe.environment:
        return b""
    names = sorted(name for name in session.environ if recipe.passes(name))
    if not names:
        raise CommandError(
            f"None of the variables is set that `services.{definition.name}` in {definition.file} passes"
            f" on: {join_words([*recipe.environment])}.",
            "set one in this shell, or remove `environment` there",
        )
    program = run_here.name_of(recipe.command)
    session.terminal.say(f"{program} gets these as they are now: {', '.join(names)}.")
    return block_of(names, session.environ)
