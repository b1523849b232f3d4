"""The marks by which a line of `auth setup` is told from a line of the user."""

from __future__ import annotations

NOTE = "# The next line was written by `auth setup`; `auth setup --undo` takes it out."
"""The line above it."""

UV_PROVIDER = ("keyring-provider", "subprocess")
"""The setting by which uv asks a `keyring` program."""


def has_our_provider(data: bytes) -> bool:
    """Return whether the provider in a uv.toml was written by setup."""
    line = f'{NOTE}\n{UV_PROVIDER[0]} = "{UV_PROVIDER[1]}"'
    return line.encode() in data.replace(b"\r\n", b"\n")
