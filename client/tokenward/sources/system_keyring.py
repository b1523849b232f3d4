"""The credentials in the system keyring or in the user's configured one, by the keyring library.

A keyring cannot list its contents, so it is asked for known indexes: pypi, testpypi and those in
the user's own files, in the spellings of twine, pip, Poetry and PDM. The backends are those that the
library would ask, but never our own, which would ask the agent. The library runs in this process,
only for this command; a keyring that does not answer is given up after `SECONDS`.
"""

from __future__ import annotations

import signal
import sys
from contextlib import contextmanager
from urllib.parse import urlsplit

from tokenward.errors import CommandError
from tokenward.keyring_program import standalone
from tokenward.sources.found import ForeignCredential
from tokenward.ui.formatting import join_words
from tokenward_protocol.urls import FIXED, strip_index_suffix

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from types import FrameType

    from keyring.backend import KeyringBackend

    from tokenward.sources.found import KnownIndex, KnownIndexes

SECONDS = 60
"""Seconds that a keyring may take in all: the user may have to unlock it."""

_USER = "__token__"
_OFF = ("keyring.backends.fail", "keyring.backends.null")
_NOT_ASKED = ("tokenward", standalone.MODULE, "keyring.backends.chainer", *_OFF)


class Items:
    """The credentials in a keyring for the known indexes; like `Document` for a file."""

    source = "keyring"

    def __init__(self, backends: Iterable[KeyringBackend], known: KnownIndexes) -> None:
        """Ask for all of them. Raises CommandError if a keyring fails or is locked."""
        self._backends = list(backends)
        self._places: dict[ForeignCredential, tuple[KeyringBackend, str]] = {}
        if not self._backends:
            raise CommandError("No keyring is installed here except tokenward's own.")
        self.path = join_words([_name(backend) for backend in self._backends])
        with _deadline(self.path):
            for spelling, key, usernames in _spellings(known):
                self._ask(spelling, key, usernames)
        self.found = list(self._places)

    def remove(self, settled: Iterable[ForeignCredential]) -> None:
        """Delete imported credentials. Raises CommandError for the first that cannot be deleted."""
        from keyring.errors import KeyringError

        for found in settled:
            backend, spelling = self._places[found]
            try:
                with _deadline(self.path):
                    backend.delete_password(spelling, found.username)
            except KeyringError as error:
                raise CommandError(
                    f"{_name(backend)} did not delete {found.place} ({type(error).__name__})."
                ) from None

    def _ask(self, spelling: str, key: str, usernames: list[str | None]) -> None:
        from keyring.errors import KeyringError

        for backend in self._backends:
            for username in usernames:
                try:
                    item = backend.get_credential(spelling, username)
                except KeyringError as error:
                    raise CommandError(
                        f"{_name(backend)} cannot be read ({type(error).__name__}).",
                        "unlock it and run the import again",
                    ) from None
                if item is None or not item.password:
                    continue
                user = item.username or username or ""
                place = f"{user or 'somebody'} of {spelling}"
                if all(place != other.place for other in self._places):
                    self._places[ForeignCredential(place, (key,), user, item.password)] = (
                        backend,
                        spelling,
                    )


def backends() -> list[KeyringBackend]:
    """Return the backends to ask: the configured one, else all that the library would ask.

    It is empty if the user's configuration switches keyrings off.
    """
    import keyring.backend
    import keyring.core

    try:
        configured = keyring.core.load_env() or keyring.core.load_config()
    except Exception:  # noqa: BLE001 - a configured backend of another author that does not load
        configured = None
    if configured is not None:
        if _may_be_asked(type(configured)):
            return [configured]
        if type(configured).__module__ in _OFF:
            return []
    viable = keyring.backend.get_all_keyring()
    able = [one for one in viable if _may_be_asked(type(one)) and one.priority > 0]
    return sorted(able, key=lambda one: one.priority, reverse=True)


def _may_be_asked(backend: type[KeyringBackend]) -> bool:
    module = backend.__module__
    return not any(module == name or module.startswith(f"{name}.") for name in _NOT_ASKED)


def _name(backend: KeyringBackend) -> str:
    return f"the keyring {type(backend).__module__}.{type(backend).__qualname__}"


def _spellings(known: KnownIndexes) -> Iterator[tuple[str, str, list[str | None]]]:
    """Yield what to ask for, the key to store it under, and the user names to ask with."""
    for name, key in FIXED.items():
        host = urlsplit(key).netloc
        for spelling in (key, key.rstrip("/"), host, f"poetry-repository-{name}"):
            yield spelling, key, [_USER, None]
        yield f"pdm-repository-{name}", key, [_USER, None]
    for index in known.indexes:
        usernames = [name for name in dict.fromkeys((index.username, _USER)) if name]
        for spelling, key in dict(_of(index)).items():
            yield spelling, key, [*usernames, None]


def _of(index: KnownIndex) -> Iterator[tuple[str, str]]:
    """Yield the spellings of one index, each with the key to store under."""
    key, bare = strip_index_suffix(index.key), index.url.rstrip("/")
    for spelling in (
        index.url,
        bare,
        f"{bare}/",
        index.key,
        index.key.rstrip("/"),
        key,
        key.rstrip("/"),
    ):
        yield spelling, key
    yield urlsplit(index.url).netloc, index.root
    if index.name:
        for tool in ("poetry", "pdm"):
            yield f"{tool}-repository-{index.name}", key


@contextmanager
def _deadline(place: str) -> Iterator[None]:
    """Raise CommandError if the context takes longer than `SECONDS`."""

    def give_up(_number: int, _frame: FrameType | None) -> None:
        raise CommandError(f"No answer came from {place} within {SECONDS} seconds.")

    if sys.platform == "win32":  # no alarms; the Credential Store of Windows does not wait either
        yield
        return
    before = signal.signal(signal.SIGALRM, give_up)
    signal.alarm(SECONDS)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)
