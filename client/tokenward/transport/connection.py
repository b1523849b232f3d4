"""One connection to an agent: requests, answers, and the errors in between.

Requests are sent one at a time, each with a deadline. An answer "not ok" is an `AgentError`, and
callers decide by its `code`. A silent agent or a violation of the protocol is an `AgentUnreachable`;
then the connection is closed, because a late answer would be taken for that of another request. An
agent of another user is only ever asked for a credential.

The stream below (unix.py, pipe.py) has `send`, `receive`, `withdraw` and `close`. `stranger` is its
owner if that is neither this user nor the system (root), else None. A `deadline` is a moment of
`time.monotonic`; past it, TimeoutError is raised. If the peer is gone, another OSError is.

An agent outlives sessions, and may have been started in another one: it prompts the user on the
screen, and opens keyrings by the bus, that a request names.
"""

from __future__ import annotations

import os
import sys
from time import monotonic

from tokenward.errors import AgentUnreachable, CommandError
from tokenward_protocol import VERSION, LocalError, RemoteError
from tokenward_protocol.frames import PREFIX, find_frame, make_frame
from tokenward_protocol.light import Record
from tokenward_protocol.messages import VARIABLES, make_request
from tokenward_protocol.packing import unpack

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import TracebackType
    from typing import Any, NoReturn, Self

    from tokenward_protocol.packing import Value

    if sys.platform == "win32":
        from tokenward.transport.pipe import PipeStream as Stream
    else:
        from tokenward.transport.unix import SocketStream as Stream


ANSWER_SECONDS = 10.0
"""Seconds that an agent may take to answer, unless the caller sets another limit."""


class AgentError(CommandError):
    """The agent refused or failed; `header` is the whole answer."""

    def __init__(self, code: str, message: str, hint: str, header: dict[str, Any]) -> None:
        super().__init__(message, hint)
        self.code = code
        self.header = header


class AgentLost(AgentUnreachable):
    """The agent hung up before its answer: it was ending, or did not start."""


class Answer(Record):
    """An answer: `header`, and in `body` the secret if one was asked for."""

    header: dict[str, Any]
    body: bytes

    def __repr__(self) -> str:
        return f"<Answer, {len(self.body)} bytes of body>"

    def __reduce__(self) -> NoReturn:
        raise TypeError("an answer is not pickled: that would write its secret")


class Connection:
    """One connection to an agent.

    `directory` is sent with each request; None if the user chose the agent. `greeting` is the
    agent's answer to `hello`, `notice` a sentence about it for `-v`, or "".
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
        """Close the connection."""
        self._stream.close()

    def ask(
        self, op: str, /, body: bytes = b"", *, timeout: float = ANSWER_SECONDS, **arguments: Value
    ) -> Answer:
        """Send one request and return its answer; arguments that are None are left out.

        `timeout`, in seconds, is for all of it. Raises AgentError, AgentUnreachable (and closes the
        connection), and CommandError for arguments that do not fit into a frame.
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
            header = make_request(op, self._number, {**arguments, "dir": self._directory})
            data = make_frame(header, body)
        except LocalError as error:
            raise CommandError(str(error)) from None
        try:
            answer = self._exchange(data, monotonic() + timeout)
        except BaseException:
            if op in {"fetch", "share"} and arguments.get(
                "attended"
            ):  # the agent's prompt may be on this terminal
                self._stream.withdraw()
            self.close()  # a late answer would be taken for that of another request
            raise
        if answer.header["ok"]:
            return answer
        raise self._explained(_error_of(answer.header))

    def _exchange(self, data: bytes, deadline: float) -> Answer:
        received = bytearray()
        try:
            try:
                self._stream.send(data, deadline)
            except (BrokenPipeError, ConnectionResetError):
                pass  # its answer may say why
            while (ends := find_frame(memoryview(received))) is None:
                more = self._stream.receive(deadline)
                if not more:
                    raise AgentLost("The agent hung up.", "try again")
                received += more
            return self._answer(received, *ends)
        except TimeoutError:
            raise AgentUnreachable(
                "The agent did not answer in time.", "try again, or `auth agent restart`"
            ) from None
        except RemoteError:
            raise AgentUnreachable(
                "The peer does not speak the agent's protocol.", "`auth agent restart`"
            ) from None
        except OSError as error:
            raise AgentLost(f"The agent was lost: {error.strerror}.", "try again") from None

    def _answer(self, received: bytearray, body: int, end: int) -> Answer:
        header: dict[str, Any] = unpack(memoryview(received)[PREFIX:body])
        number, ok = header.get("id"), header.get("ok")
        # id 0 answers bytes that the agent could not read as a request.
        mine = number == self._number or (number == 0 and ok is False)
        if not mine or not isinstance(ok, bool) or len(received) != end:
            raise RemoteError("bad-header", "The answer is not for this request.")
        return Answer(header, bytes(memoryview(received)[body:end]))

    def greet(self) -> None:
        """Ask the agent for its version and directory. Raises the exceptions of `ask`."""
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
        """Return whether the agent is older than this client and loses nothing by a restart."""
        return self.greeting.get("replaceable") is True and self._is_older()

    def _is_older(self) -> bool:
        version = self.greeting.get("version", VERSION)
        return _version_numbers(version) < _version_numbers(VERSION)

    def _explained(self, error: AgentError) -> AgentError:
        """Return the error, with what helps where an older agent does not know a request."""
        unknown = error.code in {"unknown-op", "bad-request"} and not error.hint
        if not unknown or self._directory is None or not self._is_older():
            return error
        return AgentError(
            error.code,
            f"{str(error).removesuffix('.')} in the agent's version {self.greeting['version']};"
            f" this command's is {VERSION}.",
            "`auth agent restart`",
            error.header,
        )

    def stop(self) -> None:
        """End the agent, and return when it has hung up: it may have been ending by itself."""
        deadline = monotonic() + ANSWER_SECONDS
        try:
            self.ask("stop")
            while self._stream.receive(deadline):
                pass
        except (AgentLost, OSError):
            pass
        self.close()


def _error_of(header: dict[str, Any]) -> AgentError:
    code, message, hint = (header.get(key) for key in ("code", "message", "hint"))
    return AgentError(
        code if isinstance(code, str) else "internal",
        message if isinstance(message, str) and message else "The agent gave no reason.",
        hint if isinstance(hint, str) else "",
        header,
    )


def _version_numbers(version: object) -> tuple[int, ...]:
    """Return the numbers of a version, for comparing; text that is not a number counts as 0."""
    return tuple(int(n) if n.isascii() and n.isdigit() else 0 for n in str(version).split("."))


def session_variables(environ: Mapping[str, str]) -> dict[str, str]:
    """Return the arguments by which an agent finds the requester's keyring and screen."""
    return {key: environ[name] for key, name in VARIABLES.items() if environ.get(name)}


def prompt_arguments(environ: Mapping[str, str]) -> dict[str, str | bool]:
    """Return the arguments that let an agent prompt the user, for whom this process waits."""
    found: dict[str, str | bool] = {"attended": True, **session_variables(environ)}
    if term := environ.get("TERM"):
        found["term"] = term
    if sys.platform == "win32":
        return found
    for descriptor in (0, 1, 2):
        try:
            found["tty"] = os.ttyname(descriptor)
            break
        except OSError:
            continue
    return found
