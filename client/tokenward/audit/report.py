"""The agent's verification of its audit log, in sentences."""

from __future__ import annotations

from tokenward.audit.log_reader import reach_text
from tokenward.ui.formatting import count_of, join_words

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def summary(answer: dict[str, Any]) -> str:
    """Return a sentence on a log that is whole: how many lines are vouched for, since when."""
    text = f"No line was changed, moved, inserted or removed: {answer['vouched']} of"
    text = f"{text} {count_of(answer['lines'], 'line')} are vouched for."
    return f"{text} {reach_text(answer.get('since'), answer.get('gone', 0), least=False)}".rstrip()


def stray(answer: dict[str, Any]) -> list[str]:
    """Return a sentence for each foreign file among the files of the log."""
    folder = answer["folder"]
    return [f"{folder}/{name} is not a file of the log." for name in answer.get("strays", ())]


def notes(answer: dict[str, Any]) -> list[str]:
    """Return further notes about a log that is whole."""
    found = []
    if answer["unanchored"]:
        found.append(
            f"{count_of(answer['unanchored'], 'line')} could have been cut off unnoticed: an agent"
            " was ended before a vault knew of them, or none was open"
        )
    if answer["lost"]:
        found.append(f"{count_of(answer['lost'], 'line')} could not be written")
    if answer["elsewhere"]:
        found.append("the vaults know of agents that wrote elsewhere, as on another machine")
    if answer["closed"]:
        names = join_words([f"`{name}`" for name in answer["closed"]])
        found.append(f"the vault of {names} is closed, and may vouch for more")
    return found
