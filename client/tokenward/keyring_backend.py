"""tokenward as a backend of the `keyring` library, through which twine, pip and poetry ask.

Reads never fail: where no agent answers, or the vault is locked, there is nothing here and keyring
goes on. Writes fail with keyring's own errors and a sentence. A service is a URL as the tool writes
it, or else an opaque name that is matched as it is: a bare host is never answered from a URL's
entry, since the asker might send the secret over http.
"""

from __future__ import annotations

import os

from keyring.backend import KeyringBackend
from keyring.credentials import SimpleCredential
from keyring.errors import PasswordDeleteError, PasswordSetError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from tokenward.connection import Answer
    from tokenward_protocol.packing import Value

SECONDS = 1.0
"""How long a read may hold up a tool that asks many backends in turn."""

WRITE_SECONDS = 20.0


class Keyring(KeyringBackend):
    """Credentials from tokenward's agent."""

    priority = 20  # pyright: ignore[reportAssignmentType]  # a number where keyring declares a property; above every system keyring

    def get_password(self, service: str, username: str) -> str | None:
        """Return the secret of this very user, or None."""
        found = self._get(service, username)
        return None if found is None else _text(found.body)

    def get_credential(self, service: str, username: str | None) -> SimpleCredential | None:
        """Return user name and secret; without `username` of the account that answers alone."""
        found = self._get(service, username)
        secret = None if found is None else _text(found.body)
        if found is None or secret is None:
            return None
        return SimpleCredential(str(found.header["username"]), secret)

    def set_password(self, service: str, username: str, password: str) -> None:
        """Store, as `auth login` does."""
        try:
            _ask(
                "login", WRITE_SECONDS, password.encode(), service=_key(service), username=username
            )
        except Exception as error:  # noqa: BLE001 - keyring's callers expect its own errors
            raise PasswordSetError(_sentence(error)) from None

    def delete_password(self, service: str, username: str) -> None:
        """Remove, as `auth logout` does."""
        try:
            _ask("logout", WRITE_SECONDS, service=_key(service), username=username)
        except Exception as error:  # noqa: BLE001 - keyring's callers expect its own errors
            raise PasswordDeleteError(_sentence(error)) from None

    def _get(self, service: str, username: str | None) -> Answer | None:
        try:
            return _ask("fetch", SECONDS, service=_key(service), username=username)
        except Exception:  # noqa: BLE001 - a backend that raises would keep keyring from the next
            return None


def _ask(op: str, seconds: float, /, body: bytes = b"", **arguments: Value) -> Answer:
    from tokenward.connection import connect
    from tokenward.settings import Settings

    settings = Settings(os.environ, os.getcwd())
    with connect(settings.directories.credentials, start=True) as agent:
        return agent.ask(op, body, timeout=seconds, **arguments)


def _key(service: str) -> str:
    """Return the canonical key of a URL; anything else as it is. Raises ServiceError."""
    from tokenward_protocol.urls import parse

    return parse(service).key if "://" in service else service


def _text(secret: bytes) -> str | None:
    try:
        return secret.decode()
    except UnicodeDecodeError:
        return None


def _sentence(error: Exception) -> str:
    """Say what went wrong, without anything that only a debugger should see."""
    from tokenward.connection import AgentError
    from tokenward.errors import CommandError
    from tokenward_protocol.urls import ServiceError

    if not isinstance(error, (CommandError, ServiceError)):
        return f"tokenward failed ({type(error).__name__})."
    hint = error.hint
    if isinstance(error, AgentError) and error.code == "no-vault":
        hint = "`auth login` makes the vault, once"
    return f"{error} ({hint})" if hint else str(error)
