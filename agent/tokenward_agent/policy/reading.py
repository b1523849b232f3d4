"""Reading the policy from `config.toml`: all of it, or the line that is wrong.

    [[policy]]
    service = "pypi"        # a URL, pypi, testpypi, or a name that this file defines
    username = "__token__"
    program = "twine"       # a name, or the absolute path of a program or script
    purpose = "publish"     # or install
    project = ["mine", "another"]
    decide = "ask"          # allow, ask or deny; required
    remember = "15m"        # with `ask`: how long an approval holds
    rate = "20/1h"          # with `allow` and `ask`: a rate limit
    ttl = "15m"             # with `allow` and `ask`: the longest lifetime of an attenuated token
    narrow = false          # with `allow` and `ask`: hand out the stored token

Each key takes a text; keys that a rule matches by take a list of texts as well. The file's top has
the programs for prompts and keys, how runs reach their indexes (relay_settings.py), the recipes of
services (recipe_settings.py), shares (share_settings.py), and when the agent locks by itself; the
last four are the defaults:

    pinentry = "/usr/bin/pinentry-qt"
    unlock = "prompt"               # ask for the passphrase of a vault that a tool finds closed
    keyring-program = "/usr/bin/keyring"
    lock-on-sleep = true            # before the machine sleeps
    lock-on-screen-lock = false     # when the screen is locked
    lock-on-logout = true           # when the user's last session ends
    lock-after-idle = "never"       # or "8h": after a time without a request

No program runs while the machine sleeps or the user is logged out, so such a lock interrupts nothing;
behind a locked screen builds and uploads go on (docs/adr).

A rule that could never apply as written is an error, since half a policy is worse than none. No
message holds any part of a value. Pure; only this module imports tomllib, on demand.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from tokenward_agent.policy.recipe_settings import read_recipe_settings
from tokenward_agent.policy.relay_settings import read_relay_settings
from tokenward_agent.policy.rule import (
    ASK,
    DECISIONS,
    DENY,
    PURPOSES,
    LockSettings,
    Policy,
    Rate,
    Rule,
    Terms,
)
from tokenward_agent.policy.share_settings import read_share_settings
from tokenward_protocol import toml_text
from tokenward_protocol.caveats import normalise_name
from tokenward_protocol.durations import parse_seconds
from tokenward_protocol.index_tokens import LEAST_TTL
from tokenward_protocol.urls import FIXED, is_name, parse_service_url, strip_index_suffix

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

MOST_RULES: Final = 256
MOST_VALUES: Final = 256  # the most values of a list in a rule
MOST_COUNT: Final = 1000  # the highest count of a rate limit
_KEYS: Final = {
    *("service", "username", "program", "purpose", "project"),
    *("decide", "remember", "rate", "ttl", "narrow"),
}
_HEADER: Final = re.compile(rb"[ \t]*\[\[[ \t]*[\"']?policy[\"']?[ \t]*\]\]")
_LOCKS: Final = {
    "lock-on-sleep": "sleep",
    "lock-on-screen-lock": "screen",
    "lock-on-logout": "logout",
}
_OF_TOOLS: Final = ("poetry-repository-", "pdm-repository-", "pdm-pypi-")
"""Prefixes of the names under which tools store the credentials of an index."""


class PolicyError(ValueError):
    """An invalid policy; the text says what is wrong, worded to follow the file's name."""

    def __init__(self, wrong: str, line: int = 0) -> None:
        super().__init__(f"{wrong} (line {line})" if line else wrong)


def read_policy(data: bytes, resolved: Callable[[str], str] = str) -> Policy:
    """Return what a `config.toml` says. Raises PolicyError.

    `resolved` follows the links of a path: a rule's path matches as it is written, and as it
    resolves.
    """
    try:
        table = toml_text.parse_toml(data)
    except ValueError as error:
        raise PolicyError(str(error)) from None
    entries = table.get("policy", [])
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise PolicyError("has a `policy` that is not a list of rules")
    if len(entries) > MOST_RULES:
        raise PolicyError(f"has more than {MOST_RULES} rules")
    named = table.get("services", {})
    lines = data.splitlines()
    starts = [n for n, line in enumerate(lines, 1) if _HEADER.match(line)]
    if len(starts) != len(entries):  # an inline list: `policy = [{...}]`
        starts = [0] * len(entries)
    pinentry = table.get("pinentry", "")
    if not isinstance(pinentry, str) or ("/" in pinentry and not pinentry.startswith("/")):
        raise PolicyError("has a `pinentry` that is neither a name nor an absolute path")
    program = table.get("keyring-program", "")
    if not isinstance(program, str) or (program and not program.startswith("/")):
        raise PolicyError("has a `keyring-program` that is not an absolute path")
    try:
        relay = read_relay_settings(table)
        recipes = read_recipe_settings(table)
        shares = read_share_settings(table)
    except ValueError as error:
        raise PolicyError(str(error)) from None
    rules = (
        _Reader(entry, start, lines, named if isinstance(named, dict) else {}).read_rule(
            number, resolved
        )
        for number, (entry, start) in enumerate(zip(entries, starts, strict=True), 1)
    )
    if table.get("unlock", "prompt") != "prompt":
        raise PolicyError('has an `unlock` that is not "prompt"')
    locks, prompts = read_lock_settings(table), "unlock" in table
    return Policy(tuple(rules), pinentry, locks, program, relay, recipes, prompts, shares)


def read_lock_settings(table: Mapping[str, Any]) -> LockSettings:
    """Return when a parsed config.toml says to lock. Raises PolicyError."""
    said: dict[str, Any] = {}
    for key, field in _LOCKS.items():
        if key in table:
            if not isinstance(table[key], bool):
                raise PolicyError(f"has a `{key}` that is neither true nor false")
            said[field] = table[key]
    idle = table.get("lock-after-idle", "never")
    if idle != "never":
        try:
            said["idle"] = parse_seconds(idle)
        except (ValueError, TypeError):
            raise PolicyError(
                'has a `lock-after-idle` that is neither "never" nor a length of time such as 8h'
            ) from None
    return LockSettings(**said)


class _Reader:
    """Reads one rule."""

    def __init__(
        self, entry: dict[str, Any], start: int, lines: list[bytes], named: dict[str, Any]
    ) -> None:
        self._entry, self._start, self._lines, self._named = entry, start, lines, named
        self._number = 0

    def read_rule(self, number: int, resolved: Callable[[str], str]) -> Rule:
        """Return the rule, number `number` of its file. Raises PolicyError."""
        self._number = number
        for key in self._entry:
            if key not in _KEYS:
                shown = key if re.fullmatch("[a-z-]{1,20}", key) else ""
                raise self._error(f"an unknown key `{shown}`" if shown else "an unknown key", key)
        decide = self._text("decide")
        if decide not in DECISIONS:
            raise self._error("no `decide` that is allow, ask or deny", "decide")
        programs = self._values("program", _read_program)
        remember, rate, terms = self._seconds("remember"), self._rate(), self._terms()
        if remember and decide != ASK:
            raise self._error("a `remember`, which only `ask` can have", "remember")
        for key in ("rate", "ttl", "narrow"):
            if decide == DENY and key in self._entry:
                raise self._error(f"a `{key}`, which `deny` cannot have", key)
        return Rule(
            decide,
            self._start,
            tuple(key for keys in self._values("service", self._service) for key in keys),
            self._values("username", str),
            tuple(dict.fromkeys(p for q in programs for p in (q, _resolve_program(q, resolved)))),
            self._values("purpose", _read_purpose),
            self._values("project", _read_project),
            remember,
            rate,
            terms,
        )

    def _text(self, key: str) -> str | None:
        value = self._entry.get(key)
        if value is not None and not isinstance(value, str):
            raise self._error(f"a `{key}` that is not a text", key)
        return value

    def _values(self, key: str, read: Callable[[str], Any]) -> tuple[Any, ...]:
        given = self._entry.get(key)
        if given is None:
            return ()
        values = given if isinstance(given, list) else [given]
        if not 0 < len(values) <= MOST_VALUES or not all(isinstance(v, str) for v in values):
            raise self._error(f"a `{key}` that is neither a text nor a list of texts", key)
        try:
            return tuple(read(value) for value in values)
        except ValueError as error:
            wrong = str(error) if type(error) is ValueError else "that is not a service"
        raise self._error(f"a `{key}` {wrong}", key)

    def _service(self, text: str) -> list[str]:
        """Return the keys of a service. Raises ValueError."""
        if text in FIXED:
            return [FIXED[text]]
        if text.startswith(_OF_TOOLS):
            return [text]
        urls = [text]
        if is_name(text):
            table: Any = self._named.get(text)
            values = [table.get("url"), table.get("publish-url")] if isinstance(table, dict) else []
            urls = [value for value in values if isinstance(value, str)]
        if not urls:
            raise ValueError("that is neither a URL nor a name that this file defines")
        return [strip_index_suffix(parse_service_url(url).key) for url in urls]

    def _seconds(self, key: str) -> int:
        text = self._text(key)
        try:
            return 0 if text is None else parse_seconds(text)
        except ValueError:
            pass
        raise self._error(f"a `{key}` that is not a length of time such as 15m", key)

    def _terms(self) -> Terms:
        ttl, narrow = self._seconds("ttl"), self._entry.get("narrow", True)
        if 0 < ttl < LEAST_TTL:
            raise self._error("a `ttl` of less than a minute", "ttl")
        if not isinstance(narrow, bool):
            raise self._error("a `narrow` that is neither true nor false", "narrow")
        if ttl and not narrow:
            raise self._error("a `ttl`, which `narrow = false` cannot have", "ttl")
        return Terms(ttl, narrow)

    def _rate(self) -> Rate | None:
        text = self._text("rate")
        if text is None:
            return None
        count, _, per = text.partition("/")
        try:
            if re.fullmatch("[0-9]{1,4}", count) and 0 < int(count) <= MOST_COUNT:
                return Rate(int(count), parse_seconds(per))
        except ValueError:
            pass
        raise self._error("a `rate` that is not like 20/1h, of at most 1000", "rate")

    def _error(self, what: str, key: str) -> PolicyError:
        """Return the error, with the line of the key if it can be found."""
        line = self._start
        spelled = re.compile(rb"[ \t]*[\"']?%b[\"']?[ \t]*=" % re.escape(key.encode()))
        for number, text in enumerate(self._lines[self._start :] if line else [], line + 1):
            if text.lstrip().startswith(b"["):
                break
            if spelled.match(text):
                line = number
                break
        return PolicyError(f"has {what} in rule {self._number}", line)


def _read_program(text: str) -> str:
    if not text or ("/" in text and not text.startswith("/")):
        raise ValueError("that is neither a name nor an absolute path")
    return text


def _resolve_program(program: str, resolved: Callable[[str], str]) -> str:
    return resolved(program) if program.startswith("/") else program


def _read_purpose(text: str) -> str:
    if text not in PURPOSES:
        raise ValueError("that is neither publish nor install")
    return text


def _read_project(text: str) -> str:
    try:
        return normalise_name(text)
    except ValueError:
        raise ValueError("that is not the name of a project") from None
