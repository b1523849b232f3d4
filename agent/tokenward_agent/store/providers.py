"""The keepers of keys: the system keyring, and an external ``keyring`` program.

A worker probes the system keyring once, and never lets it prompt the user. The result is remembered
in `probe.json` in the state folder of a credentials directory. It is probed again only on demand,
or if the remembered result turned out wrong and is over an hour old; so a keyring that hangs costs
its seconds once.

The client names the ``keyring`` program, since it knows the PATH and the working directory. Only
root or this user may be able to change the program and its folders, and it must be outside of
virtual environments. tokenward's own program is refused: it would ask this agent.
"""

from __future__ import annotations

import contextlib
import json
import os
import stat
import sys

import tokenward_agent
from tokenward_agent.store.state_files import read_object, replace
from tokenward_agent.worker.runner import WorkerError, run_job
from tokenward_os.files import CLOSED
from tokenward_protocol.keyring_marks import BEGINNING, is_ours

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import Final

    from tokenward_agent.arena import Arena

PROBE_SECONDS: Final = 3.0
STALE_SECONDS: Final = 3600
"""Age from which a remembered result that turned out wrong is replaced."""

_FILE: Final = "probe.json"


class Probe:
    """The result of a probe: the keyring's name in `backend`, or None and the `reason`.

    `when` is the wall time in whole seconds since the epoch.
    """

    __slots__ = ("backend", "reason", "when")

    def __init__(self, backend: str | None, reason: str, when: int) -> None:
        self.backend = backend
        self.reason = reason
        self.when = when

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Probe) and self._fields() == other._fields()

    def __hash__(self) -> int:
        return hash(self._fields())

    def __repr__(self) -> str:
        return f"Probe{self._fields()!r}"

    def is_stale(self, now: float) -> bool:
        """Tell whether a wrong result may be replaced; also if the clock was set back."""
        return not 0 <= now - self.when <= STALE_SECONDS

    def fallback_sentence(self, to: str) -> str:
        """Return a sentence that tells the user which provider is used instead, and why."""
        reason = self.reason.removesuffix(".")
        return f"{reason[:1].upper()}{reason[1:]}; using the {to} provider."

    def _fields(self) -> tuple[str | None, str, int]:
        return self.backend, self.reason, self.when


async def probe_keyring(arena: Arena, session: Mapping[str, str], now: float) -> Probe:
    """Probe the system keyring, for at most 3 seconds."""
    try:
        answer = await run_job(arena, "keyring-probe", {}, None, None, PROBE_SECONDS, session)
    except WorkerError as error:
        if error.code == "timeout":
            reason = f"the system keyring did not answer within {PROBE_SECONDS:g} seconds"
            return Probe(None, reason, int(now))
        return Probe(None, str(error), int(now))
    return Probe(answer["backend"], "", int(now))


def write_probe(state: str, probe: Probe) -> None:
    """Write the result into the folder *state*; if that fails, the next request probes again."""
    text = json.dumps({"backend": probe.backend, "reason": probe.reason, "when": probe.when})
    with contextlib.suppress(OSError):
        replace(os.path.join(state, _FILE), text.encode())


def read_probe(state: str) -> Probe | None:
    """Return the result from the folder *state*, or None if it cannot be read."""
    values = read_object(os.path.join(state, _FILE))
    backend, reason, when = (values.get(name) for name in ("backend", "reason", "when"))
    if not (backend is None or type(backend) is str) or type(reason) is not str:
        return None
    return Probe(backend, reason, when) if type(when) is int else None


def program_objection(program: str, uid: int) -> str | None:
    """Return why *uid* must not run the absolute path *program*, or None.

    Call it before every run.
    """
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


def spellings(typed: str, normalised: str) -> list[str]:
    """Return the spellings under which another tool may have stored a credential, in order.

    As typed and normalised, each with and without a trailing slash and with ``/simple/``.
    """
    found: dict[str, None] = {}
    for service in (typed, normalised):
        bare = service.rstrip("/")
        found.update(dict.fromkeys((service, bare, f"{bare}/")))
    for service in (typed, normalised):
        bare = service.rstrip("/")
        if "://" in bare and not bare.endswith("/simple"):
            found.update(dict.fromkeys((f"{bare}/simple/", f"{bare}/simple")))
    return list(found)


def _is_inside(path: str, folder: str) -> bool:
    return path == folder or path.startswith(f"{folder}/")


def _is_in_virtual_environment(program: str) -> bool:
    """Tell whether `pyvenv.cfg` is beside the program or one folder up (PEP 405).

    A link into a virtual environment (pipx, ``uv tool``) is a program of the user, and is allowed.
    """
    folder = os.path.dirname(program)
    places = (folder, os.path.dirname(folder))
    return any(os.path.isfile(os.path.join(place, "pyvenv.cfg")) for place in places)


def _is_ours(real: str) -> bool:
    """Tell whether a program is tokenward's own, by its place or its contents."""
    if _is_inside(real, os.path.dirname(os.path.realpath(tokenward_agent.__path__[0]))):
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
