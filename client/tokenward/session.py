"""One run of a command: the terminal, the environment, the settings, and the agent on demand.

The first request connects to the agent (and starts it, if allowed), so a command that is wrong in
itself leaves nothing behind.
"""

from __future__ import annotations

from tokenward.errors import CommandError
from tokenward.services import is_asleep
from tokenward.settings import service_names as names
from tokenward.settings.effective import Settings, settings_here
from tokenward.transport.connect import ANSWER_SECONDS, AgentError, connect
from tokenward_protocol.light import once
from tokenward_protocol.messages import RUN

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from tokenward.settings.service_names import Service
    from tokenward.transport.connect import Answer, Connection
    from tokenward.ui.terminal import Terminal

_PATIENCE = {"prepare": 30.0, "create": 120.0, "unlock": 120.0, "passphrase": 120.0, "login": 120.0}
"""Seconds for requests that wait for a disk, a key derivation or a system keyring."""

_AT_WORK = {
    "prepare": "Asking the system keyring ...",
    "create": "Making the vault ...",
    "unlock": "Opening the vault ...",
    "passphrase": "Changing what opens the vault ...",
}
"""What is shown while such a request takes long."""

_ENDING = {"login", "logout", "lock", "passphrase"}
"""Requests that may end shares."""

CONSENT_SECONDS = 75.0
"""Seconds for a request that waits for the user, whom the agent gives a minute."""

_MOST_QUESTIONS = 8
"""Questions of one request: a relay share may have one for each of its indexes, and for uploads."""


class Session:
    """The context of a command."""

    def __init__(self, terminal: Terminal, environ: Mapping[str, str], *, json: bool) -> None:
        self.terminal = terminal
        self.environ = environ
        self.json = json
        self._connections: list[Connection] = []
        self._told = 0

    @once
    def settings(self) -> Settings:
        """The settings for the directory in which the command was started."""
        return settings_here(self.environ)

    @property
    def directory(self) -> str:
        """The credentials directory."""
        return self.settings.directories.credentials

    @property
    def is_in_run(self) -> bool:
        """Whether this is below a command behind a relay, where nothing of ours is handed out."""
        return bool(self.environ.get(RUN))

    def service(self, text: str | None) -> Service:
        """Return the meaning of SERVICE, `pypi` if it is missing, and print its notices."""
        found = names.resolve("pypi" if text is None else text, lambda: self.settings.names)
        self.terminal.hint(found.notice)
        if found.file:
            self.terminal.detail(f"{found.name} is {found.url} ({found.file}).")
        return found

    def agree_to(self, service: Service, question: str, refused: str) -> None:
        """Show the URL of a name that only the project defines; on a terminal the user must agree.

        Raises CommandError with the sentence `refused` if the answer is no.
        """
        if not service.from_project:
            return
        for url in dict.fromkeys((service.publish_url, service.url)):
            self.terminal.say(f"{service.name} is {url} ({service.file}).")
        if self.terminal.is_there() and not self.terminal.confirm(question):
            raise CommandError(refused, "give the URL of the index that you mean")

    @once
    def connection(self) -> Connection:
        """The connection to the agent, which is started if it does not run."""
        return self.connect(start=True)

    def connect(self, *, start: bool) -> Connection:
        """Connect to the agent of this credentials directory. Raises AgentUnreachable.

        An older agent is replaced on the way only if the user is there.
        """
        replace = start and self.terminal.attended
        found = connect(
            self.directory, start=start, asleep=is_asleep, replace=replace, environ=self.environ
        )
        self._connections.append(found)
        return found

    def close(self) -> None:
        """Close the connection, if there is one."""
        for each in self._connections:
            each.close()

    def ask_once(self, op: str, body: bytes = b"", **arguments: Any) -> Answer:
        """Ask the agent once. Raises AgentError."""
        timeout = _PATIENCE.get(op, ANSWER_SECONDS)
        if op in {"fetch", "share", "grant"} and arguments.get("attended"):
            timeout = CONSENT_SECONDS * (_MOST_QUESTIONS if arguments.get("relay") else 1)
        try:
            if op in _AT_WORK:
                with self.terminal.at_work(_AT_WORK[op]):
                    answer = self.connection.ask(op, body, timeout=timeout, **arguments)
            else:
                answer = self.connection.ask(op, body, timeout=timeout, **arguments)
        except AgentError as refused:
            if refused.code != "ambiguous" or "entries" in refused.header:
                raise
            from tokenward.ui.formatting import join_words

            names = [str(name) for name in refused.header.get("usernames", [])]
            accounts = join_words([name or "one without a user name" for name in names])
            which = "`--username`" if all(names) else "`--username` or `--no-username`"
            raise AgentError(
                refused.code,
                f"{str(refused).rstrip('.')}: {accounts}.",
                f"name one with {which}",
                refused.header,
            ) from None
        if op in _ENDING and (stopped := answer.header.get("stopped")):
            from tokenward.ui.formatting import join_words

            shared = join_words([str(path) for path in stopped])
            self.terminal.warn(f"This ended the share at {shared}.")
        return answer

    def ask_with_consent(self, op: str, body: bytes = b"", **arguments: Any) -> Answer:
        """Ask, and again if a command makes the credential, or the user has to approve.

        A command that is left to what asks is run here. The prompt is on the screen that this runs
        on. Raises AgentError.
        """
        try:
            return self._ask_after_run(op, body, arguments)
        except AgentError as refused:
            if refused.code not in {"consent", "making"}:
                raise
        from tokenward.transport.connection import prompt_arguments

        return self.ask_once(op, body, **arguments, **prompt_arguments(self.environ))

    def _ask_after_run(self, op: str, body: bytes, arguments: dict[str, Any]) -> Answer:
        try:
            return self.ask_once(op, body, **arguments)
        except AgentError as refused:
            if refused.code != "asker" or op != "fetch":
                raise
            left = refused.header
        self.run_here(left)
        return self.ask_once(op, body, **arguments)

    def run_here(self, left: dict[str, Any]) -> None:
        """Run the command that the agent's answer `asker` leaves to this process. Raises AgentError.

        What it makes goes to the agent, which keeps it for this process, or the tool that it asks for.
        """
        from tokenward import run_here

        program = run_here.name_of(left["command"])
        self.terminal.detail(f"{program} is run here, to make the credential.")
        made = run_here.run(
            left["command"],
            left["format"],
            self.environ,
            program=program,
            seconds=float(left["timeout"]),
        )
        names = {"service": left["service"], "username": left["username"]}
        self.ask_once("refresh", made.secret, **names, end=made.end)

    def write_json(self, value: dict[str, Any]) -> None:
        """Write the result as one JSON object, if JSON was asked for."""
        if self.json:
            self.terminal.json(value)

    def tell_notices(self) -> None:
        """Print, with `-v`, the notices about settings and agent, once."""
        if not self.terminal.verbose:
            return
        held = vars(self)
        found = list(self.settings.notices) if "settings" in held else []
        if "connection" in held and self.connection.notice:
            found.append(self.connection.notice)
        for notice in found[self._told :]:
            self.terminal.detail(notice)
        self._told = len(found)
