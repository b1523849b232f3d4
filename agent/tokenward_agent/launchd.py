"""The sockets that launchd holds for this process, by launch_activate_socket(3) of macOS.

Only a job with the key `Sockets` that launchd itself started has any; other processes, children of
that job included, listen by themselves. Each socket can be fetched once. The call is `int
launch_activate_socket(const char *name, int **fds, size_t *cnt)`: it returns an error number or 0,
and an array that the caller frees.
"""

from __future__ import annotations

import ctypes
import errno
import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

LISTENER: Final = b"Listener"
"""The socket's name in the job's property list."""

_NONE: Final = {errno.ESRCH, errno.ENOENT}  # not a job of launchd; no socket of this name


def activated_descriptors(library: ctypes.CDLL, name: bytes = LISTENER) -> list[int]:
    """Return the descriptors of the sockets called `name`, [] for a process without any.

    `library` has the two calls: `ctypes.CDLL(None)` on macOS. Raises OSError if launchd refuses.
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
