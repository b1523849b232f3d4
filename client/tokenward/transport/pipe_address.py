"""The address of this user's agent on Windows: a pipe whose name holds the user's SID.

No directory has to be found or made: the client checks the owner of the pipe (pipe_stream.py).
"""

from __future__ import annotations

import sys

assert sys.platform == "win32"

from tokenward.errors import AgentUnreachable
from tokenward_os.windows.calls import own_sid
from tokenward_protocol import places

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


def runtime_directory(_environ: Mapping[str, str], _state: str) -> str | None:
    """Return the common part of the names of this user's pipes. Raises AgentUnreachable."""
    try:
        return own_sid()
    except OSError as error:
        raise AgentUnreachable(
            f"Windows does not tell who this user is: {error.strerror}."
        ) from None


make_runtime_directory = runtime_directory


def addresses(base: str, directory: str, ordinary: str) -> Iterator[str]:
    """Yield the possible pipes of the agent of `directory`, the likeliest first."""
    if directory == ordinary:
        yield places.pipe_name(base, directory, ordinary)
    yield places.pipe_name(base, directory, "")
