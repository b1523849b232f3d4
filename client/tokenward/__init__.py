"""tokenward's Python interface: the credential that answers for a package index.

    import tokenward

    credential = tokenward.get("https://index.example/legacy/")
    if credential is not None:
        upload(auth=(credential.username, credential.secret))

It asks in the order of `auth token`: uv's environment variables, the agent (which is started on
demand), `~/.pypirc`. Nothing is loaded until `get` is called.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from tokenward.credentials.python_api import Credential

__all__ = ["get"]


def get(
    url: str, username: str | None = None, project: str | None = None, ttl: int | None = None
) -> Credential | None:
    """Return the credential for `url`, or None if there is no such credential.

    `url` is a URL, a host, `pypi`, `testpypi`, or a name from the user's configuration. With
    `username` only that account counts. A token of PyPI, TestPyPI or devpi is returned attenuated
    and expires within the hour; `ttl` (seconds, at least 60) sets another limit, and `project`
    limits it to one project. A credential that cannot be attenuated is refused then.

    Raises tokenward.errors.CommandError, with a sentence and a `hint`, if `url` is not a URL, if
    several accounts match equally, if a vault that may hold the answer is locked, if no token can
    have these limits, and if the agent cannot be reached.
    """
    from tokenward.credentials.python_api import find_for_url

    return find_for_url(url, username, project, ttl)
