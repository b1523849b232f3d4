"""A name for an index, as some file defines it."""

from __future__ import annotations

ANACONDA, DEVPI, GITLAB, JFROG = KINDS = ("anaconda", "devpi", "gitlab", "jfrog")
"""What an index may be said to be, where its URL does not tell."""


class Definition:
    """What `file` says that `name` stands for.

    `url` is what installing and `auth token` mean; `publish_url` is None where uploads go to the
    same place. Both are as written, so they may hold user info and stay out of the repr. `url` is
    empty where the file names no URL at all. `kind` is one of KINDS, or "".
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
    """Spell a name as in the variables UV_INDEX_<NAME>_…: upper case, others than ASCII letters and digits `_`."""
    return "".join(c if c.isascii() and c.isalnum() else "_" for c in name).upper()
