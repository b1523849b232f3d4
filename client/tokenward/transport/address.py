"""Where this user's agent listens: the client's half of docs/PROTOCOL.md, "who may speak".

`$TOKENWARD_SOCK` if it is set; else a socket in the first runtime directory that is a directory
and no link, belongs to the user and has mode 0700. `runtime_directory` only looks;
`made_runtime_directory`, for whoever is about to start an agent, makes one where there is none.
Nothing is ever made or looked for in bare /tmp, where anybody can be first.
"""

from __future__ import annotations

import os
import sys

assert sys.platform != "win32"

import stat

from tokenward_protocol import places

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


def runtime_directory(environ: Mapping[str, str], state: str) -> str | None:
    """Return the first usable runtime directory that is there, or None.

    `state` is the user's state directory.
    """
    return next(filter(is_private, _candidates(environ, state)), None)


def made_runtime_directory(environ: Mapping[str, str], state: str) -> str | None:
    """Return the runtime directory, made where there is none; None where none can be made."""
    return _first_made(_candidates(environ, state))


def lasting_directory(environ: Mapping[str, str], state: str) -> str | None:
    """Return the runtime directory that a restart of macOS leaves alone, made where there is none.

    The system sweeps the folder of its temporary files whenever it starts, so that nothing which
    is to be there from then on can have its place in that.
    """
    swept = swept_directory()
    return _first_made([path for path in _candidates(environ, state) if path != swept])


def swept_directory() -> str | None:
    """Return the runtime directory that a restart of macOS takes away; None elsewhere."""
    temp = _temporary()
    return None if temp is None else places.runtime_directories("darwin", 0, {}, "", temp)[0]


def _first_made(candidates: list[str]) -> str | None:
    if found := next(filter(is_private, candidates), None):
        return found
    *shared, last = candidates
    for candidate in shared:
        try:
            if os.stat(os.path.dirname(candidate)).st_uid != os.geteuid():
                continue
        except OSError:
            continue
        if _made(candidate):
            return candidate
    from tokenward.files import own_folders

    try:
        own_folders.make(os.path.dirname(last))
    except (OSError, own_folders.UnsafePlaceError):
        return None
    return last if _made(last) else None


def is_private(path: str) -> bool:
    """Tell whether `path` is a directory, no link, ours, and closed to everybody else.

    Set-group-id, which mkdir(2) passes on from the folder above, opens it to nobody.
    """
    try:
        found = os.lstat(path)
    except OSError:
        return False
    return (
        stat.S_ISDIR(found.st_mode)
        and found.st_uid == os.geteuid()
        and stat.S_IMODE(found.st_mode) & ~stat.S_ISGID == 0o700
    )


def addresses(base: str, directory: str, ordinary: str) -> Iterator[str]:
    """Yield the sockets at which the agent of `directory` may be, likeliest first.

    The user's ordinary directory has the plain name, unless the agent of another home took it.
    """
    if directory == ordinary:
        yield f"{base}/{places.SOCKET}"
    yield f"{base}/{places.directory_tag(directory)}.sock"


def _candidates(environ: Mapping[str, str], state: str) -> list[str]:
    return places.runtime_directories(sys.platform, os.geteuid(), environ, state, _temporary())


def _temporary() -> str | None:
    return os.confstr(places.DARWIN_USER_TEMP_DIR) if sys.platform == "darwin" else None


def _made(path: str) -> bool:
    """Make a directory that is private from its first moment; True if there is one then."""
    try:
        os.mkdir(path, 0o700)
    except OSError:
        return is_private(path)  # somebody else may have made it meanwhile
    return True
