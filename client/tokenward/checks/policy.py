"""Whether the agent can read the policy in config.toml: with a broken one it hands out nothing."""

from __future__ import annotations

from tokenward.checks.finding import ok, problem
from tokenward.ui.formatting import count_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from tokenward.checks.finding import Finding


def finding(policy: dict[str, Any]) -> Finding:
    """Report the policy; `policy` as `status` answers it."""
    if policy["problem"]:
        return problem(
            "policy",
            f"Nothing is handed out, because {policy['file']} {policy['problem']}.",
            "correct that line, or remove the rules",
        )
    if not policy["rules"]:
        return ok("policy", "No policy is set: every program of yours gets what it asks for.")
    return ok("policy", f"The policy in {policy['file']} has {count_of(policy['rules'], 'rule')}.")
