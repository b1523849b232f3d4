"""A failed job, as the agent sees it."""

from __future__ import annotations


class WorkerError(Exception):
    """A job failed: a `code`, one sentence, and the command that helps or an empty string.

    Codes: `timeout`, `worker`, `not-found`, `no-keyring`, `keyring-locked`, `keyring-failed`,
    `program-failed`, `no-screen`.
    """

    def __init__(self, code: str, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.code = code
        self.hint = hint
