"""The agent's audit log, read as its files lie there, and how a line of it looks to a person.

docs/AUDIT.md has the format. Reading proves nothing: whether a line is what the agent wrote, the
agent alone can tell (`auth log --verify`). What cannot be read as a line is counted and passed
over. Whatever a line says about programs is what they said of themselves.
"""

from __future__ import annotations

import json
import os
import re
import stat
from datetime import UTC, datetime

from tokenward.layout import listed, span
from tokenward.system import SAFE
from tokenward_protocol.urls import display

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    Line = dict[str, Any]

HEADING = ("WHEN", "WHO", "WHAT", "SERVICE", "PROJECT", "DECISION")

_NAME = re.compile(r"[0-9]{8,15}\.jsonl")


class LogReader:
    """Reads the log in `folder` from its beginning, and later what came since."""

    def __init__(self, folder: str) -> None:
        self._folder = folder
        self._read: dict[str, int] = {}  # how far, by the file's name
        self.unreadable = 0
        """Lines that were no lines."""

    def lines(self) -> Iterator[Line]:
        """Yield every line that was not read before, in the order in which they were written."""
        try:
            names = sorted(filter(_NAME.fullmatch, os.listdir(self._folder)), key=_number)
        except FileNotFoundError:
            return
        for name in names:
            yield from self._lines(name)

    def _lines(self, name: str) -> Iterator[Line]:
        try:
            file = os.open(os.path.join(self._folder, name), os.O_RDONLY | SAFE)
        except OSError:
            return
        if not stat.S_ISREG(os.fstat(file).st_mode):
            os.close(file)
            return
        with open(file, "rb") as stream:
            stream.seek(self._read.get(name, 0))
            for text in stream:
                if not text.endswith(b"\n"):
                    break  # it is being written
                self._read[name] = self._read.get(name, 0) + len(text)
                line = _parsed(text)
                if line is not None:
                    yield line
                elif text.strip():
                    self.unreadable += 1


def _number(name: str) -> int:
    return int(name.partition(".")[0])


def _parsed(text: bytes) -> Line | None:
    try:
        line = json.loads(text)
        datetime.fromisoformat(line["time"])
    except (ValueError, TypeError, LookupError, RecursionError):
        return None
    return line if isinstance(line.get("event"), str) else None


def when(line: Line) -> float:
    """Return the moment of a line, in seconds since 1970."""
    return datetime.fromisoformat(line["time"]).timestamp()


def is_about(line: Line, service: str) -> bool:
    """Tell whether a line is about a service, or about what covers it or lies below it."""
    named = str(line.get("service", ""))
    if "://" not in named or "://" not in service:
        return named == service
    return service.startswith(named) or named.startswith(service)


def shown(line: Line) -> dict[str, Any]:
    """Return a line for a program: all but its place in a chain and its signature."""
    return {k: v for k, v in line.items() if k not in {"chain", "n", "mac", "file"}}


def row(line: Line) -> tuple[str, ...]:
    """Return a line for a person, in the columns of `HEADING`."""
    moment = datetime.fromisoformat(line["time"]).replace(tzinfo=UTC).astimezone()
    projects = line.get("projects")
    return (
        f"{moment:%Y-%m-%d %H:%M:%S}",
        who(line.get("who")),
        str(line["event"]),
        _service(line),
        ", ".join(map(str, projects)) if isinstance(projects, list) else "",
        _decision(line),
    )


def who(asker: Any) -> str:
    """Say who asked: "twine on pts/3", "pip by keyring in ci.service"; "" for the agent itself."""
    if not isinstance(asker, dict):
        return ""
    text = str(asker.get("program", "unknown"))
    through = asker.get("through")
    if isinstance(through, list) and through:
        text += f" by {listed([str(name) for name in through])}"
    if asker.get("terminal"):
        return f"{text} on {asker['terminal']}"
    return f"{text} in {asker['unit']}" if asker.get("unit") else text


def _service(line: Line) -> str:
    service, username = line.get("service"), line.get("username")
    if not service:
        count = line.get("count")
        return f"{count} credentials" if count else ""
    shown = display(str(service))
    return f"{shown} ({username})" if username and username != "__token__" else shown


def _decision(line: Line) -> str:
    text = str(line.get("decision", ""))
    expires = line.get("expires")
    if line.get("consent") and line.get("code"):
        when_asked = "when asked" if line["consent"] == "asked" else "when asked before"
        return f"denied {when_asked} (line {line.get('rule', '?')} of the policy)"
    if line.get("rule") and line.get("code"):
        text = f"denied by line {line['rule']} of the policy"
    elif line.get("code"):
        text += f": {line['code']}"
    if isinstance(expires, int) and text == "given":
        text += f" for {span(expires - when(line) + 1)}"  # a second may have gone by meanwhile
    ahead = line.get("ahead")
    if isinstance(ahead, int) and ahead:
        text += f": {span(abs(ahead))} {'ahead' if ahead > 0 else 'behind'}"
    if line.get("why"):
        text += f": {line['why']}"
    if line.get("consent"):
        text += f", {line['consent']}"
    lost = line.get("lost")
    return f"{text}; {lost} lines before could not be written" if lost else text
