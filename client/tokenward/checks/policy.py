"""Whether the agent can obey the policy in config.toml: one that it cannot lets nothing through."""

from __future__ import annotations

from tokenward.checks.finding import ok, problem
from tokenward.ui.formatting import counted

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from tokenward.checks.finding import Finding


def finding(policy: dict[str, Any]) -> Finding:
    """Say what the agent makes of it; `policy` as `status` answers it."""
    if policy["problem"]:
        return problem(
            "policy",
            f"Nothing is handed out, since {policy['file']} {policy['problem']}.",
            "mend that line, or take the rules out",
        )
    if not policy["rules"]:
        return ok("policy", "There is no policy: every program of yours is given what it asks for.")
    return ok("policy", f"The policy in {policy['file']} has {counted(policy['rules'], 'rule')}.")
