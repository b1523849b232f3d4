"""What a credential is wanted for, `publish` or `install`, by the tool that asks.

The tool's name and its command decide; the command is the first word that is not an option. A word
that might be an option's value makes it uncertain, which is "": no tool counts as one that only
installs because of how its command was written. Pure.
"""

from __future__ import annotations

from tokenward_agent.peer.tools import FETCHES, SENDS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

    from tokenward_agent.peer.requester import Requester

PUBLISH: Final = "publish"
INSTALL: Final = "install"


def purpose_of(requester: Requester) -> str:
    """Return `publish`, `install`, or "" if it is not known."""
    tool = requester.tool
    if tool is None or not tool.process.whole:
        return ""
    name, words = tool.program.name, tool.program.arguments
    sends = SENDS.get(name, set())
    command = next((word for word in words if not word.startswith("-")), "")
    if command in sends:
        return PUBLISH
    fetches = FETCHES.fullmatch(name) is not None
    return INSTALL if fetches and sends.isdisjoint(words) else ""
