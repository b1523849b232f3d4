"""Which program shows a prompt.

It is the one that the agent's own environment or the user's config.toml names, never one from a
request; else one of the usual names in folders of the system. PATH does not count: it is that of
the process that started the agent. Without a display only programs for a terminal are used.
"""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Final

FOLDERS: Final = (
    "/usr/bin",
    "/bin",
    "/usr/local/bin",
    "/opt/homebrew/bin",
    "/opt/local/bin",
    "/run/current-system/sw/bin",
    "/usr/libexec",
    "/usr/lib/ssh",
    "/usr/lib/openssh",
)
_USUAL: Final = ("pinentry",)
"""The choice of the system's administrator, graphical or not."""
_GRAPHICAL: Final = ("pinentry-gnome3", "pinentry-qt", "pinentry-gtk-2", "pinentry-mac")
_TEXT: Final = ("pinentry-curses", "pinentry-tty")
_FIELDS: Final = ("ssh-askpass", "gnome-ssh-askpass", "ksshaskpass")


def find_program(
    named: str, *, display: bool, tty: bool, runs: Callable[[str], bool] | None = None
) -> str | None:
    """Return the absolute path of a program for prompts, or None.

    `named` is the configured one, a path or a name in the folders, "" for none. `runs` tells
    whether a path is a program.
    """
    runs = _is_executable if runs is None else runs
    if named.startswith("/"):
        return named
    return next(filter(runs, _candidates(named, display=display, tty=tty)), None)


def _candidates(named: str, *, display: bool, tty: bool) -> Iterator[str]:
    if named:
        names: tuple[str, ...] = (named,)
    elif display and tty:
        names = _USUAL + _GRAPHICAL + _TEXT + _FIELDS
    elif display:
        names = _GRAPHICAL + _USUAL + _FIELDS
    else:
        names = _TEXT + _USUAL
    for name in names:
        for folder in FOLDERS:
            yield f"{folder}/{name}"


def _is_executable(path: str) -> bool:
    return os.path.isfile(path) and os.access(path, os.X_OK)
