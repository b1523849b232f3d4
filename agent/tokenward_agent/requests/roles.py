"""Who a fetch asks on its way: what it is for, whether a vault can be opened, whether it may.

The agent's own socket and each shared one have others in these roles.
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
    """Says for which projects a fetch is."""

    def at_once(self, request: Request, /) -> Evidence | None:
        """Return what is known, None where that takes a while."""
        ...

    async def found(self, request: Request, /) -> Evidence:
        """Return what is known, after a while."""
        ...


class Opens(Protocol):
    """Opens vaults that need nobody; `elsewhere` knows what other agents did to them."""

    elsewhere: Elsewhere

    def settling(self, provider: str | None, /) -> bool:
        """Tell whether some are being opened."""
        ...

    def can_open(self, provider: str | None, bus: str, /) -> bool:
        """Tell whether one can be opened now."""
        ...

    async def open_unattended(
        self, provider: str | None, enough: Callable[[], object], bus: str, /
    ) -> None:
        """Open them."""
        ...


class Judges(Protocol):
    """Lets a fetch through or raises Failure; None where a person has to be asked."""

    file: PolicyFile

    def denies(self, request: Request, record: Record, /) -> None:
        """Judge a record before anything is known of what would go out."""
        ...

    def at_once(self, request: Request, going: Going, /) -> Passed | None:
        """Judge what would go out."""
        ...

    async def asked(self, request: Request, going: Going, gets: Gets, /) -> Passed:
        """Have a person asked."""
        ...
