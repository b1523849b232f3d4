"""A name for an index, as some file defines it."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Definition:
    """What `file` says that `name` stands for.

    `url` is what installing and `auth token` mean; `publish_url` is None where uploads go to the
    same place. Both are as written, so they may hold user info and stay out of the repr. `url` is
    empty where the file names no URL at all.
    """

    name: str
    url: str = field(repr=False)
    file: str
    publish_url: str | None = field(default=None, repr=False)
    username: str | None = None


def env_form(name: str) -> str:
    """Spell a name as in the variables UV_INDEX_<NAME>_…: upper case, others than ASCII letters and digits `_`."""
    return "".join(c if c.isascii() and c.isalnum() else "_" for c in name).upper()
