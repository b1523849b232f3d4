"""Whether the audit log is what the agents wrote, as the agent itself finds it."""

from __future__ import annotations

from tokenward.audit.report import stray, summary
from tokenward.checks.finding import ok, problem, warning

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from tokenward.checks.finding import Finding


def findings(status: dict[str, Any], verified: dict[str, Any] | None) -> Iterator[Finding]:
    """Say what a look at the log found; `verified` is None where no vault is open to look by."""
    if status["problem"]:
        yield problem("log", str(status["problem"]), f"`ls -la {status['folder']}` and `df`")
    if verified is None:
        yield warning("log", "No vault is open to check the audit log by.", "`auth unlock`")
        return
    if verified["count"]:
        first = str(verified["problems"][0]).rstrip(".")
        more = f", and {verified['count'] - 1} more of the kind" if verified["count"] > 1 else ""
        yield problem("log", f"{first}{more}.", "`auth log --verify`")
    else:
        yield ok("log", summary(verified))
    for sentence in stray(verified):
        yield warning("log", sentence, "move it out of there")
