"""What a credential is wanted for, `publish` or `install`, as far as the tool that asks shows it.

By the tool's name and the command that it was given, which is the first word that is no option. A
word that might be an option's value makes it uncertain, and uncertain is "": nobody is taken for
somebody who only installs because of the way in which a command was written. Pure.
"""

from __future__ import annotations

from tokenward_agent.asking.tools import FETCHES, SENDS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

    from tokenward_agent.asking.asker import Asker

PUBLISH: Final = "publish"
INSTALL: Final = "install"


def purpose_of(asker: Asker) -> str:
    """Return `publish`, `install`, or "" where it is not known."""
    tool = asker.tool
    if tool is None or not tool.process.whole:
        return ""
    name, words = tool.program.name, tool.program.arguments
    sends = SENDS.get(name, set())
    command = next((word for word in words if not word.startswith("-")), "")
    if command in sends:
        return PUBLISH
    fetches = FETCHES.fullmatch(name) is not None
    return INSTALL if fetches and sends.isdisjoint(words) else ""
