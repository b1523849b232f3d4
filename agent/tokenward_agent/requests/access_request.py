"""One fetch as the policy and the prompt see it: the requester, the credential and the purpose.

All facts come from the kernel (the asking processes), from the record that answers, and from what
would be handed out. Only the place of the prompt is taken from the request itself.
"""

from __future__ import annotations

import sys
from functools import cached_property
from typing import TYPE_CHECKING

from tokenward_agent.peer.peer import Peer, RunPeer
from tokenward_agent.peer.program import lasting_name
from tokenward_agent.peer.purpose import PUBLISH, purpose_of
from tokenward_agent.peer.requester import UNKNOWN
from tokenward_agent.policy.approvals import AccessKey, RequesterKey
from tokenward_agent.policy.deciding import PolicyInput
from tokenward_agent.prompt.prompter import PromptContext
from tokenward_agent.prompt.question import (
    question_lines,
    requester_name,
    shorten,
    upload_lines,
)
from tokenward_agent.requests.naming import session_variables
from tokenward_protocol.urls import display

if sys.platform == "linux":
    from tokenward_agent.peer.terminals import terminal_of, why_not_here

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tokenward_agent.peer.requester import Link, Requester
    from tokenward_agent.requests.grants import Grant
    from tokenward_agent.vault.record import Record
    from tokenward_agent.wire.request import Request


class AccessRequest:
    """A fetch of a record for these `projects` (normalised; () if they are not known)."""

    def __init__(self, request: Request, record: Record, projects: tuple[str, ...]) -> None:
        self._request = request
        self._record = record
        self._projects = tuple(sorted(projects))
        peer = request.peer
        self._requester: Requester = peer.requester if isinstance(peer, Peer) else UNKNOWN
        self._hints: frozenset[str] = peer.hints if isinstance(peer, Peer) else frozenset()
        # The agent itself sets the purpose of a run's requests; no client can.
        self._act = request.text("purpose") or ""
        self._purpose = self._act or purpose_of(self._requester)
        self.why_no_prompt = "the tool has neither a terminal nor a display"
        """Why no prompt can be shown, if `prompt_context` has no place for one."""

    @cached_property
    def policy_input(self) -> PolicyInput:
        """The access request as policy rules see it."""
        tool, chain = self._requester.tool, self._requester.chain
        return PolicyInput(
            frozenset() if tool is None else _program_names(tool),
            frozenset().union(*(_program_names(link) for link in chain if link is not tool)),
            self._record.service,
            self._record.username,
            self._purpose,
            frozenset(self._projects),
            self._requester.is_known,
            self._hints,
        )

    @property
    def tool_name(self) -> str:
        """The name of the tool that asks, "" if it is unknown."""
        tool = self._requester.tool
        return "" if tool is None else tool.program.name

    @cached_property
    def requester_key(self) -> RequesterKey:
        """The requester, as far as one answer may count for a later prompt.

        A run is one command, whatever that becomes.
        """
        if isinstance(self._request.peer, RunPeer):
            return RequesterKey(self._request.peer.identity, None)
        tool = self._requester.tool
        if tool is None:
            return RequesterKey(None, None)
        process = tool.process
        runs = lasting_name(*tool) if self.policy_input.known else None
        return RequesterKey(
            (process.pid, process.started, hash(process)) if process.started else None,
            None if runs is None else (process.exe, runs),
        )

    def access_key(self, grant: Grant, bounds: tuple[object, ...]) -> AccessKey:
        """Return what an approval covers: the grant, and the `bounds` of the request."""
        record = self._record
        width = (grant, *bounds)
        return AccessKey(record.service, record.username, self._purpose, self._projects, width)

    @property
    def descriptor(self) -> int | None:
        """The requester's socket, None if it is closed."""
        peer = self._request.peer
        return peer.descriptor if isinstance(peer, Peer) else None

    @property
    def prompt_context(self) -> PromptContext:
        """Where to prompt the user.

        On Linux the terminal is that of the asking processes, as the kernel knows it, so no process
        can put a prompt on another's terminal. Elsewhere it is the terminal that the request names.
        The command of a run goes on during a prompt, so its terminal has to be free for one.
        """
        if sys.platform == "linux":
            tty = terminal_of(self._requester)
            peer = self._request.peer
            if tty and isinstance(peer, RunPeer) and (why := why_not_here(tty, peer.process)):
                tty, self.why_no_prompt = "", why
        else:
            tty = self._request.text("tty") or ""
        return PromptContext(
            session_variables(self._request),
            tty,
            self._request.text("term") or "",
            is_shared=isinstance(self._request.peer, RunPeer),
        )

    @cached_property
    def summary(self) -> str:
        """The requester and what it gets, as a part of a sentence."""
        return f"{requester_name(self._requester)} {self._what}"

    @property
    def act(self) -> str:
        """What would be done, as a part of a sentence."""
        if self._act:
            return f"{self._what} by {requester_name(self._requester)}"
        return f"giving {self.summary}"

    @property
    def _what(self) -> str:
        where = shorten(display(self._record.service))
        if self._act == PUBLISH:
            return f"an upload of {', '.join(self._projects)} to {where}"
        return f"downloads from {where}" if self._act else f"the credential for {where}"

    def question_lines(self, outcome: str) -> list[str]:
        """Return the lines of the prompt; `outcome` says what would be handed out."""
        record = self._record
        return question_lines(
            self._requester, record.service, record.username, self._purpose, self._projects, outcome
        )

    def upload_lines(
        self, place: str, release: str, files: Sequence[tuple[str, int, str]]
    ) -> list[str]:
        """Return the lines of a prompt about an upload, as prompt/question.py has them."""
        return upload_lines(self._requester, place, self._record.username, release, files)


def _program_names(link: Link) -> frozenset[str]:
    """Return the names by which a rule may mean a program: its name and the paths it runs."""
    process, program = link
    exe = process.exe.removesuffix(" (deleted)")
    return frozenset(filter(None, (program.name, exe, program.script)))
