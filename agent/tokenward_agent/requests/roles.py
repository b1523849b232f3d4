"""The interfaces that a fetch needs: for evidence, for opening vaults, for the decision.

The agent's own socket and shared sockets have different implementations.
"""

from __future__ import annotations

from typing import Protocol

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from tokenward_agent.asking.evidence import Evidence
    from tokenward_agent.policy.file import PolicyFile
    from tokenward_agent.requests.gate import Passed
    from tokenward_agent.requests.grants import Grant
    from tokenward_agent.requests.narrowing import Going
    from tokenward_agent.store.elsewhere import Elsewhere
    from tokenward_agent.vault.record import Record
    from tokenward_agent.wire.request import Request

    Gets = Callable[[Grant], list[str]]


class Knows(Protocol):
    """Finds the projects that a fetch is for."""

    def at_once(self, request: Request, /) -> Evidence | None:
        """Return the evidence, None if finding it takes time."""
        ...

    async def found(self, request: Request, /) -> Evidence:
        """Return the evidence."""
        ...


class Opens(Protocol):
    """Opens vaults that open without the user; `elsewhere` knows what other agents did to them."""

    elsewhere: Elsewhere

    def settling(self, provider: str | None, /) -> bool:
        """Tell whether vaults are being opened."""
        ...

    def can_open(self, provider: str | None, bus: str, /) -> bool:
        """Tell whether a vault can be opened now."""
        ...

    async def open_unattended(
        self, provider: str | None, enough: Callable[[], object], bus: str, /
    ) -> None:
        """Open vaults until `enough` returns something."""
        ...


class Judges(Protocol):
    """Allows a fetch or raises Failure; returns None if the user has to be prompted."""

    file: PolicyFile

    def denies(self, request: Request, record: Record, /) -> None:
        """Judge a record before it is known what would be handed out."""
        ...

    def at_once(self, request: Request, going: Going, /) -> Passed | None:
        """Judge what would be handed out."""
        ...

    async def asked(self, request: Request, going: Going, gets: Gets, /) -> Passed:
        """Prompt the user."""
        ...
