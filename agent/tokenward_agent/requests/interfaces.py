"""The interfaces that a fetch needs: for evidence, for opening vaults, for the decision.

The agent's own socket and shared sockets have different implementations.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable

    from tokenward_agent.peer.evidence import Evidence
    from tokenward_agent.policy.file import PolicyFile
    from tokenward_agent.requests.attenuation import Delivery
    from tokenward_agent.requests.authorization import Authorization
    from tokenward_agent.requests.grants import Grant
    from tokenward_agent.store.other_agents import OtherAgents
    from tokenward_agent.vault.record import Record
    from tokenward_agent.wire.request import Request

    DescribeGrant = Callable[[Grant], list[str]]


class DetectsProjects(Protocol):
    """Finds the projects that a fetch is for."""

    def try_detect(self, request: Request, /) -> Evidence | None:
        """Return the evidence, None if finding it takes time."""
        ...

    async def detect(self, request: Request, /) -> Evidence:
        """Return the evidence."""
        ...


class OpensVaults(Protocol):
    """Opens vaults that open without the user; `other_agents` knows what other agents did to them."""

    other_agents: OtherAgents

    def is_settling(self, provider: str | None, /) -> bool:
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


class Authorizes(Protocol):
    """Allows a fetch or raises Failure; returns None if the user has to be prompted."""

    file: PolicyFile

    def refuse_denied(self, request: Request, record: Record, /) -> None:
        """Judge a record before it is known what would be handed out."""
        ...

    def try_authorize(self, request: Request, delivery: Delivery, /) -> Authorization | None:
        """Judge what would be handed out."""
        ...

    async def authorize(
        self, request: Request, delivery: Delivery, describe_grant: DescribeGrant, /
    ) -> Authorization:
        """Prompt the user."""
        ...
