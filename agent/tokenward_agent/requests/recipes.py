"""The requests about recipes: a `login` that stores one, and `refresh`.

A login with `recipe` has the recipe in its body, as JSON with the keys of recipes.py, and no secret.
The command is run once before the recipe is stored, so that no recipe is stored that does not work;
one that needs the user (`always`) is run by `refresh`, and one that is run by what asks, there. If the
body has no recipe, that of config.toml is meant, which no request changes: its program is judged and
run, and the owner and mode of that program are stored with the variables that it gets.

`refresh` without a body forgets what was made and returns the recipe, for the client to run at the
user's terminal; with a body it keeps what the client's run made. Both are requests of the agent's own
socket alone: no share can have a command stored, changed or run anew.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from tokenward_agent.failure import Failure
from tokenward_agent.peer.peer import Peer
from tokenward_agent.requests.credentials import trust_of
from tokenward_agent.requests.naming import changed_spellings, lookup_target, service_of
from tokenward_agent.store.made_secrets import Asker, pin_of, require_runnable
from tokenward_agent.store.sealed_variables import read_variables
from tokenward_agent.vault.record import AdoptedSource, Record
from tokenward_agent.wire.answer import Answer, success_answer
from tokenward_protocol.messages import COMMAND
from tokenward_protocol.recipes import (
    AGENT,
    ALWAYS,
    RecipeError,
    read_recipe,
    require_known,
)
from tokenward_protocol.secret_marks import is_marked
from tokenward_protocol.urls import display

if TYPE_CHECKING:
    from collections.abc import Callable

    from tokenward_agent.requests.dispatch import AsyncHandler
    from tokenward_agent.store.changes import Changes
    from tokenward_agent.store.made_secrets import Made, MadeSecrets
    from tokenward_agent.store.opening import Opening
    from tokenward_agent.store.recipe_records import RecipeEntry
    from tokenward_agent.store.sealed_variables import Variables
    from tokenward_agent.store.vaults import Vaults
    from tokenward_agent.wire.request import Request
    from tokenward_protocol.recipes import Recipe


_NOT_OF_RECIPES = {"lifetime", "adopt", "reader", "program", "unread", "sealed", "memory"}


class RecipeRequests:
    """Answers the requests about the recipes of one agent.

    `is_in_run` tells whether a peer was started by the command of a run.
    """

    def __init__(
        self,
        vaults: Vaults,
        changes: Changes,
        opening: Opening,
        made: MadeSecrets,
        is_in_run: Callable[[object], bool],
    ) -> None:
        self._vaults, self._changes, self._opening, self._made = vaults, changes, opening, made
        self._is_in_run = is_in_run

    def with_recipes(self, login: AsyncHandler) -> AsyncHandler:
        """Return the handler of `login` for secrets and for recipes."""

        async def store(request: Request, body: memoryview) -> Answer:
            return await (self._store if request.flag("recipe") else login)(request, body)

        return store

    async def _store(self, request: Request, body: memoryview) -> Answer:
        """Store a recipe, once its command has made a credential. Raises Failure."""
        others = _NOT_OF_RECIPES & request.arguments.keys()
        if others:
            raise Failure("bad-request", "A login with a recipe takes nothing else.")
        self._require_allowed(request)
        count = request.count("environment") or 0
        if count > len(body):
            raise Failure("bad-request", "The variables are longer than the body.")
        split = len(body) - count
        provider = request.text("provider")
        variables = read_variables(provider, body[split:]) if count else None
        if not split:
            return await self._store_configured(request, variables)
        recipe = _read_body(body[:split])
        if variables is not None and recipe.run_in != AGENT:
            raise Failure("bad-request", "What asks runs the command by its own variables.")
        username = str(request.arguments["username"])
        typed, service = changed_spellings(request)
        if "://" not in service:
            raise Failure("bad-request", "A recipe is for the URL of an index.")
        here = {found.record.username for found in self._vaults.at(service, None)}
        there = {found.record.username for found in self._vaults.at(typed, None)}
        if username in there or here - {username}:
            service = typed  # two accounts at two places stay apart
        self._vaults.recipes.require_own(service, username)
        await self._opening.open_available(provider)
        if variables is not None:
            self._changes.require_open(variables.provider)
        pin = pin_of(recipe.command[0])
        require_runnable(Record(service, username, 0, None, None, None, None), recipe, pin)
        made = await self._make_first(service, username, recipe, variables)
        record, before = await self._changes.store_recipe(
            service, username, recipe, pin, variables, trust_of(request)
        )
        if made is not None:
            self._made.adopt(record, made)
        return _login_answer(request, record, made, before)

    async def _store_configured(self, request: Request, variables: Variables | None) -> Answer:
        """Store what a login chose for a recipe of config.toml, once its command works. Raises Failure."""
        username = str(request.arguments["username"])
        entry = self._configured(request, username)
        if entry is None:
            raise Failure("not-found", "There is no command for this account in config.toml.")
        for name in () if variables is None else variables.names:
            if not entry.recipe.passes(name):
                raise Failure("refused", f"`environment` in config.toml does not have {name}.")
        if entry.recipe.environment and variables is None:
            raise Failure("bad-request", "The login has none of the variables of `environment`.")
        record = entry.record
        provider = None if variables is None else variables.provider
        await self._opening.open_available(provider)
        if variables is not None:
            self._changes.require_open(variables.provider)
        pin = pin_of(entry.recipe.command[0])
        require_runnable(record, entry.recipe, pin, entry.name)
        made = await self._make_first(record.service, username, entry.recipe, variables)
        again = self._configured(request, username)
        if again is None or again.record.login != record.login:
            raise Failure("busy", "The file config.toml was changed meanwhile.", "try again")
        await self._changes.store_chosen(again, pin, variables)
        self._made.drop(record)
        if made is not None:
            self._made.adopt(record, made)
        return _login_answer(request, record, made, None)

    def _configured(self, request: Request, username: str) -> RecipeEntry | None:
        """Return the recipe of config.toml, as it is now, that a login is about."""
        self._vaults.drop_expired()  # looks at config.toml
        for place in dict.fromkeys(changed_spellings(request)):
            if (entry := self._vaults.recipes.configured_entry(place, username)) is not None:
                return entry
        return None

    async def _make_first(
        self, service: str, username: str, recipe: Recipe, variables: Variables | None
    ) -> Made | None:
        """Run a command before it is stored; None if the agent is not to run it. Raises Failure."""
        if recipe.attended == ALWAYS or recipe.run_in != AGENT:
            return None
        first = Record(service, username, 0, None, None, AdoptedSource(COMMAND, ""), None)
        block = None if variables is None else variables.block
        return await self._made.make_first(first, recipe, block)

    async def refresh(self, request: Request, body: memoryview) -> Answer:
        """Return a recipe for a run at the terminal, or keep what such a run made. Raises Failure."""
        self._require_allowed(request)
        await self._opening.open_available(None)
        target = lookup_target(request)
        account = self._vaults.account(target.places, request.text("username"), None, target.beside)
        found = account[0] if account else None
        if found is None and self._vaults.not_open(None):
            raise self._vaults.not_found_error(service_of(request), None, target.origins)
        if found is None or found.record.adopted is None:
            name = display(service_of(request))
            raise Failure(
                "not-found",
                f"The credential for {name} is made by no command, and read in no keyring.",
                "`auth login` with `--command`, `--from` or `--adopt` stores how to get one",
            )
        record = found.record
        names = {"service": record.service, "username": record.username}
        if body:
            made = self._made.keep(record, body, request.count("end"), request.peer)
            end = None if made.end is None else made.end.wall_end
            return success_answer(
                request.number, None, **names, expires=end, until=made.kept.wall_end
            )
        recipe = self._made.prepare(record)
        self._made.drop(record)
        return success_answer(
            request.number,
            None,
            **names,
            adopted=found.vault is not self._vaults.recipes,
            command=[*recipe.command],
            format=recipe.format,
            run_in=recipe.run_in,
        )

    def _require_allowed(self, request: Request) -> None:
        """Raise Failure while the agent is locked, and for what the command of a run started."""
        if self._is_in_run(request.peer):
            raise Failure(
                "refused",
                "A command behind a relay cannot have another command make a credential.",
                "do it outside of `auth exec`",
            )
        if self._opening.is_locked:
            raise Failure("locked", "The agent is locked.", "`auth unlock`", vaults=[], stored=None)


def asker_behind(peer: object) -> Asker:
    """Return the process that asks: the tool, where a go-between asks for it."""
    tool = peer.requester.tool if isinstance(peer, Peer) else None
    return Asker(0, 0) if tool is None else Asker(tool.process.pid, tool.process.started)


def _login_answer(
    request: Request, record: Record, made: Made | None, before: Record | None
) -> Answer:
    return success_answer(
        request.number,
        replaced=before is not None,
        before=None if before is None else before.created,
        kept=False,
        service=record.service,
        username=record.username,
        provider=COMMAND,
        expires=None if made is None or made.end is None else made.end.wall_end,
        notes=[],
    )


def _read_body(body: memoryview) -> Recipe:
    """Return the recipe in a body. Raises Failure."""
    try:
        table = json.loads(bytes(body))
    except (ValueError, RecursionError):
        table = None
    if not isinstance(table, dict):
        raise Failure("bad-request", "The body of a login with a recipe is an object of JSON.")
    try:
        require_known(table)
        recipe = read_recipe(table)
    except RecipeError as error:
        raise Failure("bad-request", f"The recipe's `{error.key}` {error}.") from None
    if recipe.environment:
        raise Failure("bad-request", "The variables of a recipe come with their values.")
    if any(map(is_marked, recipe.command)):
        raise Failure(
            "refused",
            "An argument of the command looks like a secret, and a recipe has none: other programs"
            " can read the arguments of a process.",
            "have the program read it from its own settings or from a file",
        )
    return recipe
