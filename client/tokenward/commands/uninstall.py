"""`auth uninstall`: take back everything that tokenward wrote for this user, and say what remains.

It asks first, since the credentials go, too; `--keep-credentials` leaves them. The order matters:
the agent ends before its files go, and tools stop asking before there is nothing to ask. Only files
that are known to be ours are removed, and folders only once they are empty, but for the folder of this
credentials directory in the state directory, which is ours alone. A key of a vault in the system keyring
goes before all that, while there is an agent to remove it. The program itself is removed by what
installed it.
"""

from __future__ import annotations

import os
import shlex
import shutil
import sys
from contextlib import suppress

from tokenward.commands import agent
from tokenward.commands import setup as setup_command
from tokenward.commands.status import running_status
from tokenward.errors import CommandError, exclude
from tokenward.files import user_files
from tokenward.settings import directories
from tokenward.setup import parts
from tokenward.setup.program import removal_command
from tokenward.setup.work import SetupOutcome
from tokenward.transport.connection import session_variables
from tokenward.ui.formatting import capitalise, count_of, join_words

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from tokenward.commands import Namespace, Parser, Session
    from tokenward.settings.directories import Directories

_VAULTS = ("keyring.vault", "disabled.vault")
_LOCK = "agent.lock"
_LOG = "agent.log"


def describe(parser: Parser, _command: str) -> None:
    """Add options and examples."""
    parser.add_flag("--keep-credentials", "leave the vaults, what opens them, and the audit log")
    parser.add_flag("--yes", "never ask")
    parser.examples(
        "auth uninstall                       everything, after a yes",
        "auth uninstall --keep-credentials    the agent and the files of `auth setup` alone",
        "auth uninstall --yes                 in a script",
    )


def run(arguments: Namespace, session: Session) -> None:
    """Take everything back. Raises CommandError if something had to stay."""
    exclude("auth uninstall", {"TOKENWARD_SOCK": session.environ.get("TOKENWARD_SOCK")}, "unset it")
    places, keep = session.settings.directories, bool(arguments.keep_credentials)
    header = running_status(session)
    if not arguments.yes:
        _agree(session, header, places, keep=keep)
    items = [] if keep else _remove_items(places, session)
    units = agent.end_everywhere(session)
    outcome = SetupOutcome()
    if sys.platform != "win32":
        setup_command.undo_parts(session, list(parts.PARTS), outcome)
    gone = [_item_name(item) for item in items if not item["problem"]]
    gone += [*units, *outcome.written, *outcome.removed]
    if not keep:
        gone += _remove_credentials(places, session)
    left = [item for item in items if item["problem"]]
    remains = [*_remains(places, session), *map(_item_name, left)]
    _tell(session, gone, remains, left)
    session.write_json({"removed": gone, "kept": remains, "refused": list(outcome.refused)})
    if outcome.refused:
        raise CommandError(
            f"{count_of(len(outcome.refused), 'file')} of `auth setup` stayed.",
            "look at the warnings above, then `auth uninstall` again",
        )


def _agree(
    session: Session, header: dict[str, Any] | None, places: Directories, *, keep: bool
) -> None:
    """Say what goes, and ask. Raises CommandError for a no, and where the user cannot be asked."""
    terminal = session.terminal
    if not terminal.is_there():
        raise CommandError(
            "This removes every credential, and there is no terminal to ask on.",
            "`auth uninstall --yes`, or `auth uninstall --keep-credentials --yes`",
        )
    terminal.say("This ends the agent, and removes what starts it and what `auth setup` wrote.")
    if not keep:
        counts = [vault["count"] for vault in header["vaults"]] if header else []
        number = sum(count or 0 for count in counts)
        what = count_of(number, "credential") if number else "every credential"
        terminal.say(
            f"It removes {what} in {places.credentials} for good, with the keys and the audit log."
        )
        terminal.hint("`auth export FILE` first makes a backup; `--keep-credentials` leaves them")
    if not terminal.confirm("Remove all of this?"):
        raise CommandError("Nothing was removed.")


def _remove_items(places: Directories, session: Session) -> list[dict[str, Any]]:
    """Remove the keys of the vaults from keyrings; return each, with the `problem` if it is still there."""
    if not os.path.lexists(f"{places.credentials}/{_VAULTS[0]}"):
        return []
    try:
        variables: dict[str, Any] = session_variables(session.environ)
        header: dict[str, Any] = session.ask_once("forget", **variables).header
    except CommandError as why:  # without an agent it is not known which one it is
        return [{"kind": "keyring", "service": "tokenward", "username": "", "problem": str(why)}]
    return [dict(item) for item in header["items"]]


def _item_name(item: dict[str, Any]) -> str:
    where = "system keyring" if item["kind"] == "keyring" else "keyring of your `keyring` program"
    return f"the item `{item['service']}` in the {where}"


def _remove_credentials(places: Directories, session: Session) -> list[str]:
    """Remove vaults, keys and log of this credentials directory. Return the removed paths."""
    gone = []
    for path in [*_files_of(places), *_locks_of_sockets(places, session)]:
        if os.path.lexists(path):
            user_files.remove(path)
            gone.append(path)
    if os.path.isdir(places.state_folder) and not os.path.islink(places.state_folder):
        try:
            shutil.rmtree(places.state_folder)
        except OSError as failed:
            raise CommandError(
                f"{places.state_folder} cannot be removed: {failed.strerror}.",
                f"`ls -la {places.state_folder}`",
            ) from None
        gone.append(places.state_folder)
    folders = (places.credentials, places.state)
    return gone + [f for f in folders if os.path.isdir(f) and user_files.remove_folder(f)]


def _files_of(places: Directories) -> Iterator[str]:
    """Yield our files in the credentials directory, with what lies beside the vaults, and the log."""
    with suppress(OSError):
        for name in sorted(os.listdir(places.credentials)):
            if name == _LOCK or name.startswith(_VAULTS):
                yield f"{places.credentials}/{name}"
    with suppress(OSError):
        others = [entry for entry in os.listdir(places.state) if len(entry) == _TAG]
        if others in ([], [os.path.basename(places.state_folder)]):
            yield f"{places.state}/{_LOG}"


_TAG = 16
"""The length of the names of the folders that credentials directories have in the state directory."""


def _locks_of_sockets(places: Directories, session: Session) -> list[str]:
    """Return what an agent leaves beside its socket."""
    if sys.platform == "win32":
        return []
    from tokenward.transport import unix

    base = unix.runtime_directory(session.environ, places.state)
    if base is None:
        return []
    return [f"{path}.lock" for path in unix.addresses(base, places.credentials, places.ordinary)]


def _remains(places: Directories, session: Session) -> Iterator[str]:
    """Yield the paths that are still there, and are the user's own to remove."""
    for path in (
        places.credentials,
        places.state,
        directories.config_file(session.environ),
    ):
        if os.path.lexists(path):
            yield path


def _tell(
    session: Session, gone: list[str], remains: list[str], left: list[dict[str, Any]]
) -> None:
    terminal = session.terminal
    for path in gone:
        terminal.detail(f"Removed {path}.")
    terminal.say(f"Took back {count_of(len(gone), 'thing')} that tokenward wrote or started.")
    if remains:
        terminal.say(f"What remains, and is yours to remove: {join_words(remains)}.")
    for item in left:
        terminal.say(f"{capitalise(_item_name(item))} is still there: {item['problem']}")
        if item["username"] and sys.platform != "win32":
            terminal.hint(f"`{_removal_of(item)}`, once it can be opened")
    terminal.say("Tokens and passwords are valid at their indexes until they are revoked there.")
    terminal.hint(f"now `{removal_command(sys.prefix, sys.executable)}`")


def _removal_of(item: dict[str, Any]) -> str:
    """Return the command that removes an item; our own backend of keyring passes it on."""
    program = (
        f"{shlex.quote(sys.executable)} -m keyring" if item["kind"] == "keyring" else "keyring"
    )
    return f"KEYRING_PROPERTY_ASIDE=1 {program} del {item['service']} {item['username']}"
