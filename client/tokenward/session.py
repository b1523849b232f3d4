"""One run of a command: the person, the environment, the settings, and the agent when needed.

The agent is connected to (and started, where that is allowed) by the first request and not before,
so a command that is wrong in itself leaves nothing behind.
"""

from __future__ import annotations

from functools import cached_property

from tokenward.errors import CommandError
from tokenward.services import asleep
from tokenward.settings import service_names as names
from tokenward.settings.effective import Settings, here
from tokenward.transport.connect import ANSWER_SECONDS, AgentError, connect
from tokenward.transport.prompt_context import screen
from tokenward.ui.formatting import listed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from tokenward.settings.service_names import Service
    from tokenward.transport.connect import Answer, Connection
    from tokenward.ui.terminal import Terminal

_PATIENCE = {"prepare": 30.0, "create": 120.0, "unlock": 120.0, "passphrase": 120.0, "login": 120.0}
"""Seconds that requests may take which wait for a disk, a key derivation or a system keyring."""

_ENDING = {"login", "logout", "lock", "passphrase"}
"""Requests that may end what is shared."""

CONSENT_SECONDS = 75.0
"""The same for one that waits for a person, whom the agent gives a minute."""


class Session:
    """What the commands work with."""

    def __init__(self, terminal: Terminal, environ: Mapping[str, str], *, json: bool) -> None:
        self.terminal = terminal
        self.environ = environ
        self.json = json
        self._connections: list[Connection] = []
        self._told = 0

    @cached_property
    def settings(self) -> Settings:
        """The settings in force where the command was started."""
        return here(self.environ)

    @property
    def directory(self) -> str:
        """The credentials directory."""
        return self.settings.directories.credentials

    def service(self, text: str | None) -> Service:
        """Return what SERVICE means, `pypi` where it is missing, and say what is to be said."""
        found = names.resolve("pypi" if text is None else text, lambda: self.settings.names)
        self.terminal.hint(found.notice)
        if found.file:
            self.terminal.detail(f"{found.name} is {found.url} ({found.file}).")
        return found

    def agree_to(self, service: Service, question: str, refused: str) -> None:
        """Show what a name stands for that only the project defines; whoever is there has to agree.

        Raises CommandError with the sentence `refused` where the answer is no.
        """
        if not service.from_project:
            return
        for url in dict.fromkeys((service.publish_url, service.url)):
            self.terminal.say(f"{service.name} is {url} ({service.file}).")
        if self.terminal.is_there() and not self.terminal.confirm(question):
            raise CommandError(refused, "give the URL of the index that you mean")

    @cached_property
    def connection(self) -> Connection:
        """The agent, started if it does not run."""
        return self.connect(start=True)

    def connect(self, *, start: bool) -> Connection:
        """Connect to the agent of this credentials directory; raises AgentUnreachable.

        Only for a person is an older agent replaced on the way.
        """
        replace = start and self.terminal.attended
        found = connect(
            self.directory, start=start, asleep=asleep, replace=replace, environ=self.environ
        )
        self._connections.append(found)
        return found

    def close(self) -> None:
        """Hang up, if anybody was called."""
        for each in self._connections:
            each.close()

    def plain(self, op: str, body: bytes = b"", **arguments: Any) -> Answer:
        """Ask the agent once; raises AgentError."""
        timeout = _PATIENCE.get(op, ANSWER_SECONDS)
        if op in {"fetch", "share"} and arguments.get("attended"):
            timeout = CONSENT_SECONDS
        try:
            answer = self.connection.ask(op, body, timeout=timeout, **arguments)
        except AgentError as refused:
            if refused.code != "ambiguous":
                raise
            names = [str(name) for name in refused.header.get("usernames", [])]
            accounts = listed([name or "one without a user name" for name in names])
            which = "`--username`" if all(names) else "`--username` or `--no-username`"
            raise AgentError(
                refused.code,
                f"{str(refused).rstrip('.')}: {accounts}.",
                f"name one with {which}",
                refused.header,
            ) from None
        if op in _ENDING and (stopped := answer.header.get("stopped")):
            shared = listed([str(path) for path in stopped])
            self.terminal.warn(f"What was shared at {shared} has ended with that.")
        return answer

    def ask_with_consent(self, op: str, body: bytes = b"", **arguments: Any) -> Answer:
        """Ask, once more if a person has to agree first: on the screen that this runs on.

        Raises AgentError.
        """
        try:
            return self.plain(op, body, **arguments)
        except AgentError as refused:
            if refused.code != "consent":
                raise
        return self.plain(op, body, **arguments, **screen(self.environ))

    def done(self, value: dict[str, Any]) -> None:
        """Write what was done or found as one JSON object, if JSON was asked for."""
        if self.json:
            self.terminal.json(value)

    def tell_notices(self) -> None:
        """Say under `-v` what is worth knowing about settings and agent, as far as needed; once."""
        held = vars(self)
        found = list(self.settings.notices) if "settings" in held else []
        if "connection" in held and self.connection.notice:
            found.append(self.connection.notice)
        for notice in found[self._told :]:
            self.terminal.detail(notice)
        self._told = len(found)
