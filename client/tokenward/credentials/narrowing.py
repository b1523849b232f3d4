"""The restriction that a command asks for, and attenuating a token that the agent does not hold.

The agent attenuates the tokens that it stores. A token from the environment or from `.pypirc` is
open to its reader anyhow, and is attenuated here if that is asked for; if it cannot be, that is an
error: a request for less must not be answered with more.
"""

from __future__ import annotations

from time import time

from tokenward.errors import CommandError
from tokenward_protocol.light import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from tokenward_protocol.index_tokens import IndexToken
    from tokenward_protocol.packing import Value

    Derived = tuple[bytes, int | None, tuple[str, ...] | None]
    """A token, its expiry, and its projects."""


class Restriction(Record):
    """`whole`: the token as it is stored. Otherwise an attenuated one, if it can be made.

    It is only for `projects`, if there are any, and expires after `ttl` seconds (None: the agent
    chooses).
    """

    whole: bool = False
    projects: tuple[str, ...] = ()
    ttl: int | None = None

    @property
    def is_explicit(self) -> bool:
        """Whether an attenuated token was asked for."""
        return bool(self.projects) or self.ttl is not None

    def arguments(self) -> dict[str, Value]:
        """Return the arguments of a fetch."""
        projects = " ".join(self.projects) or None
        return {"whole": self.whole or None, "projects": projects, "ttl": self.ttl}


def read_restriction(
    projects: list[str] | None, ttl: int | None, *, otherwise: Restriction
) -> Restriction:
    """Return the restriction in these options, else *otherwise*. Raises CommandError."""
    if not projects and ttl is None:
        return otherwise
    from tokenward_protocol.caveats import normalise_name
    from tokenward_protocol.index_tokens import LEAST_TTL, MOST_TTL

    try:
        names = tuple(dict.fromkeys(normalise_name(name) for name in projects or []))
    except ValueError:
        raise CommandError(
            "A project's name has letters and digits, and `.`, `-`, `_` between them.",
            "`--project NAME`, once for each",
        ) from None
    if ttl is not None and ttl < LEAST_TTL:
        raise CommandError("An attenuated token must live for at least a minute.", "`--ttl 15m`")
    if ttl is not None and ttl > MOST_TTL:
        days = MOST_TTL // 86400
        raise CommandError(
            f"An attenuated token lives for at most {days} days, or a day if its token is sealed.",
            "`--ttl 1d`",
        )
    return Restriction(False, names, ttl)


def read_token(secret: bytes) -> IndexToken | None:
    """Return the visible parts of a secret, None if it is not a token of an index."""
    if not secret.startswith((b"pypi-", b"devpi-")):
        return None
    from tokenward_protocol.index_tokens import token_of_text

    try:
        return token_of_text(secret.decode("ascii"))
    except ValueError:
        return None


def attenuate(secret: bytes, wanted: Restriction) -> Derived:
    """Return a token with these limits. Raises CommandError if it cannot be made."""
    token = read_token(secret)
    if not wanted.is_explicit:
        if token is None:
            return secret, None, None
        return (secret, token.scope.expires, token.scope.projects)
    if token is None or not token.is_attenuable:
        raise CommandError(
            "This credential cannot be attenuated: only tokens of PyPI, TestPyPI and devpi can be.",
            "leave `--project` and `--ttl` out",
        )
    from tokenward_protocol.index_tokens import (
        DEFAULT_TTL,
        NotAttenuable,
        derive_text,
        plan_derivation,
    )

    now = int(time())
    try:
        derivation = plan_derivation(token, now, now + (wanted.ttl or DEFAULT_TTL), wanted.projects)
        text = derive_text(secret.decode("ascii"), derivation)
    except NotAttenuable as unfit:
        raise CommandError(str(unfit), unfit.hint) from None
    return (text.encode(), derivation.expires, derivation.projects)
