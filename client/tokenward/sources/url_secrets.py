"""User info in the URLs of other tools' settings: where user name and password stand."""

from __future__ import annotations

import re

USERINFO = re.compile(r"\w+://([^\s:/?#]*)(:?)([^\s/?#]*)@")
"""Groups: the user name, a colon or nothing, the password, each as it is spelled."""
