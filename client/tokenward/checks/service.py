"""Whether the service manager that should start the agent does."""

from __future__ import annotations

from tokenward import services
from tokenward.checks.finding import ok, warning

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tokenward.checks.finding import Finding


def findings(environ: Mapping[str, str]) -> Iterator[Finding]:
    """Report an installed service; raises nothing."""
    manager = services.find_manager(environ)
    service = manager.service() if manager is not None else None
    if manager is None or service is None:
        return
    if service.listening:
        yield ok("service", f"{manager.name} starts the agent, at {service.socket}.")
    else:
        yield warning(
            "service",
            f"{manager.name} should start the agent, but does not listen at {service.socket}.",
            "`auth agent install`",
        )
