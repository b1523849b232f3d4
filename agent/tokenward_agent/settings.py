"""What one agent is told at its start: options, and where they are missing the environment.

The client says where everything lies when it starts an agent on demand, so that both always mean
the same; under a service manager or by hand the environment and the user's home say it. An agent
serves one credentials directory for as long as it lives.
"""

from __future__ import annotations

import argparse
import os
import sys

from tokenward_agent import namespace_mark, own_folders
from tokenward_agent.wire.local import address, own_directory
from tokenward_os import user
from tokenward_os.files import make_private
from tokenward_protocol import VERSION, durations, ground, places
from tokenward_protocol.user_ids import known


class SettingsError(Exception):
    """The agent cannot know where its files are; the text is one sentence for the user."""


class Settings:
    """Where one agent's files are.

    `directory` holds the vaults, `state` what belongs to this machine, `config` is the user's
    config.toml, there or not, all absolute; `socket` is where an agent of its own listens, `address`
    where clients find this one: there, or where a service manager listens. `ready` is a descriptor that is
    told when the agent serves, or None. `pinentry` is the program that is to ask people, "" for any.
    `idle` is after how many seconds without a request an agent ends that a service manager starts
    again, None for never; `credentials` is the folder of what that manager hands over, "" for none.
    """

    __slots__ = (
        "address",
        "config",
        "credentials",
        "directory",
        "idle",
        "pinentry",
        "ready",
        "socket",
        "state",
    )

    def __init__(
        self,
        directory: str,
        state: str,
        socket: str,
        ready: int | None,
        config: str,
        pinentry: str = "",
        idle: int | None = None,
        credentials: str = "",
    ) -> None:
        self.directory = directory
        self.state = state
        self.socket = self.address = socket
        self.ready = ready
        self.config = config
        self.pinentry = pinentry
        self.idle = idle
        self.credentials = credentials


def parse(argv: list[str]) -> argparse.Namespace:
    """Parse the options. Raises SystemExit for --help and bad usage."""
    return parser().parse_args(argv)


def read(options: argparse.Namespace) -> Settings:
    """Find out where everything lies. Raises SettingsError, PlaceError."""
    home = _home()
    base = options.state or places.state_directory(sys.platform, os.environ, home)
    ordinary = os.path.realpath(places.data_directory(sys.platform, os.environ, home))
    directory = options.directory or os.environ.get("TOKENWARD_DIR") or ordinary
    if not os.path.isabs(directory):
        raise SettingsError(f"The credentials directory {directory} is not an absolute path.")
    directory = os.path.realpath(directory)
    tag = places.directory_tag(directory)
    _require(directory, os.path.join(base, tag))
    state = os.path.join(os.path.realpath(base), tag)
    _make(state)
    _stay_outside(directory, state)
    socket = options.socket or os.environ.get("TOKENWARD_SOCK")
    if not socket:
        socket = address(os.path.realpath(base), directory, ordinary)
    if not os.path.isabs(socket):
        raise SettingsError(f"The socket {socket} is not an absolute path.")
    config = os.environ.get("TOKENWARD_CONFIG") or (
        f"{places.config_directory(sys.platform, os.environ, home)}/config.toml"
    )
    for path in (socket, config):
        if not ground.is_text(path):
            raise SettingsError(f"The path {ground.shown(path)} is not valid UTF-8.")
    pinentry = os.environ.get("TOKENWARD_PINENTRY", "")
    idle = _idle(os.environ.get("TOKENWARD_IDLE_EXIT", ""))
    return Settings(
        directory,
        state,
        socket,
        options.ready_fd,
        os.path.abspath(config),
        pinentry,
        idle,
        os.environ.get("CREDENTIALS_DIRECTORY", ""),
    )


def _idle(text: str) -> int | None:
    try:
        return durations.seconds(text) if text else None
    except ValueError as error:
        raise SettingsError(f"TOKENWARD_IDLE_EXIT is not understood: {error}") from None


def parser() -> argparse.ArgumentParser:
    """Return the parser of the options."""
    parser = argparse.ArgumentParser(
        prog="tokenward-agent",
        description="Hold package-index credentials in memory and hand them out over a socket.",
        epilog="It is started by `auth` when it is needed, or by the system's service manager.",
    )
    parser.add_argument("--directory", metavar="DIR", help="the credentials directory")
    parser.add_argument("--socket", metavar="PATH", help="where to listen")
    parser.add_argument("--state", metavar="DIR", help="the state directory")
    parser.add_argument(
        "--ready-fd", metavar="N", type=int, help="a descriptor told when it serves"
    )
    parser.add_argument("--version", action="version", version=VERSION)
    return parser


def _home() -> str:
    home = user.home(os.environ)
    if home is None:
        raise SettingsError(
            "HOME is not set and the user has no entry in the password database; set HOME."
        )
    return home


def _require(*paths: str) -> None:
    """Refuse places that are not safe, before anything is made there. Raises SettingsError."""
    if found := own_folders.objection(*paths):
        raise SettingsError(f"{found.sentence}; {found.hint}.")


def _stay_outside(directory: str, state: str) -> None:
    """Refuse, in a user namespace, a directory of agents outside of it. Raises SettingsError.

    Whoever made the namespace has every right in it, and reads what an agent there holds. So each
    directory remembers the widest place that it was used from, by how many user ids that has.
    """
    here = known(user.uid_map())
    there = namespace_mark.widest(state)
    if there > here:
        raise SettingsError(
            f"{directory} is used by an agent outside of this user namespace, and the secrets of one"
            " in here could be read from there; start the agent outside, or let TOKENWARD_DIR name a"
            " directory for in here."
        )
    if there < here:
        namespace_mark.leave(state, here)


def _make(state: str) -> None:
    try:
        make_private(os.path.dirname(state))
    except OSError as error:
        raise SettingsError(f"The directory {state} cannot be made: {error.strerror}.") from None
    own_directory(state)
