"""The agent's audit log: reading its files, and saying a line, or its verification, to the user.

docs/AUDIT.md has the format. Reading proves nothing: only the agent can verify that it wrote a line
(`auth log --verify`). Unreadable lines, and lines longer than any agent writes, are counted and
skipped. What a line says about programs is what they said of themselves.
"""

from __future__ import annotations

import json
import os
import re
import stat
from datetime import UTC, datetime

from tokenward.errors import CommandError
from tokenward.ui.formatting import count_of, join_words, span_text
from tokenward_os.files import SAFE
from tokenward_protocol.messages import vaults_are
from tokenward_protocol.urls import display

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import date
    from typing import Any

    from tokenward.ui.formatting import Part

    Line = dict[str, Any]


LONGEST = 64 * 1024
"""The maximum length of an agent's line in bytes."""

HEADING = ("WHEN", "WHO", "WHAT", "SERVICE", "PROJECT", "DECISION")

PUBLISHED = ("WHEN", "PROJECT", "VERSION", "FILE", "INDEX", "STATUS")

SENDING = "sending"
"""The status of an upload whose end is not in the log yet."""

_NAME = re.compile(r"([0-9]{8}|[1-9][0-9]{8,11})\.jsonl")


class LogReader:
    """Reads the log in `folder` from its beginning, and later the new lines."""

    def __init__(self, folder: str) -> None:
        self._folder = folder
        self._read: dict[str, int] = {}  # how far, by the file's name
        self._first: dict[str, int] = {}  # the number of the first existing line, by chain
        self.unreadable = 0
        """The number of unreadable lines."""
        self.since: str | None = None
        """The time of the first existing line."""

    @property
    def removed_lines(self) -> int:
        """How many lines at least were removed with full files: each chain numbers its lines."""
        return sum(n - 1 for n in self._first.values())

    def lines(self) -> Iterator[Line]:
        """Yield every line that was not read before, in the order of writing.

        Raises CommandError if the folder is a link.
        """
        if os.path.islink(self._folder):
            raise CommandError(
                f"{self._folder} is a link, and logs are not read or written through links.",
                "move it away",
            )
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
            while text := stream.readline(LONGEST + 1):
                if not text.endswith(b"\n") and len(text) <= LONGEST:
                    break  # the agent is writing it
                self._read[name] = self._read.get(name, 0) + len(text)
                line = _parse(text)
                if line is not None:
                    self._note(line)
                    yield line
                elif text.strip():
                    self.unreadable += 1

    def _note(self, line: Line) -> None:
        self.since = self.since or str(line["time"])
        chain, n = line.get("chain"), line.get("n")
        if isinstance(chain, str) and isinstance(n, int):
            self._first.setdefault(chain, max(n, 1))


def _number(name: str) -> int:
    return int(name.partition(".")[0])


def _parse(text: bytes) -> Line | None:
    try:
        line = json.loads(text)
        datetime.fromisoformat(line["time"])
    except (ValueError, TypeError, LookupError, RecursionError):
        return None
    return line if isinstance(line.get("event"), str) else None


def line_time(line: Line) -> float:
    """Return the time of a line, in seconds since 1970."""
    return datetime.fromisoformat(line["time"]).timestamp()


def is_about(line: Line, service: str) -> bool:
    """Return whether a line is about a service, or about one that covers it or lies below it."""
    named = str(line.get("service", ""))
    if "://" not in named or "://" not in service:
        return named == service
    return service.startswith(named) or named.startswith(service)


def to_json(line: Line) -> dict[str, Any]:
    """Return a line for JSON: everything but its place in a chain and its signature."""
    return {k: v for k, v in line.items() if k not in {"chain", "n", "mac", "file"}}


def reach_text(since: str | None, gone: int, *, least: bool) -> str:
    """Return a sentence on how far back a log goes, or "" if it has its beginning."""
    if since is None or not gone:
        return ""
    lines = f"{'at least ' if least else ''}{count_of(gone, 'line')}"
    verb = "was" if gone == 1 and not least else "were"
    return f"The log goes back to {_time_text(since)}; {lines} before that {verb} removed to make room."


def _time_text(time: str) -> str:
    return f"{_local(time):%Y-%m-%d %H:%M:%S}"


def _local(time: str) -> datetime:
    return datetime.fromisoformat(time).replace(tzinfo=UTC).astimezone()


def row(line: Line) -> tuple[str, ...]:
    """Return a line for the user, in the columns of `HEADING`."""
    projects = line.get("projects")
    if not isinstance(projects, list):
        projects = [" ".join(_texts(line, "project", "version"))] if line.get("project") else []
    return (
        _time_text(line["time"]),
        requester_text(line.get("who")),
        f"{line['event']} ({line['purpose']})" if line.get("purpose") else str(line["event"]),
        _service_text(line),
        ", ".join(map(str, projects)),
        _decision_text(line),
    )


def brief_row(line: Line) -> tuple[Part, ...]:
    """Return a line as a terminal shows it below its day: time, who did what, index, projects, decision."""
    _, _, _, service, projects, decision = row(line)
    text: Part = decision.removeprefix("given for ")
    if str(line.get("decision")) == "refused":
        text = (decision.replace("refused", "REFUSED", 1), "red")
    index = service.removeprefix("https://").removeprefix("http://").replace("/ (", " (")
    moment = _local(line["time"])
    return f"{moment:%H:%M:%S}", _deed(line), index.rstrip("/"), projects, text


_SAME_CLOCK = 60


def is_agreeing_clock(line: Line) -> bool:
    """Return whether a line says only that the clock of an index agrees with this machine's."""
    ahead = line.get("ahead") or 0
    is_done = line["event"] == "clock" and line.get("decision") == "done"
    return is_done and isinstance(ahead, int) and abs(ahead) <= _SAME_CLOCK


def day_of(line: Line, today: date) -> str:
    """Return the day of a line, as a heading: "Today", "Yesterday", "2026-01-31"."""
    day = _local(line["time"]).date()
    return {0: "Today", 1: "Yesterday"}.get((today - day).days, str(day))


def _deed(line: Line) -> str:
    """Say who did what: "twine: publish", "uv (keyring)", "auth: login", "agent: start"."""
    who, purpose, event = line.get("who"), str(line.get("purpose") or ""), str(line["event"])
    name = str(who.get("program", "unknown")) if isinstance(who, dict) else "agent"
    through = who.get("through") if isinstance(who, dict) else None
    if isinstance(through, list) and through:
        name += f" ({', '.join(map(str, through))})"
    deed = purpose if event == "fetch" else event
    return deed if deed.startswith("exec: ") else f"{name}: {deed}" if deed else name


def uploads_of(lines: Sequence[Line]) -> list[Line]:
    """Return one line for each upload, in the order of their beginnings.

    It has what the line `publish` says, and as `status` that of its `published`, `refused` if it was
    refused, or `sending`.
    """
    found: list[Line] = []
    begun: dict[tuple[str, ...], list[Line]] = {}
    for line in lines:
        if line["event"] not in {"publish", "published"}:
            continue
        key = tuple(_texts(line, "run", "sha256", "file"))
        before = begun.get(key)
        if line["event"] == "publish":
            status = "refused" if line.get("decision") == "refused" else SENDING
            found.append(line := {**line, "status": status})
            if status == SENDING:
                begun.setdefault(key, []).append(line)
        elif before:
            before.pop(0)["status"] = str(line.get("status", ""))
        else:
            found.append(line)  # the line before it was removed to make room
    return found


def published_row(line: Line) -> tuple[str, ...]:
    """Return an upload for the user, in the columns of `PUBLISHED`."""
    return (
        _time_text(line["time"]),
        *(str(line.get(key, "")) for key in ("project", "version", "file")),
        _service_text(line),
        str(line["status"]),
    )


def _texts(line: Line, *keys: str) -> list[str]:
    return [str(line[key]) for key in keys if line.get(key)]


def requester_text(asker: Any) -> str:
    """Name the requester: "twine on pts/3", "pip by keyring in ci.service"; "" for the agent."""
    if not isinstance(asker, dict):
        return ""
    text = str(asker.get("program", "unknown"))
    through = asker.get("through")
    if isinstance(through, list) and through:
        text += f" by {join_words([str(name) for name in through])}"
    if asker.get("terminal"):
        return f"{text} on {asker['terminal']}"
    return f"{text} in {asker['unit']}" if asker.get("unit") else text


def _service_text(line: Line) -> str:
    service, username = line.get("service"), line.get("username")
    if not service:
        count = line.get("count")
        return f"{count} credentials" if count else ""
    shown = display(str(service))
    return f"{shown} ({username})" if username and username != "__token__" else shown


def _decision_text(line: Line) -> str:
    text = str(line.get("decision") or line.get("status") or "")
    expires = line.get("expires")
    if line.get("consent") and line.get("code"):
        when_asked = "when asked" if line["consent"] == "asked" else "when asked before"
        return f"denied {when_asked} (line {line.get('rule', '?')} of the policy)"
    if line.get("rule") and line.get("code"):
        text = f"denied by line {line['rule']} of the policy"
    elif line.get("code") not in {None, text}:
        text += f": {line['code']}"
    if isinstance(expires, int) and (text == "given" or line["event"] == "made"):
        text += f" for {span_text(expires - line_time(line) + 1)}"  # a second may have gone by meanwhile
    ahead = line.get("ahead")
    if isinstance(ahead, int) and ahead:
        text += f": {span_text(abs(ahead))} {'ahead' if ahead > 0 else 'behind'}"
    if line.get("why"):
        text += f": {line['why']}"
    if line.get("consent"):
        text += f", {line['consent']}"
    lost = line.get("lost")
    return f"{text}; {lost} lines before could not be written" if lost else text


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
        found.append(f"the {vaults_are(answer['closed'])} closed, and may vouch for more")
    return found
