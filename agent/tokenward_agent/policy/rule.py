"""A rule of the user's policy, and the words that it is made of.

A rule says for which requests it is meant, what becomes of those (`allow`, `ask` a person, `deny`),
and how narrow what goes out is. What it leaves out it does not look at.
"""

from __future__ import annotations

from typing import NamedTuple

from tokenward_agent.policy.locks import Locks

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

ALLOW: Final = "allow"
ASK: Final = "ask"
DENY: Final = "deny"
DECISIONS: Final = (ALLOW, ASK, DENY)

PURPOSES: Final = ("publish", "install")
"""What a credential can be wanted for."""


class Rate(NamedTuple):
    """At most `times` within any `seconds`."""

    times: int
    seconds: int


class Terms(NamedTuple):
    """How that goes out which can be narrowed, where nobody asks for the whole.

    A child ends within `ttl` seconds; 0 leaves that to whoever asks, an hour where nobody does. With
    `narrow` false there is none, unless one is asked for.
    """

    ttl: int = 0
    narrow: bool = True


class Rule(NamedTuple):
    """One rule; `line` is where it begins in its file, 0 where that is not known.

    `services` are keys, each with all below it; `programs` names or absolute paths; `projects`
    normalised names. An empty tuple stands for what the rule does not look at. `remember` is for
    how many seconds a yes to `ask` holds; `rate` bounds what `allow` and `ask` hand out, `terms` say
    how.
    """

    decide: str
    line: int = 0
    services: tuple[str, ...] = ()
    usernames: tuple[str, ...] = ()
    programs: tuple[str, ...] = ()
    purposes: tuple[str, ...] = ()
    projects: tuple[str, ...] = ()
    remember: int = 0
    rate: Rate | None = None
    terms: Terms = Terms()


class Policy(NamedTuple):
    """The rules in their order, the programs to ask people and to keep keys, "" for any, and `locks`."""

    rules: tuple[Rule, ...] = ()
    pinentry: str = ""
    locks: Locks = Locks()
    keyring_program: str = ""
