"""Tokens of PyPI, TestPyPI or devpi: what they are good for, and attenuated tokens made of them.

Such a token is the name of the dialect, `-`, and a macaroon in base64url. Its holder can *derive*
tokens from it, each good for less than its parent, without asking the index. A derived token has an
expiry first, then the projects. `plan_derivation` decides its content, and refuses at once what an
index would refuse later: a token derived from an expired one, or for a project that the parent is
not for. `write_derived` makes it, only in the caller's buffers.

The token's location names its index. It is not signed, so it is a help for the user and not a
protection. A token in PyPI's dialect is not attenuated if its index is not known to accept derived
tokens.
"""

from __future__ import annotations

from tokenward_protocol.base64url import encoded_size
from tokenward_protocol.caveats import (
    DEVPI,
    PYPI,
    TokenScope,
    expiry_caveat,
    normalise_name,
    projects_caveat,
    read_scope,
)
from tokenward_protocol.macaroons import (
    MAX_TOKEN,
    SPARE,
    Macaroon,
    attenuate,
    attenuated_size,
    plain_mac,
    unwrap,
    wrap_into,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Final

    from tokenward_protocol.macaroons import Mac
    from tokenward_protocol.packing import Value

PREFIXES: Final = {PYPI: b"pypi-", DEVPI: b"devpi-"}
LOCATIONS: Final = ("pypi.org", "test.pypi.org")
"""The indexes of PyPI's dialect that are known to accept derived tokens."""

DEFAULT_TTL: Final = 3600
"""The default lifetime of a derived token in seconds: uploading many files may take long."""

LEAST_TTL: Final = 60
"""The shortest lifetime in seconds: with less, clocks that differ a little make useless tokens."""

MOST_TTL: Final = 366 * 86400
"""The longest lifetime in seconds: beyond a year, it would be as good as its parent."""

MOST_SEALED_TTL: Final = 86400  # the same for a token that is derived from a sealed one
_LEEWAY: Final = 60
"""Seconds: a token that becomes valid this soon may be valid by the clock of its index."""

_SHOWN: Final = 5

_NAMES: Final = {"pypi.org": "pypi", "test.pypi.org": "testpypi"}
"""What `auth` calls the indexes that write their host into a token."""


class NotAttenuable(Exception):  # noqa: N818 - what it says
    """A token that no index would accept; the text is a sentence, `hint` says what helps."""

    def __init__(self, message: str, hint: str) -> None:
        super().__init__(message)
        self.hint = hint


class IndexToken:
    """A token that was read: `location` "" names no index; the macaroon has `size` bytes.

    It is no `light.Record`, and neither is a derivation: the agent makes both for each fetch.
    """

    __slots__ = ("dialect", "location", "macaroon", "scope", "size")

    def __init__(
        self, dialect: str, location: str, macaroon: Macaroon, size: int, scope: TokenScope
    ) -> None:
        self.dialect = dialect
        self.location = location
        self.macaroon = macaroon
        self.size = size
        self.scope = scope

    @property
    def is_attenuable(self) -> bool:
        """Whether its index is known to accept tokens derived from it."""
        return self.dialect == DEVPI or self.location in LOCATIONS


class Derivation:
    """The content of a derived token: its caveats, its expiry, its projects (None: no limit).

    `limited`: it names the projects itself; otherwise only its parent does.
    """

    __slots__ = ("caveats", "expires", "limited", "projects")

    def __init__(
        self,
        caveats: tuple[bytes, ...],
        expires: int,
        projects: tuple[str, ...] | None,
        limited: bool,
    ) -> None:
        self.caveats = caveats
        self.expires = expires
        self.projects = projects
        self.limited = limited


def read_token(text: memoryview, raw: memoryview) -> IndexToken:
    """Read a token; its macaroon is decoded into *raw*, which needs MAX_TOKEN bytes.

    Raises ValueError if it is not a macaroon after a known prefix.
    """
    for dialect, prefix in PREFIXES.items():
        if text[: len(prefix)] == prefix:
            found, size = unwrap(text[len(prefix) :], raw)
            try:
                location = str(raw[slice(*found.location)], "utf-8")
            except UnicodeDecodeError:
                break
            parts = (raw[slice(*span)] for span in found.caveats)
            return IndexToken(dialect, location, found, size, read_scope(dialect, parts))
    raise ValueError("a token does not begin as one of an index")


def describe(token: IndexToken) -> dict[str, Value]:
    """Describe a token, as docs/PROTOCOL.md has it; without its identifier."""
    held = token.scope
    shown: dict[str, Value] = {
        key: list(value) if isinstance(value, tuple) else value for key, value in vars(held).items()
    }
    return {
        "dialect": token.dialect,
        "location": token.location,
        "narrows": token.is_attenuable,
        "confined": held.is_confined,
        "visible": held.is_visible,
        **shown,
    }


def same_origin(one: IndexToken, raw: memoryview, other: IndexToken, other_raw: memoryview) -> bool:
    """Tell whether two tokens, decoded in *raw* and *other_raw*, are of the same issue of one index."""
    return (
        one.dialect == other.dialect
        and one.location == other.location
        and raw[slice(*one.macaroon.identifier)] == other_raw[slice(*other.macaroon.identifier)]
    )


def plan_derivation(
    token: IndexToken, now: int, end: int, projects: Sequence[str] = (), likely: Sequence[str] = ()
) -> Derivation:
    """Decide the content of a derived token that expires at *end* or before, by the index's clock.

    *projects* (normalised names) were asked for: it is good for no others. *likely* ones were detected;
    they only limit a token that is for them. Raises NotAttenuable.
    """
    held = token.scope
    if held.expires is not None and held.expires <= now:
        name = _NAMES.get(token.location, "INDEX")
        raise NotAttenuable(
            "The stored token has expired.", f"`auth login {name}` stores a new one"
        )
    if held.not_before is not None and held.not_before > now + _LEEWAY:
        raise NotAttenuable(
            "The stored token is not valid yet.", "`auth token --describe` says from when"
        )
    if held.projects is not None:
        beyond = [name for name in projects if name not in held.projects]
        if beyond:
            raise NotAttenuable(
                f"The stored token is for {_join(held.projects)} alone, and not for"
                f" {_join(beyond)}.",
                f"`auth login {_NAMES.get(token.location, 'INDEX')}` stores another one, for"
                f" {_join(beyond)}, beside it",
            )
    names = derived_projects(held.projects, projects, likely)
    end = end if held.expires is None else min(end, held.expires)
    caveats = [expiry_caveat(token.dialect, end)]
    if names:
        caveats.append(projects_caveat(token.dialect, names))
    return Derivation(tuple(caveats), end, names or held.projects, bool(names))


def derived_projects(
    held: Sequence[str] | None, projects: Sequence[str], likely: Sequence[str]
) -> tuple[str, ...]:
    """Return the projects of a derived token, as in `plan_derivation`; its parent is for `held`."""
    known = (name for name in likely if held is None or name in held)
    return tuple(dict.fromkeys(projects or known))


def derived_size(token: IndexToken, derivation: Derivation) -> int:
    """Return the length of a token derived from *token*. Raises NotAttenuable if it is too long."""
    grown = attenuated_size(token.macaroon, derivation.caveats)
    size = len(PREFIXES[token.dialect]) + encoded_size(grown)
    if size > MAX_TOKEN:
        raise NotAttenuable(
            "The attenuated token would be too long.", "ask for fewer projects at once"
        )
    return size


def write_derived(
    token: IndexToken,
    derivation: Derivation,
    text: memoryview,
    raw: memoryview,
    mac: Mac,
    out: memoryview,
) -> int:
    """Derive a token from *text*, decoded in *raw*, into *out*; return its `derived_size`.

    *raw*, which holds the derived macaroon afterwards, and *out* need MAX_TOKEN + SPARE bytes.
    """
    prefix = len(PREFIXES[token.dialect])
    out[:prefix] = text[:prefix]
    grown = attenuate(token.macaroon, token.size, raw, derivation.caveats, mac)
    return prefix + wrap_into(raw[:grown], text[prefix:], token.macaroon.end, out[prefix:])


def token_of_text(secret: str) -> IndexToken:
    """Read a token from text, in a client. Raises ValueError."""
    return read_token(memoryview(secret.encode()), memoryview(bytearray(len(secret) + SPARE)))


def derive_text(secret: str, derivation: Derivation) -> str:
    """Derive a token from a token in text, in a client. Raises ValueError, NotAttenuable."""
    text = memoryview(secret.encode())
    raw, out = (memoryview(bytearray(MAX_TOKEN + SPARE)) for _ in range(2))
    token = read_token(text, raw)
    derived_size(token, derivation)
    return str(out[: write_derived(token, derivation, text, raw, plain_mac, out)], "ascii")


def split_names(text: str) -> tuple[str, ...]:
    """Return the normalised names in a text that separates them by one blank. Raises ValueError."""
    return tuple(dict.fromkeys(map(normalise_name, text.split(" "))))


def _join(names: Sequence[str]) -> str:
    more = len(names) - _SHOWN
    shown = [*(f"`{name}`" for name in names[:_SHOWN]), *([f"{more} more"] if more > 0 else [])]
    return " and ".join(filter(None, (", ".join(shown[:-1]), shown[-1]))) if shown else "nothing"
