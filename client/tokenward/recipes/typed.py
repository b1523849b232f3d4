"""`auth login --command` and `--from`: store which command makes a credential, and no secret.

The program is resolved here to its absolute path, as the shell would, and must be the user's own: not
in the working directory, where a checkout may have put it, not of a virtual environment, and not
writable by others. The agent judges it again, now and before each run, and runs it once before the
recipe is stored.
"""

from __future__ import annotations

import os
import shlex
from time import time

from tokenward.credentials import lookup, unlocking
from tokenward.credentials.storing import choose_provider
from tokenward.errors import CommandError, exclude
from tokenward.keyring_program import on_path
from tokenward.recipes.presets import Preset, find_preset
from tokenward.recipes.refreshing import refresh
from tokenward.ui.formatting import ago_text, ahead_text, credential_text, timestamp
from tokenward.ui.secret_input import TOKEN_USER
from tokenward_protocol.messages import COMMAND
from tokenward_protocol.recipes import (
    ALWAYS,
    IF_NEEDED,
    Recipe,
    RecipeError,
    read_recipe,
    require_passable,
)
from tokenward_protocol.secret_marks import is_marked
from tokenward_protocol.urls import FIXED, display

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Iterable, Mapping, Sequence
    from typing import Any

    from tokenward.session import Session
    from tokenward.settings.service_names import Service
    from tokenward.ui.secret_input import GivenCredential


def log_in(
    arguments: Namespace, session: Session, service: Service, given: GivenCredential
) -> None:
    """Store the recipe that the options describe. Raises CommandError."""
    lookup.require_outside_of_runs(session)
    _require_alone(arguments, given)
    preset = _preset(arguments, service, session.environ)
    usual = TOKEN_USER if service.publish_key in FIXED.values() else service.default_username
    username = given.username or preset.username or usual
    if not username and not arguments.no_username:
        raise CommandError(
            f"A command for {display(service.key)} needs the user name of its credential.",
            "add `--username`, or `--no-username`",
        )
    recipe = _recipe(arguments, preset, session)
    if arguments.source:
        session.terminal.say(f"The command is `{shlex.join(recipe.command)}`.")
    variables = _variables(arguments.pass_env or [], session.environ)
    provider = None
    if variables:
        choice = choose_provider(session, arguments.keyring_provider)
        choice.make_vault(session)
        provider = choice.provider
    stored = []
    for key in service.login_keys:
        header = _store(session, service, key, username or "", recipe, variables, provider)
        what = credential_text(username or "", header["service"])
        program, before = os.path.basename(recipe.command[0]), header["before"]
        since = "" if before is None else f", instead of what was stored {ago_text(before, time())}"
        session.terminal.say(f"Stored the command that makes {what}: {program}{since}.")
        stored.append({**header, "expires": tell_end(session, recipe, header)})
    write_result(session, username or "", stored)


def tell_end(session: Session, recipe: Recipe, stored: dict[str, Any]) -> int | None:
    """Say when what the command made ends, and run it first if the user has to; return the end.

    Raises CommandError.
    """
    end: int | None = stored["expires"]
    if recipe.attended == ALWAYS:
        return refresh(session, stored["service"], stored["username"])
    if end is not None:
        session.terminal.say(f"What it made just now ends {ahead_text(end, time() - 1)}.")
    else:
        session.terminal.say(
            "Nothing says when what it made ends, so it is run again after five minutes.",
            "`lifetime` in config.toml says how long it may be kept"
            if stored["configured"]
            else "`--lifetime` says how long it may be kept",
        )
    return end


def write_result(session: Session, username: str, stored: list[dict[str, Any]]) -> None:
    """Write the JSON of a login; `stored` are the agent's answers."""
    session.write_json(
        {
            "service": stored[0]["service"],
            "username": username,
            "provider": COMMAND,
            "replaced": any(one["replaced"] for one in stored),
            "kept": False,
            "adopted": False,
            "sealed": False,
            "projects": None,
            "expires": timestamp(stored[-1]["expires"]),
            "check": None,
            "stored": [{k: one[k] for k in ("service", "replaced", "kept")} for one in stored],
        }
    )


def _require_alone(arguments: Namespace, given: GivenCredential) -> None:
    name = "--from" if arguments.source else "--command"
    if given.has_secret:
        raise CommandError(f"`{name}` takes no secret: the command makes it.")
    others = ["adopt", "sealed", "check", "trusted_publishing"]
    others += [] if arguments.pass_env else ["keyring_provider"]
    both = {f"--{other.replace('_', '-')}": getattr(arguments, other) for other in others}
    exclude(name, both, "a recipe is in no vault, and its secret in memory alone")
    if arguments.source and arguments.by_command:
        raise CommandError("`--from` and `--command` exclude each other.")
    if arguments.source and (arguments.words or arguments.form):
        raise CommandError(
            "`--from` has its own command.", "`--command` takes one, and how its output is read"
        )
    if arguments.by_command and not arguments.words:
        raise CommandError(
            "The command that makes the credential is missing.",
            "`auth login SERVICE -u NAME --command -- PROGRAM ARG…`",
        )


def _preset(arguments: Namespace, service: Service, environ: Mapping[str, str]) -> Preset:
    if arguments.source:
        return find_preset(arguments.source, service.key, environ)
    return Preset(arguments.words, form=arguments.form or "auto")


def _recipe(arguments: Namespace, preset: Preset, session: Session) -> Recipe:
    """Return the recipe, with the program's absolute path. Raises CommandError."""
    program, *rest = preset.words
    attended = arguments.attended or preset.attended
    table: dict[str, Any] = {
        COMMAND: [find_program(program, session.environ, session.settings.cwd), *rest],
        "as": preset.form,
        "attended": ALWAYS if attended else IF_NEEDED,
    }
    if arguments.lifetime is not None:
        table["lifetime"] = f"{arguments.lifetime}s"
    if any(map(is_marked, preset.words)):
        raise CommandError(
            "An argument of the command looks like a secret: other programs can read the arguments of"
            " a process.",
            "have the program read it from its own settings or from a file",
        )
    try:
        return read_recipe(table)
    except RecipeError as wrong:
        raise CommandError(f"The {wrong.key} {wrong}.", "`auth login --help`") from None


def find_program(name: str, environ: Mapping[str, str], cwd: str) -> str:
    """Return the absolute path of a program, which is the user's own. Raises CommandError."""
    if "/" in name:
        found: str | None = os.path.normpath(os.path.join(cwd, name))
    else:
        folders = [each for each in environ.get("PATH", "").split(os.pathsep) if each[:1] == "/"]
        paths = (f"{folder.rstrip('/')}/{name}" for folder in folders)
        found = next((p for p in paths if os.path.isfile(p) and os.access(p, os.X_OK)), None)
    if found is None or not os.path.isfile(found):
        raise CommandError("The program of the command does not exist, or is not on PATH.")
    problem = on_path.objection(found, environ, cwd)
    if problem is not None:
        raise CommandError(
            f"{found} {problem}, so it makes no credentials.",
            "choose a program that is installed for you or for all users",
        )
    return found


def _variables(names: Sequence[str], environ: Mapping[str, str]) -> bytes:
    """Return the variables that the command gets, each with a NUL. Raises CommandError."""
    for name in names:
        try:
            require_passable(name)
        except RecipeError as wrong:
            raise CommandError(f"`--pass-env` {wrong}.") from None
        if name not in environ:
            raise CommandError(f"The variable {name} is not set, so it cannot be passed on.")
    return block_of(dict.fromkeys(names), environ)


def block_of(names: Iterable[str], environ: Mapping[str, str]) -> bytes:
    """Return variables that are set as the agent gets them, each with a NUL."""
    texts = (f"{name}={environ[name]}\0" for name in names)
    return "".join(texts).encode("utf-8", "surrogateescape")


def _store(
    session: Session,
    service: Service,
    key: str,
    username: str,
    recipe: Recipe,
    variables: bytes,
    provider: str | None,
) -> dict[str, Any]:
    """Store the recipe under one key; return the agent's answer."""
    import json

    typed = service.spelling_of(key)
    header = unlocking.ask(
        session,
        "login",
        json.dumps(recipe.as_table()).encode() + variables,
        offer=True,
        service=None if typed else key,
        spelling=typed or None,
        username=username,
        recipe=True,
        environment=len(variables) or None,
        provider=provider,
    ).header
    return {**header, "configured": False}
