"""How a part of the agent says that a request was not done, in the words of the answer.

A `Failure` is raised wherever that is found out and becomes an answer in one place
(requests/dispatch.py). Its message is one sentence and its hint a phrase with the command that
helps; neither ever holds a secret.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from tokenward_protocol.packing import Value


class Failure(Exception):  # noqa: N818 - the protocol's own word would be "not ok"
    """A request that was not done, with what the answer says about it."""

    def __init__(self, code: str, message: str, hint: str = "", **more: Value) -> None:
        super().__init__(message)
        self.code = code
        self.hint = hint
        self.more = more


class Gone(Exception):  # noqa: N818 - it is an answer to a question, not a fault
    """The key of a sealed secret was destroyed before it could be sent."""
