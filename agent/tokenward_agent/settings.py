"""The settings of one agent at its start: options, else the environment.

A client that starts an agent on demand passes all places as options, so that both use the same;
under a service manager, or started by hand, the agent takes them from the environment and the
user's home. An agent serves one credentials directory all its life.
"""

from __future__ import annotations

import argparse
import os
import sys
from typing import NamedTuple

from tokenward_agent import own_folders
from tokenward_agent.files import closed_to_its_owner
from tokenward_agent.wire.local import address, own_directory
from tokenward_os import user
from tokenward_os.files import make_private
from tokenward_protocol import VERSION, durations, folder_trust, places
from tokenward_protocol.folder_trust import count_known_ids


class SettingsError(Exception):
    """The agent cannot determine its paths; the text is one sentence for the user."""


class Settings(NamedTuple):
    """The paths and settings of one agent; all paths are absolute.

    `directory` holds the vaults, `state` what belongs to this machine, `config` is the user's
    config.toml, which may not exist. `socket` is where the agent itself listens, `address` where
    clients find it, if that is the listener of a service manager, else "". `ready` is a descriptor
    to write to once the agent serves, or None. `pinentry` is the program for prompts, "" for any.
    `idle` is the time of the idle exit in seconds, None for never; `credentials` is the folder of
    the service manager's credentials, "" for none.
    """

    directory: str
    state: str
    socket: str
    ready: int | None
    config: str
    pinentry: str = ""
    idle: int | None = None
    credentials: str = ""
    address: str = ""


def read_settings(options: argparse.Namespace) -> Settings:
    """Determine all paths. Raises SettingsError, ListenAddressError."""
    home = _home()
    base = options.state or places.state_directory(sys.platform, os.environ, home)
    ordinary = os.path.realpath(places.data_directory(sys.platform, os.environ, home))
    directory = options.directory or os.environ.get("TOKENWARD_DIR") or ordinary
    if not os.path.isabs(directory):
        raise SettingsError(f"The credentials directory {directory} is not an absolute path.")
    directory = os.path.realpath(directory)
    tag = places.directory_tag(directory)
    # Before anything is created: paths that are not safe.
    if found := own_folders.objection(directory, os.path.join(base, tag)):
        raise SettingsError(f"{found.sentence}; {found.hint}.")
    state = os.path.join(os.path.realpath(base), tag)
    try:
        make_private(os.path.dirname(state))
    except OSError as error:
        closed = closed_to_its_owner(state)
        helps = "" if closed is None else f"; run `{closed.remedy}`"
        raise SettingsError(
            f"The directory {state} cannot be created: {error.strerror}{helps}."
        ) from None
    own_directory(state)
    _refuse_outer_directory(directory, state)
    socket = options.socket or os.environ.get("TOKENWARD_SOCK")
    if not socket:
        socket = address(os.path.realpath(base), directory, ordinary)
    if not os.path.isabs(socket):
        raise SettingsError(f"The socket {socket} is not an absolute path.")
    config = os.environ.get("TOKENWARD_CONFIG") or (
        f"{places.config_directory(sys.platform, os.environ, home)}/config.toml"
    )
    for path in (socket, config):
        if not folder_trust.is_text(path):
            raise SettingsError(f"The path {folder_trust.printable(path)} is not valid UTF-8.")
    pinentry = os.environ.get("TOKENWARD_PINENTRY", "")
    idle = os.environ.get("TOKENWARD_IDLE_EXIT", "")
    try:
        idle_seconds = durations.parse_seconds(idle) if idle else None
    except ValueError as error:
        raise SettingsError(f"TOKENWARD_IDLE_EXIT is not valid: {error}") from None
    return Settings(
        directory,
        state,
        socket,
        options.ready_fd,
        os.path.abspath(config),
        pinentry,
        idle_seconds,
        os.environ.get("CREDENTIALS_DIRECTORY", ""),
    )


def parser() -> argparse.ArgumentParser:
    """Return the parser of the options."""
    parser = argparse.ArgumentParser(
        prog="tokenward-agent",
        description="Hold package-index credentials in memory and hand them out over a socket.",
        epilog="`auth` starts it on demand, or the system's service manager does.",
    )
    parser.add_argument("--directory", metavar="DIR", help="the credentials directory")
    parser.add_argument("--socket", metavar="PATH", help="where to listen")
    parser.add_argument("--state", metavar="DIR", help="the state directory")
    parser.add_argument(
        "--ready-fd", metavar="N", type=int, help="a descriptor to write to when it serves"
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


def _refuse_outer_directory(directory: str, state: str) -> None:
    """Refuse, in a user namespace, a directory of agents outside of it. Raises SettingsError.

    The owner of a namespace has every right in it, and can read the memory of an agent there. So
    each state folder remembers the widest namespace in which its directory was used, by the number
    of user ids.
    """
    here = count_known_ids(user.uid_map())
    there = own_folders.read_mark(state)
    if there > here:
        raise SettingsError(
            f"An agent outside of this user namespace uses {directory}, and processes there could"
            " read the secrets of an agent in here; start the agent outside, or set TOKENWARD_DIR"
            " to another directory."
        )
    if there < here:
        own_folders.write_mark(state, here)
