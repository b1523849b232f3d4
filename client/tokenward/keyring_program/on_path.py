"""The user's own `keyring` program, for the provider `subprocess`.

It is the first on PATH that no other user can replace and that will still exist tomorrow: not in
the working directory, where a checkout may have put it (unless that is a home), not of a virtual
environment, not tokenward's. Its absolute path goes to the agent, which checks it again, with all
folders above, before each run, and never searches a PATH itself.
"""

from __future__ import annotations

import os
import sys

from tokenward_os.files import uid
from tokenward_protocol.keyring_marks import BEGINNING, is_ours

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping


def find_program(environ: Mapping[str, str], cwd: str) -> tuple[str | None, list[str]]:
    """Return the program's absolute path, or None, and why each earlier one on PATH was refused."""
    refused: list[str] = []
    for folder in environ.get("PATH", "").split(os.pathsep):
        path = f"{folder}/keyring"
        if not folder.startswith("/") or not os.path.isfile(path) or not os.access(path, os.X_OK):
            continue
        problem = objection(path, environ, cwd)
        if problem is None:
            return path, refused
        refused.append(f"{path} {problem}")
    return None, refused


def none_found_sentence(refused: list[str]) -> str:
    """Return a sentence: there is no such program, or none may be run, and why."""
    if not refused:
        return "There is no `keyring` program on PATH."
    return f"No `keyring` program on PATH may be run: {'; '.join(refused)}."


def _checkout(environ: Mapping[str, str], cwd: str) -> str:
    """Return the working directory, or "/" if it is or holds the user's home: then no checkout."""
    here, home = os.path.realpath(cwd), os.path.realpath(environ.get("HOME") or "/")
    return "/" if f"{home}/".startswith(f"{here}/") else here


def objection(path: str, environ: Mapping[str, str], cwd: str) -> str | None:
    """Return why a program is not the user's own, as the end of a sentence; None if it is."""
    folder, here = os.path.dirname(path), _checkout(environ, cwd)
    for place in (folder, os.path.realpath(folder), os.path.realpath(path)):
        if here != "/" and f"{place}/".startswith(f"{here}/"):
            return "lies in the working directory"
    if os.path.exists(f"{os.path.dirname(os.path.realpath(folder))}/pyvenv.cfg"):
        return "belongs to a virtual environment"
    try:
        with open(path, "rb") as file:
            if is_ours(file.read(BEGINNING)):
                return "is tokenward's own"
        for place in (path, folder):
            if _is_in_other_hands(os.stat(place)):
                return f"can be changed by others through {place}"
    except OSError as error:
        return f"cannot be examined: {error.strerror}"
    return None


def _is_in_other_hands(found: os.stat_result) -> bool:
    """Return whether users other than root, this user and macOS' administrators may write."""
    own = {0, uid()}
    groups = own | {80} if sys.platform == "darwin" else own
    shared = 0o002 if found.st_gid in groups else 0o022
    return found.st_uid not in own or bool(found.st_mode & shared)
