"""The recipes of one agent: those of `auth login --command`, and those of the user's `config.toml`.

The former are in `recipes.toml` in the state folder, closed to other users; never in the
credentials directory, since a process that can write there must not choose which program runs.
There is no secret in the file; variables that the user passes on are sealed under the key of a
vault, which has to be open for a run. A file that cannot be read or is wrong counts as empty, is
never overwritten, and `problem` says what is wrong.

A recipe is a record like those of a vault, but it has no secret: made_secrets.py has what its
command made. Of two recipes for one account that of `config.toml` counts. The file has for such a
one, too, what a login of it chose: the owner and mode of its program, and the values of its
`environment`. That counts as long as config.toml says the same of the command.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from tokenward_agent.failure import Failure, KeyDestroyed
from tokenward_agent.files import open_plain, replace
from tokenward_agent.vault.record import AdoptedSource, Record
from tokenward_os.files import open_to_others, uid
from tokenward_protocol.messages import COMMAND
from tokenward_protocol.reach_marks import marks_text, read_marks
from tokenward_protocol.recipes import Recipe, RecipeError, read_recipe, require_passable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from typing import NoReturn

    from tokenward_agent.vault.record import Key

    Configured = tuple[tuple[str, str, Recipe, str], ...]

NAME: Final = "recipes.toml"
MOST: Final = 64
"""The most recipes of `auth login`; a list shows more of each than of a stored credential."""

_MAX_SIZE: Final = 1 << 20
_NAMES: Final = "environment"
_HEAD: Final = """\
# The commands that make credentials, as `auth login --command` stored them. No secret is in here in the open.
"""


class Pin(NamedTuple):
    """The owner and the mode of a program when it was chosen."""

    owner: int
    mode: int


class SealedVariables(NamedTuple):
    """The variables that a command gets, sealed in the vault of `provider`; the names are in the open."""

    provider: str
    names: tuple[str, ...]
    sealed: bytes


class RecipeEntry(NamedTuple):
    """A recipe and its record.

    `name` is that of a table in config.toml, "" for a recipe of `auth login`; `pin` is None for one
    of config.toml without a login.
    """

    record: Record
    recipe: Recipe
    pin: Pin | None
    variables: SealedVariables | None = None
    name: str = ""


class Chosen(NamedTuple):
    """What a login chose for a recipe of config.toml, whose record is named `recipe`."""

    recipe: str
    pin: Pin
    variables: SealedVariables | None


class RecipeRecords:
    """The recipes of an agent whose state folder is `state`; `configured` returns config.toml's."""

    provider = COMMAND
    latest_time = 0

    def __init__(
        self, state: str, configured: Callable[[], Configured], now: Callable[[], int]
    ) -> None:
        self.path = os.path.join(state, NAME)
        self.problem = ""
        self._configured, self._now = configured, now
        self._seen: Configured = ()
        self._of_config: dict[Key, RecipeEntry] = {}
        self._chosen: dict[Key, Chosen] = {}
        self._stored = self._read()
        self._used: dict[Key, int] = {}

    def __iter__(self) -> Iterator[Record]:
        return (entry.record for entry in (self._stored | self._of_config).values())

    def refresh(self) -> bool:
        """Tell whether config.toml has other recipes than the last time."""
        configured = self._configured()
        if configured is self._seen:
            return False
        before, self._seen, self._of_config = self._of_config, configured, {}
        for service, username, recipe, name in configured:
            known = hashlib.sha256(json.dumps(recipe.as_table()).encode()).hexdigest()[:16]
            record = _record(service, username, self._now(), known)
            former = before.get(record.key)
            if former is not None and former.recipe == recipe:
                record = former.record
            chosen = self._chosen.get(record.key)
            pin, variables = None, None
            if chosen is not None and chosen.recipe == known:
                pin, variables = chosen.pin, chosen.variables
            self._of_config[record.key] = RecipeEntry(record, recipe, pin, variables, name)
        return True

    def configured_entry(self, service: str, username: str) -> RecipeEntry | None:
        """Return the recipe that config.toml has for an account."""
        return self._of_config.get(_record(service, username, 0, "").key)

    def choose(self, entry: RecipeEntry, pin: Pin, variables: SealedVariables | None) -> None:
        """Store what a login chose for a recipe of config.toml. Raises Failure."""
        chosen = Chosen(_name_of(entry.record), pin, variables)
        held = {k: each for k, each in self._chosen.items() if k in self._of_config}
        self._write(self._stored, {**held, entry.record.key: chosen})
        self._of_config[entry.record.key] = entry._replace(pin=pin, variables=variables)

    def entry_of(self, record: Record) -> RecipeEntry | None:
        """Return the recipe of a record; None if it was replaced or removed."""
        entry = self._of_config.get(record.key) or self._stored.get(record.key)
        return entry if entry is not None and entry.record.login == record.login else None

    def is_configured(self, record: Record) -> bool:
        """Tell whether config.toml has the recipe of an account."""
        return record.key in self._of_config

    def require_own(self, service: str, username: str) -> None:
        """Raise Failure if config.toml has the recipe of an account: no request changes that file."""
        entry = self.configured_entry(service, username)
        if entry is not None:
            raise Failure(
                "refused",
                f"The credential of {username} for {service} comes from a command, by config.toml.",
                f"remove `command` of `services.{entry.name}` there",
            )

    def add(
        self,
        service: str,
        username: str,
        created: int,
        recipe: Recipe,
        pin: Pin,
        variables: SealedVariables | None,
        trust: tuple[bytes, ...] = (),
    ) -> RecipeEntry:
        """Store a recipe, replacing the former one of the account. Raises Failure."""
        record = _record(service, username, created, os.urandom(8).hex(), trust)
        entry = RecipeEntry(record, recipe, pin, variables)
        if record.key not in self._stored and len(self._stored) >= MOST:
            raise Failure(
                "busy", f"The agent has {MOST} recipes and takes no more.", "`auth logout`"
            )
        self._write({**self._stored, record.key: entry}, self._chosen)
        return entry

    def remove(self, records: Iterable[Record]) -> None:
        """Remove recipes. Raises Failure."""
        gone = {record.key for record in records if record.key in self._stored}
        if gone:
            left = {key: entry for key, entry in self._stored.items() if key not in gone}
            self._write(left, self._chosen)

    def open_secret(self, _record: Record, _out: memoryview) -> NoReturn:
        """Never called: what a recipe made is read in another way."""
        raise KeyDestroyed

    def use(self, record: Record, wall: int) -> None:
        """Remember a use of a record."""
        self._used[record.key] = wall

    def last_used(self, record: Record) -> int | None:
        """Return the time of a record's last use."""
        return self._used.get(record.key)

    def _read(self) -> dict[Key, RecipeEntry]:
        self.problem = ""
        try:
            with open(open_plain(self.path), "rb") as file:
                found = os.fstat(file.fileno())
                data = file.read(_MAX_SIZE)
        except FileNotFoundError:
            return {}
        except OSError as error:
            self.problem = f"cannot be read: {error.strerror}"
            return {}
        try:
            if found.st_uid != uid() or open_to_others(found.st_mode):
                raise ValueError("can be read or changed by other users")
            from tokenward_protocol.toml_text import parse_toml

            found_tables = parse_toml(data)
            entries = [_entry(table) for table in found_tables.get("recipe", [])]
            self._chosen = dict(map(_read_chosen, found_tables.get("chosen", [])))
        except RecipeError as error:
            self.problem = f"has a `{error.key}` that {error}"
        except ValueError as error:
            self.problem = str(error)
        else:
            return {entry.record.key: entry for entry in entries}
        return {}

    def _write(self, entries: dict[Key, RecipeEntry], chosen: dict[Key, Chosen]) -> None:
        if self.problem:
            raise Failure(
                "vault", f"{self.path} {self.problem}.", "repair the file, or move it away"
            )
        texts = [_text(entry) for entry in entries.values()]
        texts += [_chosen_text(*each) for each in chosen.items()]
        text = _HEAD + "".join(texts)
        try:
            replace(self.path, text.encode())
        except OSError as error:
            raise Failure("vault", f"{self.path} cannot be written: {error.strerror}.") from None
        self._stored, self._chosen = entries, chosen


def _record(
    service: str, username: str, created: int, name: str, trust: tuple[bytes, ...] = ()
) -> Record:
    source = AdoptedSource(COMMAND, name)
    return Record(service, username, created, None, None, source, None, trust=trust)


def _name_of(record: Record) -> str:
    return "" if record.adopted is None else record.adopted.spelling


def _entry(table: Any) -> RecipeEntry:
    """Return the recipe in a table of the file. Raises RecipeError, ValueError."""
    record, pin = _account(table)
    recipe = read_recipe({key: value for key, value in table.items() if key != _NAMES})
    return RecipeEntry(record, recipe, pin, _variables(table))


def _read_chosen(table: Any) -> tuple[Key, Chosen]:
    """Return what a login chose for a recipe of config.toml. Raises RecipeError, ValueError."""
    record, pin = _account(table)
    return record.key, Chosen(_name_of(record), pin, _variables(table))


def _account(table: Any) -> tuple[Record, Pin]:
    """Return the record and the program's pin in a table. Raises RecipeError, ValueError."""
    if not isinstance(table, dict):
        raise RecipeError("recipe", "is not a table")
    texts = [*map(table.get, ("service", "username", "id")), table.get("trust", "")]
    numbers = [table.get(key) for key in ("created", "owner", "mode")]
    if not all(isinstance(t, str) for t in texts) or not all(type(n) is int for n in numbers):
        raise ValueError("has a recipe without its account or the owner of its program")
    service, username, name, trust = map(str, texts)
    created, owner, mode = (int(n or 0) for n in numbers)
    record = _record(service, username, created, name, read_marks(trust))
    return record, Pin(owner, mode)


def _variables(table: dict[str, Any]) -> SealedVariables | None:
    names, provider, sealed = (table.get(key) for key in (_NAMES, "vault", "sealed"))
    if names is None:
        return None
    if not isinstance(names, list) or not isinstance(provider, str) or not isinstance(sealed, str):
        raise RecipeError("environment", "is not complete")
    for each in names:
        require_passable(str(each))
    return SealedVariables(provider, tuple(names), base64.b64decode(sealed, validate=True))


def _text(entry: RecipeEntry) -> str:
    pin = entry.pin or Pin(0, 0)
    return _table_text("recipe", entry.record, pin, entry.variables, entry.recipe.as_table())


def _chosen_text(key: Key, chosen: Chosen) -> str:
    record = _record(key[0], key[1], 0, chosen.recipe)
    return _table_text("chosen", record, chosen.pin, chosen.variables, {})


def _table_text(
    name: str, record: Record, pin: Pin, held: SealedVariables | None, more: dict[str, Any]
) -> str:
    table: dict[str, Any] = {
        "service": record.service,
        "username": record.username,
        "id": _name_of(record),
        "created": record.created,
        "owner": pin.owner,
        "mode": pin.mode,
        **more,
    }
    if record.trust:
        table["trust"] = marks_text(record.trust)
    if held is not None:
        sealed = base64.b64encode(held.sealed).decode()
        table |= {_NAMES: [*held.names], "vault": held.provider, "sealed": sealed}
    lines = (f"{key} = {_quote(value)}\n" for key, value in table.items())
    return f"\n[[{name}]]\n" + "".join(lines)


def _quote(value: object) -> str:
    """Write a value as TOML has it, which is JSON's way but for one control character."""
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
