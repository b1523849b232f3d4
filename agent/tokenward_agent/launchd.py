"""The sockets that launchd holds for this process, as launch_activate_socket(3) of macOS hands them over.

Only a process that launchd itself has started, as a job with the key `Sockets`, has any; a child of
it, or a job without, has none, and listens by itself. They can be had once. The call is
`int launch_activate_socket(const char *name, int **fds, size_t *cnt)`: an error number or 0, and an
array that the caller frees.
"""

from __future__ import annotations

import ctypes
import errno
import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

LISTENER: Final = b"Listener"
"""What the socket is called in the job's property list."""

_NONE: Final = {errno.ESRCH, errno.ENOENT}  # no job of launchd's; none of this name


def descriptors(library: ctypes.CDLL, name: bytes = LISTENER) -> list[int]:
    """Return the descriptors of what is called `name`, [] for a process that has none.

    `library` has the two calls: `ctypes.CDLL(None)` on macOS. Raises OSError where launchd refuses.
    """
    numbers, count = ctypes.POINTER(ctypes.c_int)(), ctypes.c_size_t(0)
    activate = library.launch_activate_socket
    activate.restype = ctypes.c_int
    activate.argtypes = [
        ctypes.c_char_p,
        ctypes.POINTER(ctypes.POINTER(ctypes.c_int)),
        ctypes.POINTER(ctypes.c_size_t),
    ]
    failure = activate(name, ctypes.byref(numbers), ctypes.byref(count))
    if failure in _NONE:
        return []
    if failure:
        raise OSError(failure, os.strerror(failure))
    try:
        return [numbers[place] for place in range(count.value)]
    finally:
        library.free.restype = None
        library.free.argtypes = [ctypes.c_void_p]
        library.free(numbers)
