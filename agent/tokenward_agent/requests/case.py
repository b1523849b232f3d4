"""One fetch as the policy and the prompt see it: the requester, the credential and the purpose.

All facts come from the kernel (the asking processes), from the record that answers, and from what
would be handed out. Only the place of the prompt is taken from the request itself.
"""

from __future__ import annotations

import sys
from functools import cached_property

from tokenward_agent.asking.asker import UNKNOWN
from tokenward_agent.asking.peer import Peer
from tokenward_agent.asking.program import lasting_name
from tokenward_agent.asking.purpose import purpose_of
from tokenward_agent.consent.person import Screen
from tokenward_agent.consent.question import name_of, question, short
from tokenward_agent.policy.answers import What, Who
from tokenward_agent.policy.deciding import Subject
from tokenward_agent.requests.screen import session
from tokenward_protocol.urls import display

if sys.platform == "linux":
    from tokenward_agent.asking.terminals import terminal_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from tokenward_agent.asking.asker import Asker, Link
    from tokenward_agent.requests.grants import Grant
    from tokenward_agent.vault.record import Record
    from tokenward_agent.wire.request import Request


class Case:
    """A fetch of a record for these `projects` (normalised; () if they are not known)."""

    def __init__(self, request: Request, record: Record, projects: tuple[str, ...]) -> None:
        self._request = request
        self._record = record
        self._projects = tuple(sorted(projects))
        peer = request.peer
        self._asker: Asker = peer.asker if isinstance(peer, Peer) else UNKNOWN
        self._hints: frozenset[str] = peer.hints if isinstance(peer, Peer) else frozenset()
        self._purpose = purpose_of(self._asker)

    @cached_property
    def subject(self) -> Subject:
        """The case as policy rules see it."""
        tool, chain = self._asker.tool, self._asker.chain
        return Subject(
            frozenset() if tool is None else _names(tool),
            frozenset().union(*(_names(link) for link in chain if link is not tool)),
            self._record.service,
            self._record.username,
            self._purpose,
            frozenset(self._projects),
            self._asker.is_known,
            self._hints,
        )

    @cached_property
    def who(self) -> Who:
        """The requester, as far as one answer may count for a later prompt."""
        tool = self._asker.tool
        if tool is None:
            return Who(None, None)
        process = tool.process
        runs = lasting_name(*tool) if self.subject.known else None
        return Who(
            (process.pid, process.started, hash(process)) if process.started else None,
            None if runs is None else (process.exe, runs),
        )

    def what(self, grant: Grant, bounds: tuple[object, ...]) -> What:
        """Return what an approval covers: the grant, and the `bounds` of the request."""
        record = self._record
        width = (grant, *bounds)
        return What(record.service, record.username, self._purpose, self._projects, width)

    @property
    def descriptor(self) -> int | None:
        """The requester's socket, None if it is closed."""
        peer = self._request.peer
        return peer.descriptor if isinstance(peer, Peer) else None

    @property
    def screen(self) -> Screen:
        """Where to prompt the user.

        On Linux the terminal is that of the asking processes, as the kernel knows it, so no process
        can put a prompt on another's terminal. Elsewhere it is the terminal that the request names.
        """
        if sys.platform == "linux":
            tty = terminal_of(self._asker)
        else:
            tty = self._request.text("tty") or ""
        return Screen(session(self._request), tty, self._request.text("term") or "")

    @cached_property
    def wanted(self) -> str:
        """The requester and the credential, as a part of a sentence."""
        return f"{name_of(self._asker)} the credential for {short(display(self._record.service))}"

    def question(self, gets: str) -> list[str]:
        """Return the lines of the prompt; `gets` says what would be handed out."""
        record = self._record
        return question(
            self._asker, record.service, record.username, self._purpose, self._projects, gets
        )


def _names(link: Link) -> frozenset[str]:
    """Return the names by which a rule may mean a program: its name and the paths it runs."""
    process, program = link
    exe = process.exe.removesuffix(" (deleted)")
    return frozenset(filter(None, (program.name, exe, program.script)))
