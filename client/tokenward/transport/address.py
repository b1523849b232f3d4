"""The address of this user's agent: the client's part of docs/PROTOCOL.md, "who may speak".

It is `$TOKENWARD_SOCK` if set; else a socket in the first runtime directory that is a directory and
not a link, belongs to the user and has mode 0700. `runtime_directory` only looks;
`make_runtime_directory`, before an agent is started, makes a missing one. Nothing is made or
looked for directly in /tmp, where another user can be first.
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
    """Return the first usable runtime directory that exists, or None.

    `state` is the user's state directory.
    """
    return next(filter(is_private, _candidates(environ, state)), None)


def make_runtime_directory(environ: Mapping[str, str], state: str) -> str | None:
    """Return the runtime directory, making it if it is missing; None if that fails."""
    return _make_first(_candidates(environ, state))


def lasting_directory(environ: Mapping[str, str], state: str) -> str | None:
    """Return the runtime directory that survives a restart of macOS, making it if it is missing.

    macOS empties its folder of temporary files at each start, so a permanent address cannot be in
    that folder.
    """
    swept = swept_directory()
    return _make_first([path for path in _candidates(environ, state) if path != swept])


def swept_directory() -> str | None:
    """Return the runtime directory that a restart of macOS deletes; None on other systems."""
    temp = _temporary()
    return None if temp is None else places.runtime_directories("darwin", 0, {}, "", temp)[0]


def _make_first(candidates: list[str]) -> str | None:
    if found := next(filter(is_private, candidates), None):
        return found
    *shared, last = candidates
    for candidate in shared:
        try:
            if os.stat(os.path.dirname(candidate)).st_uid != os.geteuid():
                continue
        except OSError:
            continue
        if _make_private(candidate):
            return candidate
    from tokenward.files import own_folders

    try:
        own_folders.make(os.path.dirname(last))
    except (OSError, own_folders.UnsafePlaceError):
        return None
    return last if _make_private(last) else None


def is_private(path: str) -> bool:
    """Return whether `path` is a directory, not a link, ours, and closed to other users.

    Set-group-id, which mkdir(2) passes on from the folder above, does not open it.
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
    """Yield the possible sockets of the agent of `directory`, the likeliest first.

    The user's ordinary directory has the plain name, unless the agent of another home took it.
    """
    if directory == ordinary:
        yield f"{base}/{places.SOCKET}"
    yield f"{base}/{places.directory_tag(directory)}.sock"


def _candidates(environ: Mapping[str, str], state: str) -> list[str]:
    return places.runtime_directories(sys.platform, os.geteuid(), environ, state, _temporary())


def _temporary() -> str | None:
    return os.confstr(places.DARWIN_USER_TEMP_DIR) if sys.platform == "darwin" else None


def _make_private(path: str) -> bool:
    """Make a directory that is private from the start; return whether there is one now."""
    try:
        os.mkdir(path, 0o700)
    except OSError:
        return is_private(path)  # another process may have made it meanwhile
    return True
