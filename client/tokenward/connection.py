"""Talking to the agent: finding it, starting it on demand, one request and its answer at a time.

    with connect(directory, start=True) as agent:
        answer = agent.ask("fetch", service="https://index.example/")

An agent that answers "not ok" is an `AgentError`, and callers decide by its `code`. No agent, a
silent one, or one that breaks the protocol is an `AgentUnreachable`. Nothing is sent to a server
of another user, except that one at `$TOKENWARD_SOCK` may be asked for a credential.
"""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from time import monotonic, sleep

from tokenward import address
from tokenward.errors import CommandError
from tokenward.stream import AgentAbsent, AgentUnreachable, Stream, open_stream
from tokenward_protocol import VERSION, places
from tokenward_protocol.errors import LocalError, RemoteError
from tokenward_protocol.frames import PREFIX, cut, frame
from tokenward_protocol.messages import request
from tokenward_protocol.packing import unpack

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import TracebackType
    from typing import Any, Self

    from tokenward_protocol.packing import Value

__all__ = ["AgentAbsent", "AgentError", "AgentUnreachable", "Answer", "Connection", "connect"]

ANSWER_SECONDS = 10.0
"""How long an agent may take to answer, unless the caller knows better."""

_ROUNDS = 5
"""How often it is looked for an agent again when one was started, replaced or is just starting."""


class AgentError(CommandError):
    """The agent did not do what it was asked; `header` is the whole answer."""

    def __init__(self, code: str, message: str, hint: str, header: dict[str, Any]) -> None:
        super().__init__(message, hint)
        self.code = code
        self.header = header


class Answer:
    """What came back: `header`, and in `body` the secret if one was asked for."""

    __slots__ = ("body", "header")

    def __init__(self, header: dict[str, Any], body: bytes) -> None:
        self.header = header
        self.body = body

    def __repr__(self) -> str:
        return f"<Answer, {len(self.body)} bytes of body>"


class Connection:
    """One connection to an agent.

    `directory` goes along with each request; None where the user chose the agent. `greeting` is
    the agent's answer to `hello`, `notice` a sentence about it for `-v`, or "".
    """

    def __init__(self, stream: Stream, directory: str | None) -> None:
        self.greeting: dict[str, Any] = {}
        self.notice = ""
        self._stream = stream
        self._directory = directory
        self._number = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Hang up."""
        self._stream.close()

    def ask(
        self, op: str, /, body: bytes = b"", *, timeout: float = ANSWER_SECONDS, **arguments: Value
    ) -> Answer:
        """Send one request and return its answer; arguments that are None are left out.

        `timeout`, in seconds, is for all of it. Raises AgentError, AgentUnreachable (and then the
        connection is closed), and CommandError for what no frame can carry.
        """
        if self._stream.stranger is not None and op != "fetch":
            raise AgentError(
                "refused",
                f"The agent belongs to another user (uid {self._stream.stranger}), so it is only"
                " asked for credentials.",
                "unset TOKENWARD_SOCK to use your own agent",
                {},
            )
        self._number += 1
        try:
            header = request(op, self._number, {**arguments, "dir": self._directory})
            data = frame(header, body)
        except LocalError as error:
            raise CommandError(str(error)) from None
        try:
            answer = self._exchange(data, monotonic() + timeout)
        except BaseException:
            self.close()  # whatever comes later would be taken for the answer to another request
            raise
        if answer.header["ok"]:
            return answer
        raise _refusal(answer.header)

    def _exchange(self, data: bytes, deadline: float) -> Answer:
        received = bytearray()
        try:
            with suppress(BrokenPipeError, ConnectionResetError):  # it may have said why
                self._stream.send(data, deadline)
            while (ends := cut(memoryview(received))) is None:
                more = self._stream.receive(deadline)
                if not more:
                    raise AgentUnreachable("The agent hung up.", "try again")
                received += more
            return self._answer(received, *ends)
        except TimeoutError:
            raise AgentUnreachable(
                "The agent does not answer in time.", "try again, or `auth agent restart`"
            ) from None
        except RemoteError:
            raise AgentUnreachable(
                "What answered does not speak the agent's protocol.", "`auth agent restart`"
            ) from None
        except OSError as error:
            raise AgentUnreachable(f"The agent was lost: {error.strerror}.", "try again") from None

    def _answer(self, received: bytearray, body: int, end: int) -> Answer:
        header: dict[str, Any] = unpack(memoryview(received)[PREFIX:body])
        number, ok = header.get("id"), header.get("ok")
        # id 0 is the agent's word on bytes that it could not read as a request.
        mine = number == self._number or (number == 0 and ok is False)
        if not mine or not isinstance(ok, bool) or len(received) != end:
            raise RemoteError("bad-header", "An answer answers nothing that was asked.")
        return Answer(header, bytes(memoryview(received)[body:end]))

    def greet(self) -> None:
        """Ask who is there. Raises as `ask`."""
        if self._stream.stranger is not None:
            self.notice = f"The agent belongs to another user (uid {self._stream.stranger})."
            return
        self.greeting = self.ask("hello", version=VERSION).header
        version = str(self.greeting.get("version"))
        if version != VERSION:
            self.notice = (
                f"The agent's version is {version}, this command's is {VERSION};"
                " `auth agent restart` makes them the same."
            )

    def may_be_replaced(self) -> bool:
        """Tell whether the agent is older than this client and loses nothing by a restart."""
        return self.greeting.get("replaceable") is True and _release(
            self.greeting.get("version")
        ) < _release(VERSION)

    def stop(self) -> None:
        """End the agent, and return when it has hung up."""
        self.ask("stop")
        deadline = monotonic() + ANSWER_SECONDS
        with suppress(OSError):
            while self._stream.receive(deadline):
                pass
        self.close()


def connect(
    directory: str,
    *,
    start: bool,
    replace: bool = False,
    environ: Mapping[str, str] | None = None,
) -> Connection:
    """Return a connection to the agent of a credentials directory (absolute, links resolved).

    With `start` one is started where none runs, unless `TOKENWARD_NO_AUTOSTART` or
    `TOKENWARD_SOCK` is set. With `replace` an older one that loses nothing by it makes way for one
    of this version. Raises AgentUnreachable (AgentAbsent: none runs) and AgentError.
    """
    environ = os.environ if environ is None else environ
    if given := environ.get("TOKENWARD_SOCK"):
        return _connect_to(given)
    home = address.home(environ)
    if home is None:
        raise AgentUnreachable("This user has no home directory.", "set HOME")
    state = places.state_directory(sys.platform, environ, home)
    ordinary = os.path.realpath(places.data_directory(sys.platform, environ, home))
    may_start = start and environ.get("TOKENWARD_NO_AUTOSTART", "") in {"", "0"}
    look = address.made_runtime_directory if may_start else address.runtime_directory
    base = look(environ, state)
    if base is None and may_start:
        raise AgentUnreachable(
            f"There is no private directory for the agent's socket, and {state}/run cannot be one.",
            f"`chmod 700 {state}/run`, or set XDG_RUNTIME_DIR to a directory of your own",
        )
    if base is None:
        raise _absent(start)
    paths = _paths(base, directory, ordinary)
    for _ in range(_ROUNDS):
        free = None
        for path in paths:
            try:
                found = _greeted(path, directory)
            except AgentAbsent:
                free = free or path
                continue
            if found is None:
                continue  # it serves another directory
            if not (replace and may_start and found.may_be_replaced()):
                return found
            found.stop()
            free = path
            break
        if free is None:
            break
        if not may_start:
            raise _absent(start)
        _start(free, directory, state, environ)
    raise AgentUnreachable("The agent cannot be reached.", "`auth agent restart`")


def _paths(base: str, directory: str, ordinary: str) -> list[str]:
    """Return the sockets at which the agent of `directory` may be, likeliest first.

    The user's ordinary directory has the plain name, unless the agent of another home took it.
    """
    own = f"{base}/{places.directory_tag(directory)}.sock"
    return [f"{base}/{places.SOCKET}", own] if directory == ordinary else [own]


def _connect_to(path: str) -> Connection:
    """Connect to the agent that the user named."""
    try:
        connection = Connection(open_stream(path), None)
    except AgentAbsent:
        raise AgentAbsent(
            f"No agent answers at {path}, which TOKENWARD_SOCK names.",
            "start it, or unset TOKENWARD_SOCK",
        ) from None
    try:
        connection.greet()
    except BaseException:
        connection.close()
        raise
    return connection


def _greeted(path: str, directory: str) -> Connection | None:
    """Connect to an agent of our own; None where it serves another directory."""
    stream = open_stream(path)
    if stream.stranger is not None:
        stream.close()
        raise AgentUnreachable(
            f"The agent at {path} belongs to another user (uid {stream.stranger});"
            " nothing was sent to it.",
            f"remove {path}",
        )
    connection = Connection(stream, directory)
    try:
        connection.greet()
    except BaseException as error:
        connection.close()
        if isinstance(error, AgentError) and error.code == "other-directory":
            return None
        raise
    return connection


def _start(path: str, directory: str, state: str, environ: Mapping[str, str]) -> None:
    """Start an agent; where another one is just starting or ending, wait a moment for it."""
    from tokenward.starter import RUNNING, start

    if start(directory, path, state, environ) != RUNNING:
        return
    deadline = monotonic() + 1
    while monotonic() < deadline:
        try:
            open_stream(path).close()
        except AgentAbsent:
            sleep(0.02)
        else:
            return


def _absent(wanted: bool) -> AgentAbsent:
    if wanted:
        return AgentAbsent(
            "No agent is running, and TOKENWARD_NO_AUTOSTART keeps it from being started.",
            "`auth agent start` starts it",
        )
    return AgentAbsent("No agent is running.", "`auth agent start` starts it")


def _refusal(header: dict[str, Any]) -> AgentError:
    code, message, hint = (header.get(key) for key in ("code", "message", "hint"))
    return AgentError(
        code if isinstance(code, str) else "internal",
        message if isinstance(message, str) and message else "The agent refused without a reason.",
        hint if isinstance(hint, str) else "",
        header,
    )


def _release(version: object) -> tuple[int, ...]:
    """Return the numbers of a version, for comparing; what is no number counts as 0."""
    return tuple(int(n) if n.isascii() and n.isdigit() else 0 for n in str(version).split("."))
