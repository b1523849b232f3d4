"""The uploads in the log whose end no line tells, since the agent was killed in between.

The log is text in a file: only the values that a line about an upload has are taken over, and only
of the kinds that they have.
"""

from __future__ import annotations

from tokenward_agent.audit.files import FILE_BYTES
from tokenward_agent.audit.lines import read_line
from tokenward_agent.vault.errors import VaultError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Final

    from tokenward_agent.audit.files import LogFiles

_TEXTS: Final = ("service", "username", "consent", "project", "version", "file", "sha256", "run")
_NUMBERS: Final = ("rule", "size")
_MARK: Final = b'"event":"publish'


def unfinished_uploads(files: LogFiles, own: str) -> list[dict[str, object]]:
    """Return the facts of each such upload; those of the chain `own` may go on. Waits for disks."""
    open_uploads: dict[tuple[object, ...], list[dict[str, object]]] = {}
    try:
        numbers = files.numbers()
    except (OSError, VaultError):
        return []
    for number in numbers:
        content = files.content(number, 2 * FILE_BYTES)
        if _MARK not in content:
            continue
        for text in content.splitlines():
            line = read_line(text, number, 0) if _MARK in text else None
            if line is None:
                continue
            found = _read_facts(line.values)
            same = open_uploads.setdefault((found.get("run"), found.get("sha256")), [])
            if line.values.get("event") == "published":
                del same[:1]
            elif line.values.get("decision") == "given" and line.chain != own:
                same.append(found)
    return [found for same in open_uploads.values() for found in same]


def _read_facts(values: dict[str, Any]) -> dict[str, object]:
    texts = {key: values[key] for key in _TEXTS if isinstance(values.get(key), str)}
    return texts | {key: values[key] for key in _NUMBERS if type(values.get(key)) is int}
