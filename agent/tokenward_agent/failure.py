"""A request that failed, in the words of the answer.

Any part of the agent raises `Failure`; requests/dispatch.py alone makes an answer of it. The
message is one sentence, the hint a phrase with the command that helps; neither ever holds a secret.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from tokenward_protocol.packing import Value


class Failure(Exception):  # noqa: N818 - the protocol's own word would be "not ok"
    """A request that failed, with the content of its answer."""

    def __init__(self, code: str, message: str, hint: str = "", **more: Value) -> None:
        super().__init__(message)
        self.code = code
        self.hint = hint
        self.more = more


class KeyDestroyed(Exception):  # noqa: N818 - an outcome, not an error
    """The key of a sealed secret was destroyed before it could be sent."""
