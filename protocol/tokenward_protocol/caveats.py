"""The caveats of index tokens: reads all, and writes the two that a holder may add.

Two dialects are known. PyPI's (tokens that begin with `pypi-`) is a compact JSON array of a tag and
fields, as warehouse's ``macaroons/caveats`` reads it::

    [0, expires, not before]   [1, [project]]   [2, [project's id]]   [3, user's id]   [4, publisher's id]

and until 2022 a JSON map. devpi's (`devpi-`, the plugin devpi-tokens) is a word, `=` and values
with commas between: `expires=`, `not_before=`, `projects=`, `indexes=`, `allowed=`. All caveats apply
at once, so of two lists of projects those in both remain.

Reading never fails: an unknown caveat is counted, and an index refuses the token for it. A token
without visible restrictions may still be restricted: an index can keep restrictions to itself. Either
dialect may change; docs/NARROWING.md says what happens then.
"""

from __future__ import annotations

import json
import re

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from typing import Any, Final

    Names = tuple[str, ...] | None

PYPI, DEVPI = "pypi", "devpi"
"""The dialects, by the word before the first `-` of a token."""

LATEST: Final = (1 << 53) - 1  # a later end, in seconds since 1970, counts as no end
_NAME = re.compile("[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?")
_RUNS = re.compile("[-_.]+")


class TokenScope:
    """The visible restrictions of a token, all caveats together; None means no such restriction.

    Times are seconds since 1970. `projects` are normalised names. `user`, `project_ids` and
    `publisher` are ids of the index ("": a user's token that does not say whose); with a
    `publisher` the token is of trusted publishing. `indexes` and `allowed` (permissions) are
    devpi's. `legacy`: it has a caveat of the old form. `unknown` is the number of unknown caveats,
    `caveats` of all of them. It is no `light.Record`, which takes ten times as long to make: the
    agent makes several for each fetch.
    """

    def __init__(
        self,
        expires: int | None = None,
        not_before: int | None = None,
        projects: Names = None,
        project_ids: Names = None,
        user: str | None = None,
        publisher: str | None = None,
        indexes: Names = None,
        allowed: Names = None,
        legacy: bool = False,
        unknown: int = 0,
        caveats: int = 0,
    ) -> None:
        self.expires = expires
        self.not_before = not_before
        self.projects = projects
        self.project_ids = project_ids
        self.user = user
        self.publisher = publisher
        self.indexes = indexes
        self.allowed = allowed
        self.legacy = legacy
        self.unknown = unknown
        self.caveats = caveats

    def __eq__(self, other: object) -> bool:
        return isinstance(other, TokenScope) and vars(self) == vars(other)

    def __hash__(self) -> int:
        return hash(tuple(vars(self).values()))

    @property
    def is_confined(self) -> bool:
        """Whether the token is visibly good for less than its owner may do."""
        limits = (self.projects, self.project_ids, self.publisher, self.indexes, self.allowed)
        return any(each is not None for each in limits)

    @property
    def is_visible(self) -> bool:
        """Whether the token shows what it is good for, even if that is everything."""
        return self.is_confined or self.user is not None


def normalise_name(name: str) -> str:
    """Return a project's name as indexes compare it. Raises ValueError if it is not a name."""
    if not _NAME.fullmatch(name):
        raise ValueError("this is not a project's name")
    return _RUNS.sub("-", name).lower()


def expiry_caveat(dialect: str, end: int) -> bytes:
    """Return the caveat that ends a token at *end*, in seconds since 1970.

    It sets no beginning: an index whose clock is slow would refuse the token.
    """
    return b"[0,%d,0]" % end if dialect == PYPI else b"expires=%d" % end


def projects_caveat(dialect: str, names: Sequence[str]) -> bytes:
    """Return the caveat that limits a token to projects, by their normalised names."""
    if dialect == PYPI:
        return json.dumps([1, list(names)], separators=(",", ":")).encode()
    return b"projects=" + ",".join(names).encode()


def read_scope(dialect: str, caveats: Iterable[memoryview]) -> TokenScope:
    """Read the caveats of a token."""
    read = _pypi if dialect == PYPI else _devpi
    found = TokenScope()
    for caveat in caveats:
        try:
            more = read(str(caveat, "utf-8"))
        except (ValueError, LookupError, TypeError, RecursionError):
            more = TokenScope(unknown=1)
        more.caveats = 1
        found = _intersect(found, more)
    return found


def _intersect(one: TokenScope, other: TokenScope) -> TokenScope:
    """Return the restrictions that apply if both apply."""
    return TokenScope(
        _choose(min, one.expires, other.expires),
        _choose(max, one.not_before, other.not_before),
        _common(one.projects, other.projects),
        _common(one.project_ids, other.project_ids),
        one.user if other.user is None else other.user,
        one.publisher if other.publisher is None else other.publisher,
        _common(one.indexes, other.indexes),
        _common(one.allowed, other.allowed),
        one.legacy or other.legacy,
        one.unknown + other.unknown,
        one.caveats + other.caveats,
    )


def _choose(choose: Callable[[int, int], int], one: int | None, other: int | None) -> int | None:
    return other if one is None else one if other is None else choose(one, other)


def _common(one: Names, other: Names) -> Names:
    if one is None or other is None:
        return other if one is None else one
    return tuple(name for name in one if name in other)


def _pypi(text: str) -> TokenScope:
    match json.loads(text):
        case [tag, *_] if isinstance(tag, bool):
            raise ValueError("a tag is not a number")
        case [0, end, beginning, *_]:
            return TokenScope(_time(end), _time(beginning) or None)
        case [1, names, *_]:
            return TokenScope(projects=_texts(names))
        case [2, ids, *_]:
            return TokenScope(project_ids=_texts(ids))
        case [3, str(user), *_]:
            return TokenScope(user=user)
        case [4, str(publisher), *_]:
            return TokenScope(publisher=publisher)
        case {"version": 1, "permissions": "user"}:
            return TokenScope(user="", legacy=True)
        case {"version": 1, "permissions": {"projects": names}}:
            return TokenScope(projects=_normalise_names(_texts(names)), legacy=True)
        case {"nbf": beginning, "exp": end}:
            return TokenScope(_time(end), _time(beginning) or None, legacy=True)
        case {"project_ids": ids}:
            return TokenScope(project_ids=_texts(ids), legacy=True)
    raise ValueError("a caveat is not of PyPI's dialect")


def _devpi(text: str) -> TokenScope:
    key, mark, value = text.partition("=")
    values = tuple(each.strip() for each in value.split(","))
    match key if mark else "":
        case "expires":
            return TokenScope(None if value == "never" else _time(int(value)))
        case "not_before":
            return TokenScope(not_before=_time(int(value)) or None)
        case "projects":
            return TokenScope(projects=_normalise_names(values))
        case "indexes":
            return TokenScope(indexes=values)
        case "allowed":
            return TokenScope(allowed=values)
    raise ValueError("a caveat is not of devpi's dialect")


def _time(value: Any) -> int:
    if type(value) is not int:
        raise ValueError("a time is not a number")
    return min(max(value, 0), LATEST)


def _texts(values: Any) -> tuple[str, ...]:
    if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
        raise ValueError("a caveat has no list of texts")
    return tuple(values)


def _normalise_names(names: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(_RUNS.sub("-", name).lower() for name in names)
