"""Variables that keep tools from asking tokenward, whatever `auth setup` writes: they go before files.

A variable in a shell's profile is nobody's mistake (many a CI image has keyring's null backend) and is
left alone; setup and doctor say what it does. No value is shown but the name of a backend.
"""

from __future__ import annotations

from tokenward.setup import keyring_part

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from typing import Final

BACKEND: Final = "PYTHON_KEYRING_BACKEND"
"""What the keyring library obeys before its keyringrc.cfg."""

OURS: Final = {keyring_part.BACKEND, "tokenward.keyring_backend.Keyring"}

_OFF: Final = {"disabled", "false", "0", "no", "off"}
_TOOLS: Final = {
    "UV_KEYRING_PROVIDER": "uv",
    "PIP_KEYRING_PROVIDER": "pip",
    "POETRY_KEYRING_ENABLED": "poetry",
}


def problems(environ: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Yield what keeps which tools from asking, as a sentence and a hint."""
    chosen = environ.get(BACKEND, "").strip()
    if chosen and chosen not in OURS:
        name = chosen if chosen.replace(".", "").isidentifier() else "another backend"
        yield (
            f"{BACKEND} is {name}, so whatever has the keyring library asks that, not tokenward.",
            f"`unset {BACKEND}`, and take it out of your shell's profile",
        )
    for variable, tool in _TOOLS.items():
        if environ.get(variable, "").strip().lower() in _OFF:
            yield (
                f"{variable} has {tool} ask no keyring, so it does not ask tokenward either.",
                f"`unset {variable}`, and take it out of your shell's profile",
            )
