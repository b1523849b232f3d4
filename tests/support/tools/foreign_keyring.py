"""A keyring that is not ours, by both ways in which tools ask: how a tool ends with any other one.

It has one account, or none, and gives it to whoever asks for that user or for nobody in particular.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from support.tools.tool_home import ToolHome

BACKEND = """\
from keyring.backend import KeyringBackend
from keyring.credentials import SimpleCredential
from keyring.errors import PasswordSetError

USERNAME, PASSWORD = {account!r}


class Keyring(KeyringBackend):
    priority = 9

    def get_password(self, service, username):
        return PASSWORD if username == USERNAME else None

    def get_credential(self, service, username):
        if PASSWORD is None or username not in (None, USERNAME):
            return None
        return SimpleCredential(USERNAME, PASSWORD)

    def set_password(self, service, username, password):
        raise PasswordSetError("This keyring takes nothing.")
"""
PROGRAM = """\
#!/bin/sh
[ -n '{password}' ] || exit 1
case "$*" in
  *--output=json*) printf '{{"username": "%s", "password": "%s"}}\\n' '{username}' '{password}' ;;
  *--mode*creds*) printf '%s\\n%s\\n' '{username}' '{password}' ;;
  *) printf '%s\\n' '{password}' ;;
esac
"""


def set_up_foreign_keyring(
    at: ToolHome, username: str, password: str | None, tools: tuple[str, ...]
) -> None:
    """Have tools ask it, by the same settings that `auth setup` makes for them to ask us."""
    at.write(".foreign/foreign.py", BACKEND.format(account=(username, password)))
    at.write(
        ".config/python_keyring/keyringrc.cfg",
        f"[backend]\ndefault-keyring=foreign.Keyring\nkeyring-path={at.home.path}/.foreign\n",
    )
    at.write(".local/bin/keyring", PROGRAM.format(username=username, password=password or ""))
    (at.home.path / ".local/bin/keyring").chmod(0o755)
    if "uv" in tools:
        at.write(".config/uv/uv.toml", 'keyring-provider = "subprocess"\n')
    if "pip" in tools:
        at.write(".config/pip/pip.conf", "[global]\nkeyring-provider = subprocess\n")
