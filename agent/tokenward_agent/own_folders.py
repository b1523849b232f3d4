"""Folders of our own: judged before anything is made in them.

The rules are ground.py's, and the client keeps to them before it starts an agent; an agent that
somebody else starts (a service manager, a person) does so itself.
"""

from __future__ import annotations

import os
import sys

from tokenward_os import user
from tokenward_os.files import uid
from tokenward_protocol.ground import Way, Who
from tokenward_protocol.user_ids import known

TYPE_CHECKING = False
if TYPE_CHECKING:
    from tokenward_protocol.ground import Objection


def objection(*paths: str) -> Objection | None:
    """Return why nothing of ours is to lie at one of these absolute paths."""
    if sys.platform == "win32":
        return None
    who = Who(uid(), user.groups(), known(user.uid_map()), user.overflow_uid())
    way = Way(who, os.lstat, os.readlink)
    return next(filter(None, map(way.objection, paths)), None)
