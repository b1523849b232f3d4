"""The external ``keyring`` program: which one may run, and the only way to run it.

It is the one that `config.toml` names with `keyring-program`, else the one that the user chose,
which the state folder remembers. The credentials directory cannot name one: any process that can
write there can write a vault's header, which is not trusted before the vault is open. If a vault
names another program than the chosen one, it stays closed with a message. If config.toml names the
program, the name in the vault is ignored, so the program may have moved.

Every run goes through `run`, which first checks the program. Only root or this user may be able to
change it and its folders, and it must be outside of virtual environments. tokenward's own program is
refused: it would ask this agent.
"""

from __future__ import annotations

import json
import os
import stat
import sys
from typing import TYPE_CHECKING, Any, Final

import tokenward_agent
from tokenward_agent.failure import Failure
from tokenward_agent.files import read_object, replace
from tokenward_agent.worker import runner
from tokenward_os.files import CLOSED, uid
from tokenward_protocol.keyring_marks import BEGINNING, is_ours

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from tokenward_agent.arena import Arena
    from tokenward_agent.vault.format import Header

_FILE: Final = "keyring-program.json"
_ELSE: Final = "use `--keyring-provider disabled`"
_CONFIG: Final = "`keyring-program` in config.toml names the one to run"


class KeyringProgram:
    """The program of one agent; `configured` returns what config.toml names now, or ""."""

    def __init__(self, state: str, arena: Arena, configured: Callable[[], str]) -> None:
        self._path = os.path.join(state, _FILE)
        self._arena = arena
        self._configured = configured

    @property
    def chosen_program(self) -> str | None:
        """The program of config.toml, or the one that the user chose, or None."""
        remembered = read_object(self._path).get("program")
        return self._configured() or (remembered if isinstance(remembered, str) else None)

    def select(self, wanted: str | None = None) -> str:
        """Return the program to run: config.toml's, else `wanted`, else the remembered one.

        Raises Failure with code `provider` if no program is known, or it must not run.
        """
        path = self._configured() or wanted or self.chosen_program
        if path is None:
            raise Failure("provider", "The `keyring` program is not known.", _ELSE)
        problem = (
            program_objection(path, uid()) if os.path.isabs(path) else "is not an absolute path"
        )
        if problem is not None:
            raise Failure("provider", f"The program {path} is not run: it {problem}.", _ELSE)
        return path

    def choose(self, wanted: str | None, header: Header | None) -> str:
        """Remember the chosen program, if the vault names none or this one. Raises as `select`."""
        path = self.select(wanted)
        slot = header.slot("program") if header is not None else None
        if slot is not None and path not in {slot.params["program"], self._configured()}:
            raise Failure(
                "provider", f"The vault names another `keyring` program than {path}.", _CONFIG
            )
        if path != self.chosen_program:
            try:
                replace(self._path, json.dumps({"program": path}).encode())
            except OSError as error:
                raise Failure(
                    "provider", f"{self._path} cannot be written: {error.strerror}."
                ) from None
        return path

    def require_trusted(self, named: object) -> None:
        """Raise Failure unless config.toml names a program, or *named* is the chosen one."""
        chosen = self.chosen_program
        if self._configured():
            return
        if chosen is None:
            raise Failure(
                "provider",
                f"The vault names the `keyring` program {named}, which was not chosen on this"
                " machine, so it is not run.",
                "`auth unlock --keyring-provider subprocess` chooses the one on your PATH",
            )
        if chosen != named:
            raise Failure(
                "provider",
                f"The vault names the `keyring` program {named}, which is not the one that was"
                f" chosen ({chosen}), so it is not run.",
                _CONFIG,
            )

    async def run(
        self,
        doing: str,
        header: Mapping[str, object],
        secret: memoryview | None,
        into: memoryview | None,
        seconds: float,
        session: Mapping[str, str],
    ) -> dict[str, Any]:
        """Run it once, for a job of worker/program_jobs.py. Raises as `select`, or WorkerError."""
        asked = {**header, "program": self.select()}
        return await runner.run_job(
            self._arena, f"program-{doing}", asked, secret, into, seconds, session
        )


def program_objection(program: str, uid: int) -> str | None:
    """Return why *uid* must not run a program by its absolute path, or None; before every run."""
    if sys.platform == "win32":
        return "cannot be checked on Windows, where its mode does not tell who can change it"
    real = os.path.realpath(program)
    if _is_in_virtual_environment(program):
        return "belongs to a virtual environment"
    if not os.path.isfile(real):
        return "does not exist any more"
    if _is_ours(real):
        return "is tokenward's own"
    for place in _with_parents((program, real)):
        problem = _changeable_by(place, uid)
        if problem is not None:
            return problem
    return None


def folder_objection(folder: str, uid: int) -> str | None:
    """Return why *uid* must not look for programs in a folder, or None; before every search."""
    if not os.path.isabs(folder):
        return "is not an absolute path"
    program = os.path.join(folder, "program")
    if _is_in_virtual_environment(program):
        return "belongs to a virtual environment"
    for place in _with_parents((folder, os.path.realpath(folder))):
        problem = _changeable_by(place, uid)
        if problem is not None:
            return problem
    status = os.stat(folder)
    if status.st_mode & stat.S_ISVTX and status.st_mode & 0o022:  # others can add a program there
        return f"can be changed by others through {folder}"
    return project_objection(program)


_PROJECT: Final = (".git", ".hg", "pyproject.toml", "setup.py", "package.json")
"""What the folder of a project has: a checkout must not choose which program runs."""


def project_objection(program: str) -> str | None:
    """Return why a program is a project's, or None; a home may be under version control itself."""
    folder, home = os.path.dirname(os.path.normpath(program)), os.path.expanduser("~")
    while folder not in {"/", home}:
        if any(os.path.lexists(os.path.join(folder, name)) for name in _PROJECT):
            return f"lies in the project {folder}"
        folder = os.path.dirname(folder)
    return None


def _is_in_virtual_environment(program: str) -> bool:
    """Tell whether `pyvenv.cfg` is beside the program or one folder up (PEP 405).

    A link into a virtual environment (pipx, ``uv tool``) is a program of the user, and is allowed.
    """
    folder = os.path.dirname(program)
    places = (folder, os.path.dirname(folder))
    return any(os.path.isfile(os.path.join(place, "pyvenv.cfg")) for place in places)


def _is_ours(real: str) -> bool:
    """Tell whether a program is tokenward's own, by its place or its contents."""
    if real.startswith(f"{os.path.dirname(os.path.realpath(tokenward_agent.__path__[0]))}/"):
        return True
    try:
        file = os.open(real, os.O_RDONLY | CLOSED)
    except OSError:
        return False
    try:
        return is_ours(os.read(file, BEGINNING))
    finally:
        os.close(file)


def _with_parents(paths: Iterable[str]) -> list[str]:
    places: dict[str, None] = {}
    for path in paths:
        at = path
        while at not in places:
            places[at] = None
            at = os.path.dirname(at)
    return list(places)


def _changeable_by(place: str, uid: int) -> str | None:
    """Return why another user can change *place*, or None; a sticky folder is safe.

    These groups do not count as other users: root's, the user's private one (of the same number),
    and on macOS the administrators', who own Homebrew's folders.
    """
    try:
        status = os.stat(place)
    except OSError as error:
        return f"cannot be examined: {error.strerror}: {place}"
    if status.st_uid not in {0, uid}:
        return f"can be changed by another user, who owns {place}"
    groups = {0, uid, 80} if sys.platform == "darwin" else {0, uid}
    shared = status.st_mode & (0o002 if status.st_gid in groups else 0o022)
    if shared and not (stat.S_ISDIR(status.st_mode) and status.st_mode & stat.S_ISVTX):
        return f"can be changed by others through {place}"
    return None
