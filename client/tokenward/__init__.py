"""tokenward's Python interface: the credential that answers for a package index.

    import tokenward

    credential = tokenward.get("https://index.example/legacy/")
    if credential is not None:
        upload(auth=(credential.username, credential.secret))

It asks in the order of `auth token`: uv's environment variables, the agent (which is started if
it has to be), `~/.pypirc`. Nothing is loaded until `get` is called.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from tokenward.credentials.python_api import Credential

__all__ = ["get"]


def get(
    url: str, username: str | None = None, project: str | None = None, ttl: int | None = None
) -> Credential | None:
    """Return the credential for `url`, or None if nothing answers.

    `url` is a URL, a host, `pypi`, `testpypi`, or a name from the user's configuration. With
    `username` only that account counts. A token of PyPI, TestPyPI or devpi comes as a child that
    ends within the hour; `ttl` (seconds, at least 60) says when instead, and `project` limits it to
    one project. They are refused for what cannot be narrowed.

    Raises tokenward.errors.CommandError, with a sentence and a `hint`, where `url` is none, where
    several accounts answer equally, where a vault that may hold the answer is locked, where no
    token is as narrow as was asked for, and where the agent cannot be reached.
    """
    from tokenward.credentials.python_api import find

    return find(url, username, project, ttl)
