"""Adopted credentials: how one that stays in a keyring is read there, in a worker.

A vault, or memory where none can be written, knows that such a credential exists, who reads it, and
the variables with which a plug-in of keyring works in the user's shell; never its secret.
made_secrets.py keeps what was read, as it keeps what a command made.

The service is looked up as the user typed it, in its canonical spelling, with and without the final
slash, and with `simple/`: backends store it under different spellings. Of the search path that the
login passed on, a worker gets only the folders that no other user but root can change, and none of
a project or a virtual environment.
"""

from __future__ import annotations

import contextlib
import os
import shlex
import sys
from typing import TYPE_CHECKING, Any, Final

from tokenward_agent.failure import Failure
from tokenward_agent.store.keyring_program import folder_objection
from tokenward_agent.store.recipe_records import RecipeEntry, SealedVariables
from tokenward_agent.store.slot_keys import ATTENDED_SECONDS
from tokenward_agent.vault.record import AdoptedSource
from tokenward_agent.worker.runner import WorkerError, run_job
from tokenward_os.files import uid
from tokenward_protocol.messages import COMMAND
from tokenward_protocol.plugin_variables import MOST_BYTES, PATH, is_of_plugins
from tokenward_protocol.recipes import Recipe
from tokenward_protocol.urls import display

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tokenward_agent.arena import Arena
    from tokenward_agent.store.keyring_program import KeyringProgram
    from tokenward_agent.store.memory_records import MemoryRecords
    from tokenward_agent.vault.record import Record
    from tokenward_agent.vault.vault import Vault

READERS: Final = ("keyring", "subprocess")
"""Who can read an adopted credential: the library, or the user's `keyring` program."""

READING: Final = Recipe((), "text", timeout=int(ATTENDED_SECONDS))
"""In the place of a recipe: five minutes for what shows no end, and a minute for its reading."""


def is_adopted(record: Record) -> bool:
    """Tell whether the credential of a record stays in a keyring."""
    return record.adopted is not None and record.adopted.reader != COMMAND


class AdoptedSecrets:
    """Reads the adopted secrets of one agent."""

    def __init__(
        self,
        arena: Arena,
        vaults: Mapping[str, Vault],
        memory: MemoryRecords,
        program: KeyringProgram,
    ) -> None:
        self._arena, self._program = arena, program
        self._vaults, self._memory = vaults, memory

    def source(self, reader: str | None, provider: str, spelling: str) -> AdoptedSource:
        """Return where a credential of a vault is to be read. Raises Failure."""
        reader = reader or (provider if provider in READERS else READERS[0])
        if reader not in READERS:
            raise Failure("bad-request", "The `reader` is `keyring` or `subprocess`.")
        return AdoptedSource(reader, spelling)

    def choose_program(self, program: str | None) -> None:
        """Have this `keyring` program be run from now on. Raises Failure."""
        self._program.choose(program, self._vaults["keyring"].header)

    def entry_of(self, record: Record) -> RecipeEntry | None:
        """Return how an adopted record is read; None if it was replaced, or its vault is closed."""
        holders: list[Vault | MemoryRecords] = [*self._vaults.values(), self._memory]
        for holder in holders:
            held = holder.records.get(record.key)
            if held is not None and held.login == record.login:
                sealed = held.secret
                variables = sealed and SealedVariables(holder.provider, (), sealed)
                return RecipeEntry(record, READING, None, variables or None)
        return None

    async def read(
        self, record: Record, variables: memoryview | None, into: memoryview
    ) -> dict[str, Any]:
        """Read a secret; the answer has its `size`, and no `end`. Raises Failure."""
        header = {"username": record.username, "services": _spellings_of(record)}
        usable = None if variables is None else self._usable(variables)
        try:
            answer = await self._run_job("read", record, header, usable, into)
        finally:
            if usable is not None:
                self._arena.release(usable)
        return {**answer, "end": None}

    def require_reader(self, record: Record) -> None:
        """Raise Failure if the program that reads a credential must not run."""
        if _source_of(record).reader != "subprocess":
            return
        try:
            self._program.select()
        except Failure as wrong:
            raise Failure(wrong.code, str(wrong), self._adopt_again(record)) from None

    def _adopt_again(self, record: Record) -> str:
        words = ["auth", "login", _source_of(record).spelling]
        words += ["-u", record.username] if record.username else ["--no-username"]
        words += ["--adopt", "--keyring-provider", "subprocess"]
        return f"`{shlex.join(words)}` chooses the `keyring` program that is on PATH now"

    def command(self, record: Record) -> list[str]:
        """Return the command that reads it at the user's terminal. Raises Failure."""
        if record.username.startswith("-"):
            raise Failure(
                "refused", "No `keyring` program can be asked for a name that begins with `-`."
            )
        self.require_reader(record)
        adopted = _source_of(record)
        program = [sys.executable, "-I", "-m", "keyring"]
        if adopted.reader == "subprocess":
            program = [self._program.select()]
        return [*program, "get", adopted.spelling, record.username]

    async def purge(self, record: Record) -> None:
        """Delete an adopted credential from its keyring; do nothing for other records."""
        if not is_adopted(record):
            return
        for spelling in _spellings_of(record):
            header = {"username": record.username, "service": spelling}
            with contextlib.suppress(Failure):
                await self._run_job("delete", record, header, None, None)

    async def _run_job(
        self,
        doing: str,
        record: Record,
        header: dict[str, Any],
        variables: memoryview | None,
        into: memoryview | None,
    ) -> dict[str, Any]:
        self.require_reader(record)
        try:
            if _source_of(record).reader == "subprocess":
                return await self._program.run(doing, header, variables, into, ATTENDED_SECONDS, {})
            return await run_job(
                self._arena, f"keyring-{doing}", header, variables, into, ATTENDED_SECONDS, {}
            )
        except WorkerError as error:
            code = error.code if error.code in {"not-found", "command"} else "provider"
            hint = _at_terminal(record) if code == "command" else error.hint
            raise Failure(code, str(error), hint) from None

    def _usable(self, block: memoryview) -> memoryview:
        """Return a copy of a block of variables, with the folders of PATH that may be searched."""
        usable = self._arena.allocate(len(block))
        size = 0
        for variable in variables_in(block):
            part: memoryview | bytes = variable
            if name_of(variable) == PATH:
                part = _safe_path(bytes(variable)[len(PATH) + 1 :])
            if not part:
                continue
            usable[size : size + len(part)] = part
            size += len(part) + 1  # the rest of the block is zero
        return usable


def require_variables(block: memoryview) -> None:
    """Raise Failure unless a block has variables of plug-ins alone; no value becomes an object."""
    if len(block) > MOST_BYTES:
        raise Failure("too-large", "The variables of the credential are too long.")
    names = [name_of(each) for each in variables_in(block)]
    if not names or block[-1] != 0:
        raise Failure("bad-request", "The variables of a credential each end with a NUL.")
    for name in names:
        if not is_of_plugins(name):
            raise Failure(
                "refused", f"{name or 'A text without a name'} is no variable of plug-ins."
            )


def variables_in(block: memoryview) -> Iterator[memoryview]:
    """Return the variables of a block, `NAME=VALUE` each, without their NUL."""
    start = 0
    for at, byte in enumerate(block):
        if byte == 0:
            yield block[start:at]
            start = at + 1


def name_of(variable: memoryview) -> str:
    """Return the name of a variable, "" if it has no value."""
    for at, byte in enumerate(variable):
        if byte == 0x3D:
            return str(variable[:at], "ascii", "replace")
    return ""


def _safe_path(value: bytes) -> bytes:
    """Return PATH with the folders that may be searched, b"" for the agent's own PATH."""
    folders = os.fsdecode(value).split(os.pathsep)
    safe = [each for each in folders if folder_objection(each, uid()) is None]
    return os.fsencode(f"{PATH}={os.pathsep.join(safe)}") if safe else b""


def _source_of(record: Record) -> AdoptedSource:
    if record.adopted is None:
        raise LookupError(display(record.service))
    return record.adopted


def _at_terminal(record: Record) -> str:
    """Return what asks a plug-in at the user's terminal; a record that is not stored has no time."""
    if not record.created:
        return "`auth login` with `--adopt --attended` asks it at your terminal"
    return f"`auth refresh {display(record.service)}` asks it at your terminal"


def _spellings_of(record: Record) -> list[str]:
    return spellings(_source_of(record).spelling, record.service)


def spellings(typed: str, normalised: str) -> list[str]:
    """Return the spellings under which another tool may have stored a credential, in order.

    As typed and normalised, each with and without a trailing slash and with ``/simple/``.
    """
    found: dict[str, None] = {}
    for service in (typed, normalised):
        bare = service.rstrip("/")
        found.update(dict.fromkeys((service, bare, f"{bare}/")))
    for service in (typed, normalised):
        bare = service.rstrip("/")
        if "://" in bare and not bare.endswith("/simple"):
            found.update(dict.fromkeys((f"{bare}/simple/", f"{bare}/simple")))
    return list(found)
