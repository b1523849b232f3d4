"""The agent's own folders: checked before anything is created in them.

The rules are those of folder_trust.py. A client applies them before it starts an agent; an agent that a
service manager or the user starts applies them itself.
"""

from __future__ import annotations

import os
import sys

from tokenward_os import user
from tokenward_os.files import uid
from tokenward_protocol.folder_trust import FolderTrust, Identity
from tokenward_protocol.user_ids import count_known_ids

TYPE_CHECKING = False
if TYPE_CHECKING:
    from tokenward_protocol.folder_trust import Objection


def objection(*paths: str) -> Objection | None:
    """Return why one of these absolute paths is not safe for our files, or None."""
    if sys.platform == "win32":
        return None
    who = Identity(uid(), user.groups(), count_known_ids(user.uid_map()), user.overflow_uid())
    way = FolderTrust(who, os.lstat, os.readlink)
    return next(filter(None, map(way.objection, paths)), None)
