"""Private D-Bus sessions with a real gnome-keyring or KWallet, a keyring that hangs, or none.

Nothing of the user's own session is touched: HOME, XDG_RUNTIME_DIR and the bus are made anew, the
bus starts no services by itself, and every process is ended by whoever started it.
Needs the Debian packages dbus and gnome-keyring; KWallet needs libkf5wallet-bin.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
import secretstorage
from jeepney import (  # type: ignore[import-untyped] # it has no annotations
    DBusAddress,
    MessageType,
    new_method_call,
)
from jeepney.io.blocking import open_dbus_connection  # type: ignore[import-untyped] # likewise
from jeepney.wrappers import unwrap_msg  # type: ignore[import-untyped] # likewise
from secretstorage.exceptions import SecretStorageException

from support.waiting import until

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Mapping
    from pathlib import Path

PASSWORD = b"ci-password"
_SECRETS = "org.freedesktop.secrets"
DEFAULT = "/org/freedesktop/secrets/aliases/default"

_BUS = """<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig><type>session</type><listen>unix:dir={folder}</listen><auth>EXTERNAL</auth>
<servicedir>{folder}/services</servicedir><policy context="default"><allow send_destination="*"/><allow receive_sender="*"/><allow own="*"/>
</policy></busconfig>
"""

_HANGING = """
from jeepney import DBusAddress, message_bus
from jeepney.io.blocking import Proxy, open_dbus_connection
bus = open_dbus_connection("SESSION")
Proxy(message_bus, bus).RequestName("org.freedesktop.secrets")
print("ready", flush=True)
while True: bus.receive()
"""


class Session:
    """A private desktop session: the environment of its programs, and its keyring's lock."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self.environ = dict(environ)

    def join(self, environment: dict[str, str]) -> None:
        """Let programs with this environment reach the session's bus from now on."""
        environment["DBUS_SESSION_BUS_ADDRESS"] = self.environ["DBUS_SESSION_BUS_ADDRESS"]

    def locked(self) -> bool:
        """Tell whether the default collection is locked."""
        with self._collection() as collection:
            return bool(collection.is_locked())

    def lock(self) -> None:
        """Lock the default collection; without a display nobody can be asked to open it again."""
        with self._collection() as collection:
            collection.lock()

    def unlock(self) -> None:
        """Unlock the default collection by its password, as PAM does it at a login."""
        secret = "org.freedesktop.Secret.Service"
        guarded = "org.gnome.keyring.InternalUnsupportedGuiltRiddenInterface"
        with open_dbus_connection(self.environ["DBUS_SESSION_BUS_ADDRESS"]) as bus:

            def call(interface: str, method: str, signature: str, *body: object) -> list[object]:
                service = DBusAddress("/org/freedesktop/secrets", _SECRETS, interface)
                message = new_method_call(service, method, signature, body)
                answer: list[object] = unwrap_msg(bus.send_and_get_reply(message))
                return answer

            _, session = call(secret, "OpenSession", "sv", "plain", ("s", ""))
            (path,) = call(secret, "ReadAlias", "s", "default")
            password = (session, b"", PASSWORD, "text/plain")
            call(guarded, "UnlockWithMasterPassword", "o(oayays)", path, password)

    def items(self) -> dict[str, bytes]:
        """Return every item of the default collection: its label and its secret."""
        with self._collection() as collection:
            return {item.get_label(): item.get_secret() for item in collection.get_all_items()}

    def store(self, label: str, attributes: dict[str, str], secret: bytes) -> None:
        """Store an item as another program would."""
        with self._collection() as collection:
            collection.create_item(label, attributes, secret)

    @contextlib.contextmanager
    def _collection(self) -> Generator[secretstorage.Collection]:
        before = os.environ.get("DBUS_SESSION_BUS_ADDRESS")
        os.environ["DBUS_SESSION_BUS_ADDRESS"] = self.environ["DBUS_SESSION_BUS_ADDRESS"]
        try:
            connection = secretstorage.dbus_init()
        finally:
            if before is None:
                del os.environ["DBUS_SESSION_BUS_ADDRESS"]
            else:
                os.environ["DBUS_SESSION_BUS_ADDRESS"] = before
        with contextlib.closing(connection):
            yield secretstorage.Collection(connection, DEFAULT)


@contextlib.contextmanager
def bus_session(folder: Path) -> Generator[Session]:
    """Run a D-Bus session on which nobody keeps secrets."""
    if shutil.which("dbus-daemon") is None:
        pytest.skip("needs the package dbus")
    home, runtime = folder / "home", folder / "run"
    home.mkdir(parents=True)
    runtime.mkdir(mode=0o700)
    (runtime / "services").mkdir()
    config = folder / "bus.conf"
    config.write_text(_BUS.format(folder=runtime))
    environ = {
        "HOME": str(home),
        "XDG_RUNTIME_DIR": str(runtime),
        "PATH": os.defpath,
        "LANG": "C.UTF-8",
    }
    command = ["dbus-daemon", f"--config-file={config}", "--nofork", "--print-address"]
    with _running(command, environ) as daemon:
        assert daemon.stdout is not None
        environ["DBUS_SESSION_BUS_ADDRESS"] = daemon.stdout.readline().decode().strip()
        yield Session(environ)


@contextlib.contextmanager
def gnome_keyring(folder: Path) -> Generator[Session]:
    """Run a D-Bus session with an unlocked gnome-keyring."""
    if shutil.which("gnome-keyring-daemon") is None:
        pytest.skip("needs the package gnome-keyring")
    command = ["gnome-keyring-daemon", "--unlock", "--foreground", "--components=secrets"]
    with bus_session(folder) as session, _running(command, session.environ, PASSWORD):
        until(lambda: _serves(session))  # it has no other way to say that it is ready
        yield session


@contextlib.contextmanager
def kwallet(folder: Path) -> Generator[Session]:
    """Run a D-Bus session with KWallet, its wallet open as PAM opens it at login."""
    if shutil.which("kwalletd5") is None:
        pytest.skip("needs the package libkf5wallet-bin")
    with bus_session(folder) as session:
        session.environ["QT_QPA_PLATFORM"] = "offscreen"
        session.environ["XDG_CURRENT_DESKTOP"] = "KDE"  # else its Secret Service is preferred
        home = folder / "home" / ".config"
        home.mkdir()
        (home / "kwalletrc").write_text(
            "[Wallet]\nEnabled=true\nFirst Use=false\n\n[Auto Allow]\nkdewallet=tokenward\n"
        )
        # The library's backend wants a service that the bus could start.
        services = folder / "run" / "services"
        (services / "org.kde.kwalletd5.service").write_text(
            "[D-BUS Service]\nName=org.kde.kwalletd5\nExec=/bin/false\n"
        )
        with _running(["kwalletd5"], session.environ):
            until(lambda: _kwallet(session, "isEnabled"))
            _kwallet(session, "pamOpen", "sayi", ("kdewallet", bytes(56), 0))
            yield session


def close_wallet(session: Session) -> None:
    """Close KWallet's wallets, as after its idle time."""
    _kwallet(session, "closeAllWallets")


def _kwallet(
    session: Session, method: str, signature: str = "", body: tuple[object, ...] = ()
) -> bool:
    wallets = DBusAddress("/modules/kwalletd5", "org.kde.kwalletd5", "org.kde.KWallet")
    with open_dbus_connection(session.environ["DBUS_SESSION_BUS_ADDRESS"]) as bus:
        call = new_method_call(wallets, method, signature or None, body)
        return bus.send_and_get_reply(call).header.message_type is MessageType.method_return


@contextlib.contextmanager
def hanging_keyring(folder: Path) -> Generator[Session]:
    """Run a D-Bus session where the Secret Service takes every call and answers none."""
    with bus_session(folder) as session:
        command = [sys.executable, "-I", "-c", _HANGING]
        with _running(command, session.environ) as service:
            assert service.stdout is not None
            assert service.stdout.readline() == b"ready\n"
            yield session


@contextlib.contextmanager
def _running(
    command: list[str], environ: Mapping[str, str], given: bytes = b""
) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(
        command,
        env=dict(environ),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    with process:
        try:
            assert process.stdin is not None
            process.stdin.write(given)
            process.stdin.close()
            yield process
        finally:
            process.kill()


def _serves(session: Session) -> bool:
    try:
        return not session.locked()
    except SecretStorageException:
        return False
