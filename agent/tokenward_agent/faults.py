"""How an internal error is reported: its type and its line, never its text.

The text of an exception, and the values in the frames that it passed through, may be a secret.
"""

from __future__ import annotations

import os
import traceback


def describe_fault(error: object) -> str:
    """Name the type of an exception and the line that raised it, and nothing of its content."""
    if not isinstance(error, BaseException):
        return "unknown"
    frames = traceback.extract_tb(error.__traceback__)
    place = f" at {os.path.basename(frames[-1].filename)}:{frames[-1].lineno}" if frames else ""
    return f"{type(error).__name__}{place}"
