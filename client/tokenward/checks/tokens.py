"""Whether stored tokens should be replaced by newer or more limited ones, as far as that shows."""

from __future__ import annotations

from tokenward.checks.finding import ok, warning
from tokenward.credentials.token_description import advice_text, end_of
from tokenward.ui.formatting import count_of
from tokenward_protocol.urls import PAGES

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from tokenward.checks.finding import Finding


def findings(entries: list[dict[str, Any]], now: float) -> Iterator[Finding]:
    """Report for each entry of a list what should be done about its token."""
    seen = [entry for entry in entries if entry["token"] is not None]
    fine = 0
    for entry in seen:
        moment = end_of(entry)
        if moment is not None and moment <= now:
            yield warning(
                "tokens", f"The token for {entry['service']} has expired.", "`auth login`"
            )
        elif sentence := advice_text(entry, now):
            page = PAGES[entry["service"]]
            yield warning("tokens", sentence, f"make a new one at {page}, then `auth login`")
        else:
            fine += 1
    if seen and fine == len(seen):
        yield ok("tokens", f"No problem is visible in {count_of(fine, 'token')}.")
