"""Variables that keep tools from asking tokenward: they win over the files of `auth setup`.

Such a variable may be intended (many a CI image has keyring's null backend) and is left alone;
setup and doctor report its effect. The only value that is shown is the name of a backend.
"""

from __future__ import annotations

from tokenward.setup import keyring_part

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from typing import Final

BACKEND: Final = "PYTHON_KEYRING_BACKEND"
"""The keyring library obeys it before its keyringrc.cfg."""

OURS: Final = {keyring_part.BACKEND, "tokenward.keyring_backend.Keyring"}

_OFF: Final = {"disabled", "false", "0", "no", "off"}
_TOOLS: Final = {
    "UV_KEYRING_PROVIDER": "uv",
    "PIP_KEYRING_PROVIDER": "pip",
    "POETRY_KEYRING_ENABLED": "poetry",
}


def problems(environ: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Yield which variable keeps which tools from asking, as a sentence and a hint."""
    chosen = environ.get(BACKEND, "").strip()
    if chosen and chosen not in OURS:
        name = chosen if chosen.replace(".", "").isidentifier() else "another backend"
        yield (
            f"{BACKEND} is {name}, so the keyring library asks that in every tool, not tokenward.",
            f"`unset {BACKEND}`, and remove it from your shell's profile",
        )
    for variable, tool in _TOOLS.items():
        if environ.get(variable, "").strip().lower() in _OFF:
            yield (
                f"{variable} makes {tool} ask no keyring, so it does not ask tokenward either.",
                f"`unset {variable}`, and remove it from your shell's profile",
            )
