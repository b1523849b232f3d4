"""`auth export FILE`: write every credential to one file, which opens by a passphrase anywhere.

The export has its own passphrase. The passphrase of the vault and the variables that lead to it are
not used, because a backup must open where they are unknown. A file that is not an export is never
overwritten; an older export, which may hold more, only after a yes.
"""

from __future__ import annotations

import os
import stat
import sys
from time import time

from tokenward.credentials.unlocking import ask_twice, export_passphrase
from tokenward.errors import CommandError
from tokenward.files.atomic_write import replace
from tokenward.ui.formatting import count_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from tokenward.commands import Namespace, Parser, Session


STDOUT = "-"


def describe(parser: Parser, _command: str) -> None:
    """Add options and examples."""
    parser.add_positional("file", "FILE", "the file to write; - is stdout")
    parser.add_passphrase_file()
    parser.add_flag("--yes", "overwrite an older export; never ask")
    parser.examples(
        "auth export backup.tokenward           ask for a passphrase and write the file",
        "auth restore backup.tokenward          restore it, here or on another machine",
        "auth export - | ssh host auth restore - --passphrase-file ~/passphrase",
    )


def run(arguments: Namespace, session: Session) -> None:
    """Write the export."""
    from tokenward import backup

    path = arguments.file
    agreed = _judge(path, session) and _agree_to_replace(path, session, yes=arguments.yes)

    def judge_again() -> None:
        if _judge(path, session) and not agreed:
            raise CommandError(f"{path} appeared just now.", "nothing was exported; run it again")

    entries = backup.collect(session)
    data = backup.encrypt_export(entries, _passphrase(arguments, session), int(time()))
    if path == STDOUT:
        _to_stdout(data)
    else:
        try:
            replace(os.path.abspath(path), data, before=judge_again)
        except OSError as error:
            raise CommandError(
                f"{path} cannot be written: {error.strerror}.", "nothing was exported"
            ) from None
    where = "standard output" if path == STDOUT else path
    session.terminal.say(f"Exported {count_of(len(entries), 'credential')} to {where}.")
    adopted = sum(entry.secret is None for entry in entries)
    if adopted:
        session.terminal.say(
            f"{count_of(adopted, 'credential')} of these stays in a keyring; the export has only its"
            " place."
        )
    session.write_json({"file": path, "count": len(entries), "adopted": adopted})


def _agree_to_replace(path: str, session: Session, *, yes: bool) -> bool:
    """Ask the user whether an older export may be lost. Raises CommandError for a no."""
    if not yes:
        if not session.terminal.is_there():
            raise CommandError(
                f"{path} is already an export, perhaps of more than is stored now.",
                "name another file, or overwrite it with `--yes`",
            )
        session.terminal.say(f"{path} is already an export.")
        if not session.terminal.confirm("Overwrite it?"):
            raise CommandError("Nothing was exported.", "name another file")
    return True


def _judge(path: str, session: Session) -> bool:
    """Refuse a place that must not be written; return whether an older export is there."""
    from tokenward.backup import MAGIC, is_export

    if path == STDOUT:
        if session.json:
            raise CommandError("Standard output cannot hold both the export and JSON.", "")
        if sys.stdout is None or sys.stdout.isatty():
            raise CommandError(
                "An export is not written to a terminal.", "name a file, or redirect stdout"
            )
        return False
    try:
        found = os.lstat(path)
        if not stat.S_ISREG(found.st_mode):
            raise CommandError(f"{path} exists and is not an ordinary file.", "name another file")
        with open(path, "rb") as file:
            start = file.read(len(MAGIC))
    except FileNotFoundError:
        return False
    except OSError as error:
        raise CommandError(f"{path} cannot be written: {error.strerror}.", "") from None
    if not is_export(start):
        raise CommandError(
            f"{path} exists and is not an export, so it was not changed.", "name another file"
        )
    return True


def _passphrase(arguments: Namespace, session: Session) -> bytes:
    given = export_passphrase(session, arguments.passphrase_file)
    if given is None:
        given = ask_twice(session.terminal, "Passphrase for the export:", may_be_empty=False)
    return given or b""


def _to_stdout(data: bytes) -> None:
    try:
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()
    except OSError as error:
        raise CommandError(f"Standard output cannot be written: {error.strerror}.", "") from None
