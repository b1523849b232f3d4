"""Swap on this machine, and files of this installation that make `auth` start slowly.

The functions judge texts that the caller has read: /proc/swaps, `.pth` files, a console script.
"""

from __future__ import annotations

import os
import re

from tokenward.checks import ok, warning
from tokenward.ui.formatting import join_words

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from tokenward.checks import Finding


def swap(swaps: str, encrypted: Callable[[str], bool]) -> Finding:
    """Judge /proc/swaps (proc(5)); `encrypted` says whether a device is encrypted."""
    spaces = [line.split()[0] for line in swaps.splitlines()[1:] if line.strip()]
    on_disk = [space for space in spaces if not space.startswith("/dev/zram")]
    open_ = [space for space in on_disk if not encrypted(space)]
    if not on_disk:
        return ok("swap", "No swap is on a disk.")
    if not open_:
        return ok("swap", f"The swap on {join_words(on_disk)} is encrypted.")
    return warning(
        "swap",
        f"Swap on {join_words(open_)} is not known to be encrypted: the agent's locked memory is never"
        " there, but a tool's memory may be.",
        f"encrypt it (crypttab), or `sudo swapoff {open_[0]}`",
    )


def is_encrypted(device: str, sys: str = "/sys") -> bool:
    """Return whether a block device is known to be encrypted by dm-crypt."""
    name = os.path.basename(os.path.realpath(device))
    try:
        with open(f"{sys}/class/block/{name}/dm/uuid", encoding="ascii") as file:
            return file.read().startswith("CRYPT-")
    except (OSError, ValueError):
        return False


def slow_start(files: Mapping[str, str]) -> Finding:
    """Judge `.pth` files (path to text): a line that begins with `import` runs at each start."""
    slow = sorted(path for path, text in files.items() if re.search(r"(?m)^import[ \t]", text))
    if not slow:
        return ok("start-up", "No .pth file runs code when `auth` starts.")
    return warning(
        "start-up",
        f"Code in {join_words(slow)} runs each time `auth` starts.",
        "give tokenward an environment of its own: `uv tool install tokenward`",
    )


def wrapper(path: str, text: str) -> Iterator[Finding]:
    """Judge the console script: an older pip's imports `re`, a third of the start-up time."""
    if re.search(r"(?m)^import re$", text):
        yield warning(
            "start-up",
            f"{path} was written by an older pip and starts slowly.",
            "`pip install --upgrade pip`, then install tokenward again",
        )


def pth_files(folders: list[str]) -> Iterator[tuple[str, str]]:
    """Yield path and text of each `.pth` file; an unreadable one does not run either."""
    for folder in dict.fromkeys(folders):
        try:
            names = sorted(name for name in os.listdir(folder) if name.endswith(".pth"))
        except OSError:
            continue
        for name in names:
            path = os.path.join(folder, name)
            try:
                with open(path, encoding="utf-8", errors="replace") as file:
                    yield path, file.read()
            except OSError:
                continue
