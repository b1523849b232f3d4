"""tokenward as a backend of the `keyring` library, which twine, pip, poetry and others ask.

Reads never fail. A miss, an entry that is not for an index, an index for which nothing was ever
stored here, and one that `leave` in config.toml names go to the backend that keyring would have
chosen without this one. While a vault is locked, no other backend answers for its credentials. A
change of an index's entry, or of one that is stored here already, is a login or a logout.

For tools without tokenward beside them `auth setup keyring` writes this and two more files into
one, which any Python from 3.9 on can load: so only the standard library and keyring are imported.
"""

from __future__ import annotations

import os
import sys
from contextlib import suppress

from keyring import backend
from keyring.backend import KeyringBackend

from tokenward.keyring_program.agent_client import config_file, read_start
from tokenward.keyring_program.client import (
    RelayError,
    Unavailable,
    ask,
    is_here,
    must_withhold,
    relay,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any, TypeVar

    T = TypeVar("T")

OURS = {"tokenward.keyring_backend", "tokenward_keyring"}
"""The modules that may define this class."""

BEFORE = "# Before `auth setup`: "
"""The text that files/draft.py puts before a line that ours replaces."""

CHAINED = 10
"""The priority of keyring's own chain: of several backends, it comes before those below it."""


class Keyring(KeyringBackend):
    """Credentials from tokenward's agent, then from the keyring that would be used without it."""

    priority = 20  # pyright: ignore[reportAssignmentType]  # a number for keyring's property; the first of all
    exclusive: object = False  # or `keyring-exclusive = true` in config.toml
    aside: object = (
        False  # KEYRING_PROPERTY_ASIDE, with which the agent itself asks: only the others answer
    )

    def get_password(self, service: str, username: str) -> str | None:
        """Return the secret of exactly this user, or None."""
        found, others = self._ask_here(service, username)
        return (
            found[1] if found else _first_answer(o.get_password(service, username) for o in others)
        )

    def get_credential(self, service: str, username: str | None) -> Any:
        """Return user name and secret; without `username`, of the only account that answers."""
        found, others = self._ask_here(service, username or None)
        if not found:
            return _first_answer(other.get_credential(service, username) for other in others)
        from keyring.credentials import SimpleCredential

        return SimpleCredential(*found)

    def set_password(self, service: str, username: str, password: str) -> None:
        """Store as `auth login` an entry of an index or one that is here already; else pass it on."""
        if self.aside or not is_here(service, username):
            for other in self._others():
                with suppress(NotImplementedError):
                    other.set_password(service, username, password)
                    return
        try:
            relay("set", service, username, password)
        except RelayError as error:
            from keyring.errors import PasswordSetError

            raise PasswordSetError(str(error)) from None

    def delete_password(self, service: str, username: str) -> None:
        """Remove as `auth logout` does; an entry that is not here is passed on."""
        why = RelayError("not-found", "No password is stored for this service and user name.")
        if not self.aside and is_here(service, username):
            try:
                relay("del", service, username)
            except RelayError as error:
                why = error if error.stored else why
            else:
                return
        for other in self._others() if not why.stored else ():
            with suppress(NotImplementedError):
                other.delete_password(service, username)
                return
        from keyring.errors import PasswordDeleteError

        raise PasswordDeleteError(str(why))

    def _ask_here(self, service: str, username: str | None) -> tuple[Any, list[Any]]:
        """Return the credential, else None with the backends to ask."""
        if self.aside:
            return None, self._others()
        try:
            found = ask(service, username)
        except Unavailable as shut:
            return None, [] if must_withhold(shut, service) else self._others()
        return found, [] if found else self._others()

    def _others(self) -> list[Any]:
        """Return the backends that keyring would ask without our classes, in its order."""
        exclusive = self.exclusive not in {False, "", "0"} or _is_exclusive(
            read_start(config_file())
        )
        if exclusive and not self.aside:
            return []
        if chosen := _chosen_backend():
            return [chosen] if chosen.priority > 0 else []
        not_asked = {*OURS, "keyring.backends.chainer"}
        every = [k for k in backend.get_all_keyring() if type(k).__module__ not in not_asked]
        every = sorted((k for k in every if k.priority > 0), key=backend.by_priority, reverse=True)
        return every if every and every[0].priority <= CHAINED else every[:1]


def _chosen_backend() -> Any:
    """Return the backend that keyring's settings choose besides this one, or None."""
    from keyring import core

    for load in (core.load_env, core.load_config, _chosen_before_setup):
        path, chosen = sys.path[:], None
        with suppress(Exception):  # a broken setting of keyring chooses no backend
            chosen = load()
        if sys.path[1:] == path and sys.path[0] in path:
            del sys.path[0]  # load_config puts keyring-path there each time
        if chosen and type(chosen).__module__ not in OURS:
            return chosen
    return None


def _chosen_before_setup() -> Any:
    """Load the backend that keyringrc.cfg chose before `auth setup` made that line a comment."""
    from configparser import RawConfigParser

    from keyring import core
    from keyring.util.platform_ import config_root

    text = read_start(f"{config_root()}/keyringrc.cfg").decode()
    said = RawConfigParser()
    said.read_string(
        "\n".join(["[backend]", *(it.partition(BEFORE)[2] for it in text.splitlines())])
    )
    path = os.path.expanduser(said.get("backend", "keyring-path", fallback=""))
    if path and path not in sys.path:
        sys.path.append(path)
    return core.load_keyring(said.get("backend", "default-keyring"))


def _first_answer(answers: Iterable[T | None]) -> T | None:
    return next((answer for answer in answers if answer is not None), None)


def _is_exclusive(config: bytes) -> bool:
    """Return whether config.toml has `keyring-exclusive = true` at the top; no TOML is parsed."""
    lines = (b"\n" + config).partition(b"\n[")[0].split(b"\n")
    return any(
        b"".join(line.partition(b"#")[0].split()) == b"keyring-exclusive=true" for line in lines
    )
