"""tokenward as a backend of the `keyring` library, through which twine, pip, poetry and others ask.

Reads never fail. A miss, and what is no index's, goes to the backend that keyring would have
chosen without this one, and so does what was never stored here, whatever state the vault is in;
while that is locked, what is stored in it is nobody else's to answer. A change
of what is an index's, or is stored here already, is a login or a logout.

For tools that do not have tokenward installed beside them `auth setup keyring` writes this and
two files more into one, which any Python from 3.9 on can load: so nothing but the standard
library and keyring is imported.
"""

from __future__ import annotations

import os
import sys
from contextlib import suppress

from keyring import backend
from keyring.backend import KeyringBackend

from tokenward.keyring_program.agent_client import config_file, content
from tokenward.keyring_program.client import Refused, Shut, ask, is_index, relay, withheld

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any, TypeVar

    T = TypeVar("T")

OURS = {"tokenward.keyring_backend", "tokenward_keyring"}
"""The modules that this class may be defined in."""

BEFORE = "# Before `auth setup`: "
"""What setup/draft.py writes before a line that gives way to ours."""

CHAINED = 10
"""The priority of keyring's own chain: with several backends, it comes before all below that."""


class Keyring(KeyringBackend):
    """Credentials from tokenward's agent, then from the keyring that is there without it."""

    priority = 20  # pyright: ignore[reportAssignmentType]  # a number for keyring's property; the first of all
    exclusive: object = False  # or `keyring-exclusive = true` in config.toml: nobody else is asked
    aside: object = (
        False  # KEYRING_PROPERTY_ASIDE, by which the agent itself asks: only the others are
    )

    def get_password(self, service: str, username: str) -> str | None:
        """Return the secret of this very user, or None."""
        found, others = self._asked(service, username)
        return found[1] if found else _first(o.get_password(service, username) for o in others)

    def get_credential(self, service: str, username: str | None) -> Any:
        """Return user name and secret; without `username` of the account that answers alone."""
        found, others = self._asked(service, username or None)
        if not found:
            return _first(other.get_credential(service, username) for other in others)
        from keyring.credentials import SimpleCredential

        return SimpleCredential(*found)

    def set_password(self, service: str, username: str, password: str) -> None:
        """Store as `auth login` does what is an index's or is here already; else pass it on."""
        if not self._is_here(service, username):
            for other in self._others():
                with suppress(NotImplementedError):
                    other.set_password(service, username, password)
                    return
        try:
            relay("set", service, username, password)
        except Refused as error:
            from keyring.errors import PasswordSetError

            raise PasswordSetError(str(error)) from None

    def delete_password(self, service: str, username: str) -> None:
        """Remove as `auth logout` does; what is not here is another's to remove."""
        why = Refused("not-found", "No password is stored for this service and user name.")
        if self._is_here(service, username):
            try:
                relay("del", service, username)
            except Refused as error:
                why = error if error.stored else why
            else:
                return
        for other in self._others() if not why.stored else ():
            with suppress(NotImplementedError):
                other.delete_password(service, username)
                return
        from keyring.errors import PasswordDeleteError

        raise PasswordDeleteError(str(why))

    def _asked(self, service: str, username: str | None) -> tuple[Any, list[Any]]:
        """Return what answers here, and who is to be asked if nothing does."""
        if self.aside:
            return None, self._others()
        try:
            found = ask(service, username)
        except Shut as shut:
            return None, [] if withheld(shut, service) else self._others()
        return found, [] if found else self._others()

    def _is_here(self, service: str, username: str) -> bool:
        """Tell whether a change of this service is tokenward's."""
        if self.aside:
            return False
        with suppress(Shut):
            return is_index(service) or ask(service, username) is not None
        return False

    def _others(self) -> list[Any]:
        """Return whom keyring would ask if no class of ours were there, in its order."""
        exclusive = self.exclusive not in {False, "", "0"} or _is_exclusive(content(config_file()))
        if exclusive and not self.aside:
            return []
        if chosen := _chosen():
            return [chosen] if chosen.priority > 0 else []
        not_asked = {*OURS, "keyring.backends.chainer"}
        every = [k for k in backend.get_all_keyring() if type(k).__module__ not in not_asked]
        every = sorted((k for k in every if k.priority > 0), key=backend.by_priority, reverse=True)
        return every if every and every[0].priority <= CHAINED else every[:1]


def _chosen() -> Any:
    """Return the backend that the settings of keyring choose beside this one, or None."""
    from keyring import core

    for load in (core.load_env, core.load_config, _chosen_before):
        path, chosen = sys.path[:], None
        with suppress(Exception):  # a broken setting of keyring's chooses nobody
            chosen = load()
        if sys.path[1:] == path and sys.path[0] in path:
            del sys.path[0]  # load_config puts keyring-path there each time
        if chosen and type(chosen).__module__ not in OURS:
            return chosen
    return None


def _chosen_before() -> Any:
    """Load what keyringrc.cfg chose before `auth setup`, by which that has become a comment."""
    from configparser import RawConfigParser

    from keyring import core
    from keyring.util.platform_ import config_root

    text = content(f"{config_root()}/keyringrc.cfg").decode()
    said = RawConfigParser()
    said.read_string(
        "\n".join(["[backend]", *(it.partition(BEFORE)[2] for it in text.splitlines())])
    )
    path = os.path.expanduser(said.get("backend", "keyring-path", fallback=""))
    if path and path not in sys.path:
        sys.path.append(path)
    return core.load_keyring(said.get("backend", "default-keyring"))


def _first(answers: Iterable[T | None]) -> T | None:
    return next((answer for answer in answers if answer is not None), None)


def _is_exclusive(config: bytes) -> bool:
    """Tell whether config.toml says `keyring-exclusive = true`, above its tables; no TOML is parsed."""
    lines = (b"\n" + config).partition(b"\n[")[0].split(b"\n")
    return any(
        b"".join(line.partition(b"#")[0].split()) == b"keyring-exclusive=true" for line in lines
    )
