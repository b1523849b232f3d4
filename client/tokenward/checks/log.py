"""Whether the audit log is as the agents wrote it, by the agent's own verdict."""

from __future__ import annotations

from tokenward.audit.report import stray, summary
from tokenward.checks.finding import ok, problem, warning

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from tokenward.checks.finding import Finding


def findings(status: dict[str, Any], verified: dict[str, Any] | None) -> Iterator[Finding]:
    """Report the state of the log; `verified` is None if no vault is open to verify it with."""
    if status["problem"]:
        yield problem("log", str(status["problem"]), f"`ls -la {status['folder']}` and `df`")
    if verified is None:
        yield warning("log", "The audit log cannot be verified: no vault is open.", "`auth unlock`")
        return
    if verified["count"]:
        first = str(verified["problems"][0]).rstrip(".")
        more = f", and {verified['count'] - 1} more of the kind" if verified["count"] > 1 else ""
        yield problem("log", f"{first}{more}.", "`auth log --verify`")
    else:
        yield ok("log", summary(verified))
    for sentence in stray(verified):
        yield warning("log", sentence, "move it out of there")
