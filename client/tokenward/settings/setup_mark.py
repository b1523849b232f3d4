"""How a line that `auth setup` has written is told from one that a person has written."""

from __future__ import annotations

NOTE = "# The next line was written by `auth setup`; `auth setup --undo` takes it out."
"""What stands above it."""

UV_PROVIDER = ("keyring-provider", "subprocess")
"""The setting by which uv asks a `keyring` program."""


def has_our_provider(data: bytes) -> bool:
    """Tell whether the provider in an uv.toml is there because setup has written it."""
    line = f'{NOTE}\n{UV_PROVIDER[0]} = "{UV_PROVIDER[1]}"'
    return line.encode() in data.replace(b"\r\n", b"\n")
