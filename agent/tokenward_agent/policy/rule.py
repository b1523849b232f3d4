"""The user's policy: its rules, their words, and when an agent locks by itself.

A rule says which requests it matches, what happens to them (`allow`, `ask` the user, `deny`), and
how the issued token is attenuated. It does not look at keys that it leaves out.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from tokenward_agent.policy.recipe_settings import (
    ConfiguredRecipe,  # noqa: TC001 - NamedTuple reads its annotations
)
from tokenward_agent.policy.relay_settings import RelaySettings
from tokenward_agent.policy.share_settings import (
    ConfiguredShare,  # noqa: TC001 - NamedTuple reads its annotations
)

ALLOW: Final = "allow"
ASK: Final = "ask"
DENY: Final = "deny"
DECISIONS: Final = (ALLOW, ASK, DENY)
PURPOSES: Final = ("publish", "install")  # purposes that a rule can match


class LockSettings(NamedTuple):
    """The events that lock an agent; `idle` in seconds, 0 for never."""

    sleep: bool = True
    screen: bool = False
    logout: bool = True
    idle: int = 0


class Rate(NamedTuple):
    """At most `times` within any `seconds`."""

    times: int
    seconds: int


class Terms(NamedTuple):
    """How a token that can be attenuated is issued, unless the request asks for the whole.

    An attenuated token ends within `ttl` seconds; 0 leaves that to the request, with an hour as
    default. If `narrow` is false, the token is attenuated only if the request asks for it.
    """

    ttl: int = 0
    narrow: bool = True


class Rule(NamedTuple):
    """One rule; `line` is its first line in the file, 0 if that is not known.

    `services` are keys, each with all below it; `programs` names or absolute paths; `projects`
    normalised names. An empty tuple matches everything. `remember` is how many seconds an approval
    holds; `rate` limits what `allow` and `ask` hand out, `terms` say how.
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
    """The rules in their order, the programs for prompts and keys ("" for any), and the other settings.

    `prompts_to_unlock`: the agent asks for the passphrase of a vault that a tool finds closed.
    """

    rules: tuple[Rule, ...] = ()
    pinentry: str = ""
    locks: LockSettings = LockSettings()
    keyring_program: str = ""
    relay: RelaySettings = RelaySettings()
    recipes: tuple[ConfiguredRecipe, ...] = ()
    prompts_to_unlock: bool = False
    shares: tuple[ConfiguredShare, ...] = ()
