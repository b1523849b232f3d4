"""Environment variables without which programs do not find the user's files."""

from __future__ import annotations

import sys

NEEDED = frozenset({"HOME", "USER", "LOGNAME", "PATH", "LANG", "TZ", "TMPDIR"})
"""Every program that tokenward starts gets these."""

if sys.platform == "win32":  # without these a program does not find Windows, or its user's folders
    NEEDED |= {
        *("SYSTEMROOT", "WINDIR", "COMSPEC", "PATHEXT", "TEMP", "TMP"),
        *("USERPROFILE", "USERNAME", "USERDOMAIN", "APPDATA", "LOCALAPPDATA", "PROGRAMDATA"),
    }
