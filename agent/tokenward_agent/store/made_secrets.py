"""What commands made and keyrings had: read when it is needed, kept in memory until its end.

A *run* is that of a recipe's command, or a reading of an adopted credential (adopted.py).

- A credential is kept sealed under a key of this process, in no file, and forgotten at each lock,
  logout and login. It is kept until its end: what its output and the token itself say; else the
  recipe; else what the host is known for; else `USUAL_KEPT` seconds; 12 hours at most. What a keyring
  has may be old, so there its host says nothing.
- It is handed out while more than `RESERVE` seconds of it are left, since a relay or an upload uses it
  a while longer; one without a known end is as long as it is kept. A use after four fifths of its life
  starts the next run, and gets what is there.
- A recipe has one run at a time, and all who need it wait for that one. What a run made goes to those
  who waited, however short it lives.
- After a failed run the next one waits 10 seconds, then 20, up to 5 minutes; meanwhile requests get
  the same failure, or the former credential while more than `LAST` seconds of it are left.
- A command that needs the user (`always`) is run by `auth refresh` alone, at the user's terminal.
- One with `run-in = "asker"` is run by the client of the tool that asks. What it made there is kept for
  that very process for four fifths of its life, and answers no other one, no share and no relay: for
  them the agent runs it.

The program is judged before each run: its owner and mode are those of the login, and only root and the
user may change it and the folders above it. While the agent is locked nothing is run or handed out.
The log has a line for each run, without any argument.
"""

from __future__ import annotations

import asyncio
import os
import shlex
import stat
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from tokenward_agent.failure import Failure
from tokenward_agent.store.adopted import READERS, is_adopted
from tokenward_agent.store.keyring_program import program_objection, project_objection
from tokenward_agent.store.lookup import locked_meanwhile_error
from tokenward_agent.store.memory_records import KeptSecret  # noqa: TC001 - NamedTuple reads its annotations
from tokenward_agent.store.recipe_records import Pin
from tokenward_agent.store.sealed_variables import open_variables, size_of
from tokenward_agent.vault.record import Lifetime, Record
from tokenward_agent.vault.sealing import context
from tokenward_agent.worker.runner import WorkerError, run_job
from tokenward_os.files import uid
from tokenward_protocol.admission import Expired, NotAdmitted
from tokenward_protocol.command_output import MAX_OUTPUT
from tokenward_protocol.messages import COMMAND
from tokenward_protocol.recipes import ALWAYS, ASKER, MOST_KEPT, NEVER, Recipe
from tokenward_protocol.token_ends import usual_seconds
from tokenward_protocol.urls import display

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Protocol

    from tokenward_agent.arena import Arena
    from tokenward_agent.store.adopted import AdoptedSecrets
    from tokenward_agent.store.memory_records import MemoryRecords, ProcessKey
    from tokenward_agent.store.recipe_records import RecipeEntry, RecipeRecords
    from tokenward_agent.vault.record import Login, Now
    from tokenward_agent.vault.vault import Vault
    from tokenward_protocol.admission import Admission
    from tokenward_protocol.packing import Value

    class RecordRun(Protocol):
        """Writes a line of the log about a run."""

        def __call__(self, record: Record, facts: Mapping[str, object], /) -> object:
            """Write it."""
            ...


RESERVE: Final = 60
LAST: Final = 30
"""Seconds before its end until which a credential is handed out: usually, and after a failed run."""

AT_ONCE: Final = 8
"""The most runs of a kind at a time: a keyring that does not answer fills neither machine nor arena."""

_MOST_ASKERS: Final = 64
"""The most credentials that are kept for single processes; then the oldest gives way."""

_SHORTEST_REST: Final = 10
_LONGEST_REST: Final = 300
_SHOWN: Final = 100  # characters of a command in a list
_SHOWN_COMMAND: Final = 400  # of one in a hint
_SHOWN_PROBLEM: Final = 600
_MOST_PROBLEMS: Final = 20
"""Characters of each problem and hint in a status, and how many of them it has."""


class Made(NamedTuple):
    """A credential that a command made; it is kept until `kept`, and handed out with `end`.

    `renewed` is when the next run may begin, by the boot clock. `end` is None if nothing says it.
    `attended`: only the user's command could make another one.
    """

    secret: KeptSecret
    kept: Lifetime
    renewed: int
    end: Lifetime | None
    attended: bool

    def __repr__(self) -> str:
        return "<Made>"


class Asker(NamedTuple):
    """A process that asks: its number, 0 if it is not known, and when it started."""

    pid: int
    started: int


class _Rest(NamedTuple):
    """Why a recipe rests, after so many failures, and until when by the boot clock."""

    failure: Failure
    failures: int
    until: int


class MadeSecrets:
    """Runs the recipes of one agent and keeps what they made.

    `admit` judges a secret that is to be handed out; `is_locked` tells whether the agent is locked.
    `asker_of` returns the process behind a peer: the tool, where its `keyring` program asks for it.
    """

    def __init__(
        self,
        arena: Arena,
        key: ProcessKey,
        recipes: RecipeRecords,
        adopted: AdoptedSecrets,
        now: Callable[[], Now],
        holders: Mapping[str, Vault | MemoryRecords],
        admit: Callable[[str, str, memoryview, int], Admission],
        is_locked: Callable[[], bool],
        record_run: RecordRun,
        asker_of: Callable[[object], Asker],
    ) -> None:
        self._arena, self._key, self._now = arena, key, now
        self._recipes, self._adopted, self._holders = recipes, adopted, holders
        self._admit, self._is_locked, self._record_run = admit, is_locked, record_run
        self._asker_of = asker_of
        self._kept: dict[Login, Made] = {}
        self._of_askers: dict[tuple[Login, Asker], Made] = {}
        self._running: dict[Login, asyncio.Task[Made]] = {}
        self._resting: dict[Login, _Rest] = {}
        self._turns = {name: asyncio.Semaphore(AT_ONCE) for name in (COMMAND, *READERS)}
        self._forgotten = 0

    def forget(self) -> None:
        """Forget all that was made, and discard what is being made."""
        self._forgotten += 1
        self._key.forget()
        for held in (self._kept, self._of_askers, self._running, self._resting):
            held.clear()

    def drop(self, record: Record) -> None:
        """Forget what was made for a record, and its failures."""
        for held in (self._kept, self._running, self._resting):
            held.pop(record.login, None)
        for place in [each for each in self._of_askers if each[0] == record.login]:
            del self._of_askers[place]

    def peek(self, record: Record) -> Made | None:
        """Return what is kept for a record, however little of it is left."""
        made = self._kept.get(record.login)
        return made if made is not None and self._remaining_seconds(made) > 0 else None

    def ready(self, record: Record, peer: object = None) -> Made | None:
        """Return what may be handed out without a run, None if the command has to run first.

        `peer` is one that could run it itself, None if the agent is to do that.
        """
        asker = self._asker_for(record, peer)
        if asker is not None:
            made = self._of_askers.get((record.login, asker))
            return made if made is not None and self._now().boot < made.renewed else None
        made = self._kept.get(record.login)
        return made if made is not None and self._has_left(made, RESERVE) else None

    def _asker_for(self, record: Record, peer: object) -> Asker | None:
        """Return who runs the command of a record, None if it is the agent."""
        if peer is None or is_adopted(record):
            return None
        entry = self._recipes.entry_of(record)
        if entry is None or entry.recipe.run_in != ASKER:
            return None
        return self._asker_of(peer)

    async def read(self, record: Record, peer: object = None, *, attended: bool) -> Made:
        """Return what a record's command makes or keyring has; if `attended`, wait for its run.

        Raises Failure: `making` if a run is needed and the caller does not wait; `asker` if the `peer`
        has to run it; `command`, `provider` and `not-found` if it failed; `locked`.
        """
        if self._is_locked():
            raise Failure("locked", "The agent is locked.", "`auth unlock`", vaults=[], stored=True)
        if (made := self.ready(record, peer)) is not None:
            return made
        if (asker := self._asker_for(record, peer)) is not None:
            raise self._left_to(asker, record)
        try:
            running = self._running.get(record.login) or self._begin(record)
            if not attended:
                doing = "read in a keyring" if is_adopted(record) else "made by a command"
                raise Failure(
                    "making",
                    f"The credential for {display(record.service)} is being {doing}.",
                    "ask with `attended`, and wait",
                )
            return await asyncio.shield(running)
        except Failure as failure:
            made = self.peek(record)
            if failure.code == "making" or made is None or not self._has_left(made, LAST):
                raise
            return made

    def _left_to(self, asker: Asker, record: Record) -> Failure:
        """Return the failure that has a client run the command. Raises Failure if it must not."""
        entry, name = self._entry(record), display(record.service)
        if not asker.pid:
            raise Failure(
                "command",
                f"The command for {name} is run by what asks, and the agent cannot see which process"
                " that is.",
                '`run-in = "agent"` in config.toml has the agent run it',
            )
        self._require_runnable(entry)
        return Failure(
            "asker",
            f"The command for {name} is run by what asks.",
            "a client of this version runs it",
            service=record.service,
            username=record.username,
            command=[*entry.recipe.command],
            format=entry.recipe.format,
            timeout=entry.recipe.timeout,
        )

    def prepare(self, record: Record) -> Recipe:
        """Return the recipe of a record for a run elsewhere, which `keep` ends. Raises Failure."""
        entry = self._entry(record)
        if is_adopted(record):
            return entry.recipe._replace(command=tuple(self._adopted.command(record)))
        self._require_runnable(entry)
        return entry.recipe

    def keep(self, record: Record, secret: memoryview, end: int | None, peer: object) -> Made:
        """Keep what a run of the `peer` made; `end` is in seconds since 1970. Raises Failure."""
        asker = self._asker_for(record, peer)
        if asker is not None and not asker.pid:
            raise self._left_to(asker, record)
        made = self.seal(record, self._entry(record).recipe, secret, end)
        if asker is not None:
            self._keep_for(asker, record, made)
            return made
        self.drop(record)
        self.adopt(record, made)
        return made

    def _keep_for(self, asker: Asker, record: Record, made: Made) -> None:
        """Keep what one process made, and no longer what is over or was replaced."""
        self._of_askers = {
            place: each
            for place, each in self._of_askers.items()
            if self._remaining_seconds(each) > 0 and self._find(place[0]) is not None
        }
        while len(self._of_askers) >= _MOST_ASKERS:
            del self._of_askers[next(iter(self._of_askers))]
        self._of_askers[record.login, asker] = made

    async def make_first(
        self, record: Record, recipe: Recipe, variables: memoryview | None
    ) -> Made:
        """Do the first run for a record that is not stored yet, unless one is held. Raises Failure."""
        held = self._kept.pop(record.login, None)
        if held is not None and self._has_left(held, RESERVE):
            return held
        return await self._run(record, recipe, variables, self._forgotten)

    def hold(self, record: Record, made: Made) -> None:
        """Hold what was made for a record that cannot be stored yet, for the next `make_first`."""
        self._kept[record.login] = made

    def adopt(self, record: Record, made: Made) -> None:
        """Keep what was made for a record that is stored now, and nothing for those that are not."""
        logins = {
            login: each for login, each in self._kept.items() if self._find(login) is not None
        }
        self._kept = {**logins, record.login: made}

    def overview(self, record: Record) -> dict[str, Value]:
        """Return what a list says of a recipe: its command, and until when its credential is kept.

        Of an adopted one it says the latter, and the end that its token shows.
        """
        entry, made = self._find(record.login), self.peek(record)
        if entry is None:
            return {}
        kept: dict[str, Value] = {
            "until": None if made is None else made.kept.wall_end,
            "expires": None if made is None or made.end is None else made.end.wall_end,
        }
        if is_adopted(record):
            return kept if record.expires is None else {"until": kept["until"]}
        text = shlex.join((os.path.basename(entry.recipe.command[0]), *entry.recipe.command[1:]))
        return {
            "command": text if len(text) <= _SHOWN else f"{text[: _SHOWN - 1]}…",
            "attended": entry.recipe.attended,
            **kept,
        }

    def details(self, record: Record) -> dict[str, Value]:
        """Return the recipe of a record as a table, {} if it has none."""
        entry = self._recipes.entry_of(record)
        return {} if entry is None else {"recipe": entry.recipe.as_table()}

    @property
    def has_attended(self) -> bool:
        """Whether something is kept that only the user can have made anew."""
        return any(
            made.attended and self._remaining_seconds(made) > 0 for made in self._kept.values()
        )

    def status(self) -> dict[str, Value]:
        """Return how many recipes there are and how much is kept, and what is wrong.

        That is the problem with their file, and why credentials cannot be made or read now.
        """
        wrong, records = self._recipes.problem, [*self._recipes]
        for holder in self._holders.values():
            records += [each for each in holder.records.values() if is_adopted(each)]
        failures = [each for record in records if (each := self._problem_of(record)) is not None]
        return {
            "recipes": len([*self._recipes]),
            "kept": sum(self._remaining_seconds(made) > 0 for made in self._kept.values()),
            "problem": f"{self._recipes.path} {wrong}." if wrong else None,
            "problems": [
                {"problem": str(each)[:_SHOWN_PROBLEM], "hint": each.hint[:_SHOWN_PROBLEM]}
                for each in failures[:_MOST_PROBLEMS]
            ],
        }

    def _problem_of(self, record: Record) -> Failure | None:
        """Return why a credential cannot be made or read now, as far as that is known without a run."""
        entry = self._find(record.login)
        if entry is None:
            return None
        try:
            if is_adopted(record):
                self._adopted.require_reader(record)
            else:
                self._require_runnable(entry)
                _require_variables(entry)
        except Failure as failure:
            return failure
        rest = self._resting.get(record.login)
        return None if rest is None else rest.failure

    def _remaining_seconds(self, made: Made) -> int:
        return made.kept.remaining_seconds(self._now(), 0)

    def _has_left(self, made: Made, seconds: int) -> bool:
        """Tell whether more than `seconds` are left, or any if it has no known end."""
        return self._remaining_seconds(made) > (0 if made.end is None else seconds)

    def _find(self, login: Login) -> RecipeEntry | None:
        """Return how the credential of a login is made or read, if it is stored."""
        record = Record(*login[:3], None, None, *login[3:])
        if is_adopted(record):
            return self._adopted.entry_of(record)
        return self._recipes.entry_of(record)

    def _entry(self, record: Record) -> RecipeEntry:
        entry = self._find(record.login)
        if entry is None:
            raise Failure("busy", "The credential was replaced meanwhile.", "try again")
        return entry

    def renew_if_due(self, record: Record) -> None:
        """Begin the next run if most of a credential's life is over; a failure is not reported here."""
        made = self._kept.get(record.login)
        if made is None or self._now().boot < made.renewed or record.login in self._running:
            return
        try:
            self._begin(record)
        except Failure:
            return

    def _begin(self, record: Record) -> asyncio.Task[Made]:
        """Begin a run. Raises Failure if the recipe rests, needs the user, or must not run."""
        entry, login = self._entry(record), record.login
        if entry.recipe.attended == ALWAYS:
            raise Failure(
                "command",
                f"The command for {display(record.service)} needs you, and what it made is over.",
                _refresh_hint(record),
            )
        rest = self._resting.get(login)
        if rest is not None and self._now().boot < rest.until:
            raise rest.failure
        if not is_adopted(record):
            self._require_runnable(entry)
            _require_variables(entry)
        task = asyncio.get_running_loop().create_task(self._run_and_keep(entry, self._forgotten))
        task.add_done_callback(_retrieve)  # the requests that waited may be gone
        self._running[login] = task
        return task

    async def _run_and_keep(self, entry: RecipeEntry, forgotten: int) -> Made:
        record, login = entry.record, entry.record.login
        try:
            made = await self._run_entry(entry, forgotten)
        except Failure as failure:
            if self._running.get(login) is asyncio.current_task() and failure.code != "locked":
                self._rest(login, failure)
            raise
        finally:
            wanted = self._running.get(login) is asyncio.current_task()
            if wanted:
                del self._running[login]
        if not wanted:
            raise Failure("busy", "The credential was replaced meanwhile.", "try again")
        self._resting.pop(login, None)
        self.adopt(record, made)
        return made

    def _rest(self, login: Login, failure: Failure) -> None:
        before = self._resting.get(login)
        failures = 1 if before is None else before.failures + 1
        seconds = min(_SHORTEST_REST * 2 ** (failures - 1), _LONGEST_REST)
        self._resting[login] = _Rest(failure, failures, self._now().boot + seconds)

    async def _run_entry(self, entry: RecipeEntry, forgotten: int) -> Made:
        """Run a command with its variables. Raises Failure."""
        held = entry.variables
        if held is None:
            return await self._run(entry.record, entry.recipe, None, forgotten)
        block = self._arena.allocate(size_of(held))
        try:
            open_variables(self._holders, held, entry.record, block)
            return await self._run(entry.record, entry.recipe, block, forgotten)
        finally:
            self._arena.release(block)

    async def _run(
        self, record: Record, recipe: Recipe, variables: memoryview | None, forgotten: int
    ) -> Made:
        """Run a command, or read in a keyring, and seal what came. Raises Failure."""
        async with self._turns[COMMAND if record.adopted is None else record.adopted.reader]:
            return await self._run_now(record, recipe, variables, forgotten)

    async def _run_now(
        self, record: Record, recipe: Recipe, variables: memoryview | None, forgotten: int
    ) -> Made:
        block = self._arena.allocate(MAX_OUTPUT)
        try:
            if is_adopted(record):
                answer = await self._adopted.read(record, variables, block)
            else:
                answer = await self._run_command(record, recipe, variables, block)
            if forgotten != self._forgotten:
                raise locked_meanwhile_error()
            secret = block[: answer["size"]]
            try:
                made = self.seal(record, recipe, secret, answer["end"])
            finally:
                secret.release()
        except Failure as failure:
            self._record_run(record, {"decision": "failed", "code": failure.code})
            raise
        finally:
            self._arena.release(block)
        end = made.end
        self._record_run(
            record, {"decision": "done", "expires": None if end is None else end.wall_end}
        )
        return made

    async def _run_command(
        self, record: Record, recipe: Recipe, variables: memoryview | None, into: memoryview
    ) -> dict[str, Any]:
        asked = {"command": [*recipe.command], "as": recipe.format, "now": self._now().wall}
        try:
            return await run_job(
                self._arena, "command-run", asked, variables, into, recipe.timeout, {}
            )
        except WorkerError as error:
            raise _failure_of(error, record, recipe) from None

    def seal(self, record: Record, recipe: Recipe, secret: memoryview, end: int | None) -> Made:
        """Judge what a command made, and seal it. Raises Failure."""
        now, service, username = self._now(), record.service, record.username
        try:
            admission = self._admit(service, username, secret, now.wall)
        except Expired:
            admission = None
        except NotAdmitted as no:
            raise Failure("command", str(no), _refresh_hint(record)) from None
        said = [each for each in (end, admission and admission.end) if each is not None]
        if admission is None or (said and min(said) <= now.wall):
            who = "The keyring has" if is_adopted(record) else "The command made"
            raise Failure(
                "command",
                f"{who} a token for {display(service)} whose end is over by the clock of this"
                " machine.",
                _refresh_hint(record),
            )
        usual = None if is_adopted(record) else usual_seconds(service, username)
        known = min(said) - now.wall if said else recipe.kept or usual
        seconds = min(known or recipe.usual_seconds, recipe.kept or MOST_KEPT, MOST_KEPT)
        part = secret[admission.start : admission.stop]
        try:
            sealed = self._key.seal(part, context(b"tokenward made", *record.key))
        finally:
            part.release()
        return Made(
            sealed,
            Lifetime.beginning(now, seconds),
            now.boot + seconds * 4 // 5,
            None if known is None else Lifetime.beginning(now, known),
            recipe.attended == ALWAYS,
        )

    def _require_runnable(self, entry: RecipeEntry) -> None:
        require_runnable(entry.record, entry.recipe, entry.pin, entry.name)


def require_runnable(record: Record, recipe: Recipe, pin: Pin | None, name: str = "") -> None:
    """Raise Failure unless the program of a recipe is still the one that the user chose.

    `name` is that of the recipe's table in config.toml, "" if it has none.
    """
    program = recipe.command[0]
    problem = program_objection(program, uid()) or project_objection(program)
    if problem is None and pin is not None and pin_of(program) != pin:
        problem = "has another owner or mode than at the login"
    if problem is not None:
        again = _login_again(record, recipe, os.path.isfile(program))
        raise Failure(
            "command",
            f"The program {program}, which makes the credential for {display(record.service)}, is not"
            f" run: it {problem}.",
            f"correct `services.{name}` in config.toml, or `auth login {name}` if it is in order"
            if name
            else f"`{again}`, once the program is in order, chooses it again",
        )


def _login_again(record: Record, recipe: Recipe, is_there: bool) -> str:
    """Return the login that stored a recipe; a program that is gone is looked for on PATH."""
    words = ["auth", "login", display(record.service)]
    words += ["-u", record.username] if record.username else ["--no-username"]
    words += ["--command"] if recipe.format == "auto" else ["--command", "--as", recipe.format]
    words += [] if recipe.kept is None else ["--lifetime", f"{recipe.kept}s"]
    words += ["--attended"] if recipe.attended == ALWAYS else []
    program, *arguments = recipe.command
    words += ["--", program if is_there else os.path.basename(program), *arguments]
    text = shlex.join(words)
    return (
        text if len(text) <= _SHOWN_COMMAND else "auth login SERVICE -u NAME --command -- PROGRAM"
    )


def _require_variables(entry: RecipeEntry) -> None:
    """Raise Failure if the command gets variables of the user's shell, and no login passed them on."""
    if entry.recipe.environment and entry.variables is None:
        raise Failure(
            "command",
            f"The command for {display(entry.record.service)} gets variables of your shell by"
            " config.toml, and has none of them yet.",
            f"`auth login {entry.name}` in that shell passes them on",
        )


def pin_of(program: str) -> Pin:
    """Return what a program is recognised by. Raises Failure."""
    try:
        found = os.stat(program)
    except OSError as error:
        raise Failure("command", f"{program} cannot be examined: {error.strerror}.") from None
    return Pin(found.st_uid, found.st_mode)


def _failure_of(error: WorkerError, record: Record, recipe: Recipe) -> Failure:
    """Return the failure of a run, with the command that helps."""
    if error.code == "timeout":
        program = os.path.basename(recipe.command[0])
        said = f"{program} did not end within {recipe.timeout} seconds."
    else:
        said = str(error)
    code = error.code if error.code in {"not-found", "command"} else "command"
    hint = "" if recipe.attended == NEVER else _refresh_hint(record)
    if recipe.run_in == ASKER:
        hint = "tools run it by themselves, but for a share or a relay the agent does"
    elif _has_own_rights(recipe.command[0]):
        hint = (
            'a login with `--attended`, or `run-in = "asker"` in config.toml: the program has rights of'
            " its own (setuid or setgid), which the agent cannot give it"
        )
    return Failure(code, said, hint)


def _has_own_rights(program: str) -> bool:
    """Tell whether a program runs as another user or group: the agent's cannot (no new privileges)."""
    try:
        return bool(os.stat(program).st_mode & (stat.S_ISUID | stat.S_ISGID))
    except OSError:
        return False


def _refresh_hint(record: Record) -> str:
    return f"`auth refresh {display(record.service)}` runs it at your terminal"


def _retrieve(task: asyncio.Task[Made]) -> None:
    if not task.cancelled():
        task.exception()
