"""How narrow a token is asked for, and narrowing one that no agent holds.

What the agent stores it narrows itself. A token from the environment or from `.pypirc` is in the
hands of its reader anyhow, and is narrowed here where a narrower one is asked for; if it cannot be,
that is an error: a wish for less must not be answered with more.
"""

from __future__ import annotations

from time import time
from typing import NamedTuple

from tokenward.errors import CommandError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from tokenward_protocol.index_tokens import IndexToken
    from tokenward_protocol.packing import Value


class Width(NamedTuple):
    """`whole`: the token as it is stored. Else a child, where there can be one.

    It is for `projects` alone if there are any, and lives for `ttl` seconds (None: as long as the
    agent finds right).
    """

    whole: bool = False
    projects: tuple[str, ...] = ()
    ttl: int | None = None

    @property
    def explicit(self) -> bool:
        """Whether a narrower token was asked for."""
        return bool(self.projects) or self.ttl is not None

    def arguments(self) -> dict[str, Value]:
        """Return the arguments of a fetch."""
        projects = " ".join(self.projects) or None
        return {"whole": self.whole or None, "projects": projects, "ttl": self.ttl}


class Narrowed(NamedTuple):
    """A token and what it is good for."""

    secret: bytes
    expires: int | None
    projects: tuple[str, ...] | None


def width(projects: list[str] | None, ttl: int | None, *, otherwise: Width) -> Width:
    """Return what options ask for, *otherwise* if nothing. Raises CommandError for a bad name."""
    if not projects and ttl is None:
        return otherwise
    from tokenward_protocol.caveats import normalised
    from tokenward_protocol.index_tokens import LEAST_TTL, MOST_TTL

    try:
        names = tuple(dict.fromkeys(normalised(name) for name in projects or []))
    except ValueError:
        raise CommandError(
            "A project's name has letters and digits, and `.`, `-`, `_` between them.",
            "`--project NAME`, once for each",
        ) from None
    if ttl is not None and ttl < LEAST_TTL:
        raise CommandError("A narrowed token lives for a minute at least.", "`--ttl 15m`")
    if ttl is not None and ttl > MOST_TTL:
        days = MOST_TTL // 86400
        raise CommandError(
            f"A narrowed token lives for {days} days at most, and one of a sealed token for a day.",
            "`--ttl 1d`",
        )
    return Width(False, names, ttl)


def seen(secret: bytes) -> IndexToken | None:
    """Return what is visible of a secret, None if it is no token of an index."""
    from tokenward_protocol.index_tokens import of_text

    try:
        return of_text(secret.decode("ascii"))
    except ValueError:
        return None


def narrowed(secret: bytes, wanted: Width) -> Narrowed:
    """Return a token that is as narrow as is wanted. Raises CommandError if there can be none."""
    from tokenward_protocol.index_tokens import DEFAULT_TTL, Unfit, child_of_text, plan

    token = seen(secret)
    if not wanted.explicit:
        if token is None:
            return Narrowed(secret, None, None)
        return Narrowed(secret, token.restrictions.expires, token.restrictions.projects)
    if token is None or not token.narrows:
        raise CommandError(
            "What answers cannot be narrowed: only tokens of PyPI, TestPyPI and devpi can.",
            "leave `--project` and `--ttl` out",
        )
    now = int(time())
    try:
        child = plan(token, now, now + (wanted.ttl or DEFAULT_TTL), wanted.projects)
        text = child_of_text(secret.decode("ascii"), child)
    except Unfit as unfit:
        raise CommandError(str(unfit), unfit.hint) from None
    return Narrowed(text.encode(), child.expires, child.projects)
