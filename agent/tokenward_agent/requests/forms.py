"""In which form a credential may leave the agent: one function decides, for every way out.

| form | what leaves | to |
| --- | --- | --- |
| `whole` | the stored secret | the tool that asks |
| `child` | a token attenuated from it | the tool that asks, or the relay of a run |
| `relay` | the stored secret | the relay of a run, which adds it on the way to its index |
| `worker` | the stored secret | a worker of the agent, which asks its index about it |

To a tool a sealed credential leaves as a child or not at all; if it cannot be attenuated, a relay
uses it. A worker hands out nothing: it answers what the index said. Whatever is asked for narrows
the form or is refused: no request makes it wider.

Pure.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

WHOLE: Final = "whole"
CHILD: Final = "child"
RELAY: Final = "relay"
WORKER: Final = "worker"


def form_of(
    *, sealed: bool, attenuable: bool, itself: str, whole: bool, limited: bool, narrow: bool
) -> str | None:
    """Return the form in which a credential leaves, None if it must not leave.

    `attenuable`: a token can be attenuated from it. `itself` is the form in which the stored secret
    would leave to the one that asks: WHOLE to a tool, RELAY, or WORKER.
    `whole`: the stored secret itself is asked for; `limited`: so is a token with limits. If neither
    is, `narrow` (the policy's) decides.
    """
    if itself == WORKER:
        return WORKER
    if whole:
        return None if sealed else itself
    if attenuable and (sealed or limited or narrow):
        return CHILD
    return None if limited or (sealed and itself == WHOLE) else itself
