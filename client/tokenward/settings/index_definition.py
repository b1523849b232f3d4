"""The definition of a name for an index, as a file has it."""

from __future__ import annotations

ANACONDA, AZURE, DEVPI, GITLAB, JFROG = KINDS = ("anaconda", "azure", "devpi", "gitlab", "jfrog")
"""The kinds of index that a file may give, if the URL does not tell."""


class Definition:
    """The definition of `name` in `file`.

    `url` is for installing and `auth token`; `publish_url` is None if uploads go to the same place.
    Both are as written, so they may hold user info and stay out of the repr. `url` is "" if the
    file has no URL. `kind` is one of KINDS, or "".
    """

    __slots__ = ("file", "kind", "name", "publish_url", "url", "username")

    def __init__(
        self,
        name: str,
        url: str,
        file: str,
        publish_url: str | None = None,
        username: str | None = None,
        kind: str = "",
    ) -> None:
        self.name = name
        self.url = url
        self.file = file
        self.publish_url = publish_url
        self.username = username
        self.kind = kind


def env_form(name: str) -> str:
    """Return a name as in UV_INDEX_<NAME>_…: upper case, and `_` for all but ASCII letters and digits."""
    return "".join(c if c.isascii() and c.isalnum() else "_" for c in name).upper()
