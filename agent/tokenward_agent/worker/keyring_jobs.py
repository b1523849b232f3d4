"""The jobs that ask the system keyring, through the library ``keyring``.

They ask for two kinds of secrets. *The vault's key* goes only to a keyring that belongs to this
user's session and can store: Keychain, Credential Store, Secret Service or KWallet, by the
library's priority, or any backend that the user has configured by name. *A credential that the user
keeps in a keyring* is looked for in every backend that the library would ask, also in those that
only make short-lived tokens. Such a *plug-in* may raise anything, and print anything: it is asked
with the variables of the user's login, the backends behind it are asked nevertheless, and if none
of them has the credential, the failure quotes what it said.

Refused for both: this project's own backend (it asks the agent, which waits for this job), chains
(which may contain it), ``fail``, ``null``, and backends that store in plain files. A user who has
configured ``null`` or ``fail`` has switched keyrings off.
"""

from __future__ import annotations

import os
import sys
from configparser import RawConfigParser
from contextlib import contextmanager
from threading import Thread
from typing import TYPE_CHECKING

import keyring.backend
import keyring.core
import keyring.errors
from keyring.compat.py312 import metadata
from keyring.util.platform_ import config_root

from tokenward_agent.worker.job import (
    UNATTENDED,
    JobError,
    decode_key,
    encode_key,
    variables_of,
)
from tokenward_agent.worker.keyring_reach import NO_BUS
from tokenward_agent.worker.said import TAIL, Reading, last_line
from tokenward_protocol.keyring_marks import BEFORE
from tokenward_protocol.secret_marks import may_show

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any, Final

    from keyring.backend import KeyringBackend

    from tokenward_agent.worker.job import Header

_SYSTEM: Final = {
    "keyring.backends.macOS": "Keychain",
    "keyring.backends.Windows": "Windows Credential Store",
    "keyring.backends.SecretService": "Secret Service",
    "keyring.backends.libsecret": "Secret Service (libsecret)",
    "keyring.backends.kwallet": "KWallet",
}
_ELSEWHERE: Final = tuple(
    backend
    for system, backend in (
        ("darwin", "keyring.backends.macOS"),
        ("win32", "keyring.backends.Windows"),
    )
    if sys.platform != system
)
"""Those of other systems: to load macOS' runs a compiler, which looks for a library."""

_OFF: Final = {"keyring.backends.fail", "keyring.backends.null"}
_OURS: Final = ("tokenward", "tokenward_keyring")  # the second is what `auth setup` copies
_MAKERS: Final = (
    "keyrings.gauth",
    "keyrings.codeartifact",
    "artifacts_keyring",
    "keyrings.envvars",
)
"""Plug-ins that make or show credentials and store nothing: they keep no vault's key."""

_REFUSED: Final = (*_OURS, "keyring.backends.chainer", "keyrings.alt", *_OFF)


_RESERVE: Final = 5  # seconds before the job's deadline, to say what a plug-in waits for


def work(job: str, header: Header, secret: bytes) -> tuple[Header, bytes]:
    """Do one of the jobs below. Raises JobError, never with a secret."""
    jobs: dict[str, Callable[[Header, bytes], tuple[Header, bytes]]] = {
        "keyring-probe": _probe,
        "keyring-get": _get,
        "keyring-set": _set,
        "keyring-delete": _delete,
        "keyring-read": _read,
    }
    try:
        return jobs[job](header, secret)
    except keyring.errors.KeyringLocked:
        raise JobError(
            "keyring-locked",
            "The system keyring is locked.",
            "unlock it in your desktop session, or use `--keyring-provider disabled`",
        ) from None
    except keyring.errors.KeyringError as error:
        raise JobError(
            "keyring-failed", f"The system keyring failed with {type(error).__name__}."
        ) from None


def _probe(_header: Header, _secret: bytes) -> tuple[Header, bytes]:
    """Find the keyring that answers, without ever causing a prompt."""
    backend = _system_keyring()
    if type(backend).__module__ == "keyring.backends.SecretService":
        _refuse_to_wake_secret_service()
    elif type(backend).__module__ == "keyring.backends.kwallet":
        _refuse_to_wake_kwallet(backend)
    backend.get_password("tokenward", "probe")
    return _name_backend(backend), b""


def _get(header: Header, _secret: bytes) -> tuple[Header, bytes]:
    backend = _system_keyring()
    value = backend.get_password(header["service"], header["username"])
    if value is None:
        raise JobError("not-found", "The system keyring does not have the vault's key.")
    return _name_backend(backend), decode_key(value, "the system keyring")


def _set(header: Header, secret: bytes) -> tuple[Header, bytes]:
    backend = _system_keyring()
    try:
        backend.set_password(header["service"], header["username"], encode_key(secret).decode())
    except NotImplementedError:
        raise JobError(
            "no-keyring",
            f"The keyring {_name_backend(backend)['backend']} stores nothing.",
            "use `--keyring-provider disabled`",
        ) from None
    return _name_backend(backend), b""


def _delete(header: Header, _secret: bytes) -> tuple[Header, bytes]:
    backend = _system_keyring()
    try:
        backend.delete_password(header["service"], header["username"])
    except keyring.errors.PasswordDeleteError:
        raise JobError("not-found", "The system keyring does not have the vault's key.") from None
    return _name_backend(backend), b""


def _read(header: Header, variables: bytes) -> tuple[Header, bytes]:
    """Look for a credential under each of `services` in turn, in each backend by priority.

    Raises JobError: `command` if a plug-in failed, or is not done shortly before the deadline.
    """
    os.environ.update(UNATTENDED | variables_of(variables))
    with _listening() as said:
        search = _Search(header)
        search.join(max(1, header["seconds"] - _RESERVE))
    if search.found is not None:
        return search.found
    words = last_line(said.take(), b"")
    quoted = f": {words}" if words else ""
    if search.is_alive():
        name = f"The keyring {search.asked}".rstrip()
        raise JobError("command", f"{name} gave no answer in time{quoted}.")
    failure = search.failure
    if isinstance(failure, keyring.errors.KeyringError):
        raise failure
    if failure is not None:
        text = str(failure).strip().partition("\n")[0].rstrip(". ")
        told = f": {text}" if text and not may_show(text) else quoted
        kind = type(failure).__name__
        name = f"The keyring {search.failed}".rstrip()
        raise JobError("command", f"{name} failed with {kind}{told}.")
    raise JobError(
        "not-found",
        f"No keyring has a password of {header['username']} for {header['services'][0]}.",
        "plug-ins answer if they are installed beside tokenward; `auth login` without `--adopt` stores a"
        " password",
    )


class _Search(Thread):
    """Asks the backends, one after the other: `found`, or the first `failure` and who `failed` so."""

    def __init__(self, header: Header) -> None:
        super().__init__(daemon=True)
        self._services: list[str] = header["services"]
        self._username: str = header["username"]
        self.asked = self.failed = ""
        self.found: tuple[Header, bytes] | None = None
        self.failure: Exception | None = None
        self.start()

    def run(self) -> None:
        try:
            backends = list(_readable_keyrings())
            for service in self._services:
                for backend in [*backends]:
                    try:
                        found = self._ask(backend, service)
                    except Exception as error:  # noqa: BLE001 - plug-ins raise anything
                        self.failure, self.failed = self.failure or error, self.failed or self.asked
                        backends.remove(
                            backend
                        )  # it would fail again, and some take seconds for it
                        continue
                    if found:
                        return
        except Exception as error:  # noqa: BLE001 - a plug-in may raise anything as it is looked for
            self.failure = self.failure or error

    def _ask(self, backend: KeyringBackend, service: str) -> bool:
        self.asked = str(_name_backend(backend)["backend"])
        found = backend.get_credential(service, self._username)
        if found is None or found.password is None:
            return False
        answer = {"service": service, "username": found.username or self._username}
        self.found = {**_name_backend(backend), **answer}, found.password.encode()
        return True


@contextmanager
def _listening() -> Iterator[Reading]:
    """Read what is printed meanwhile: stdout is the worker's answer, and stderr leads nowhere."""
    sys.stdout = sys.stderr  # for good: a plug-in may still run when the answer is written
    own = [os.dup(descriptor) for descriptor in (1, 2)]
    end, start = os.pipe()
    said = Reading(end, TAIL)
    for descriptor in (1, 2):
        os.dup2(start, descriptor)
    os.close(start)
    try:
        yield said
    finally:
        sys.stderr.flush()
        for before, descriptor in zip(own, (1, 2), strict=True):
            os.dup2(before, descriptor)
            os.close(before)


def _system_keyring() -> KeyringBackend:
    """Return the keyring of this session. Raises JobError."""
    chosen = _configured_keyring()
    if chosen is not None and type(chosen).__module__ in _OFF:
        raise JobError("no-keyring", "The user's keyring configuration switches keyrings off.")
    if chosen is not None and _is_usable(type(chosen)) and not _is_of(type(chosen), _MAKERS):
        return chosen
    _load_backends()
    viable = [c for c in _viable_backends() if c.__module__ in _SYSTEM]
    if not viable:
        raise JobError("no-keyring", _none_sentence())
    return max(viable, key=keyring.backend.by_priority)()


def _none_sentence() -> str:
    if sys.platform in {"darwin", "win32"}:
        return "No system keyring answered."
    if "DBUS_SESSION_BUS_ADDRESS" not in os.environ:
        return NO_BUS
    return "No system keyring answered (no secret service runs on this D-Bus session)."


def _readable_keyrings() -> Iterator[KeyringBackend]:
    chosen = _configured_keyring()
    if chosen is not None and _is_usable(type(chosen)):
        yield chosen
    _load_backends()
    for backend in sorted(
        filter(_is_usable, _viable_backends()), key=keyring.backend.by_priority, reverse=True
    ):
        if type(chosen) is not backend:
            yield backend()


def _configured_keyring() -> KeyringBackend | None:
    """Return the backend of the user's environment or keyringrc.cfg, also from before `auth setup`."""
    for load in (keyring.core.load_env, keyring.core.load_config, _load_before_setup):
        try:
            chosen: KeyringBackend | None = load()
        except Exception:  # noqa: BLE001, S112 - a broken foreign backend counts as none
            continue
        if chosen is not None and not _is_of(type(chosen), _OURS):
            return chosen
    return None


def _load_before_setup() -> KeyringBackend:
    """Load the backend that keyringrc.cfg named before `auth setup` made that line a comment."""
    with open(os.path.join(config_root(), "keyringrc.cfg"), encoding="utf-8") as file:
        lines = [line.partition(BEFORE)[2] for line in file]
    said = RawConfigParser()
    said.read_string("".join(["[backend]\n", *lines]))
    if path := os.path.expanduser(said.get("backend", "keyring-path", fallback="")):
        sys.path.append(path)
    return keyring.core.load_keyring(said.get("backend", "default-keyring"))


def _load_backends() -> None:
    """Load every backend except ours, which would ask the agent that waits for this job."""
    for entry in metadata.entry_points(group="keyring.backends"):
        if entry.value.startswith(("tokenward", *_ELSEWHERE)):
            continue
        try:
            loaded = entry.load()
            if callable(loaded):
                loaded()
        except Exception:  # noqa: BLE001, S112 - a broken foreign backend
            continue


def _viable_backends() -> Iterator[type[KeyringBackend]]:
    return iter(keyring.backend.KeyringBackend.get_viable_backends())


def _is_usable(backend: type[KeyringBackend]) -> bool:
    plain = "plaintext" in backend.__name__.lower()
    return not plain and not _is_of(backend, _REFUSED)


def _is_of(backend: type[KeyringBackend], modules: tuple[str, ...]) -> bool:
    module = backend.__module__
    return any(module == name or module.startswith(f"{name}.") for name in modules)


def _name_backend(backend: KeyringBackend) -> Header:
    module = type(backend).__module__
    return {"backend": _SYSTEM.get(module, f"{module}.{type(backend).__qualname__}")}


def _refuse_to_wake_secret_service() -> None:
    """Raise KeyringLocked or JobError if the Secret Service would show a prompt."""
    import secretstorage
    from secretstorage.exceptions import ItemNotFoundException

    connection = secretstorage.dbus_init()
    try:
        default = secretstorage.Collection(connection, "/org/freedesktop/secrets/aliases/default")
        if default.is_locked():
            raise keyring.errors.KeyringLocked
    except ItemNotFoundException:
        raise JobError("no-keyring", "The Secret Service has no default collection.") from None
    finally:
        connection.close()


def _refuse_to_wake_kwallet(backend: Any) -> None:
    """Raise KeyringLocked if KWallet would show a prompt (org.kde.KWallet.xml)."""
    from jeepney import (  # type: ignore[import-untyped] # it has no annotations
        DBusAddress,
        new_method_call,
    )
    from jeepney.io.blocking import open_dbus_connection  # type: ignore[import-untyped] # likewise

    wallets = DBusAddress(backend.object_path, backend.bus_name, "org.kde.KWallet")
    with open_dbus_connection("SESSION") as bus:
        (name,) = bus.send_and_get_reply(new_method_call(wallets, "networkWallet")).body
        is_open = new_method_call(wallets, "isOpen", "s", (name,))
        if bus.send_and_get_reply(is_open).body != (True,):
            raise keyring.errors.KeyringLocked
