"""`auth setup`: make the installed tools use tokenward, and undo all of it.

It needs no terminal and no agent (a running agent is asked for the accounts). It announces what it
will write. Another program's setting is never overwritten without a yes: its file is not changed,
the rest is written, and the exit status is 2.
"""

from __future__ import annotations

import sys
from contextlib import suppress

from tokenward.credentials import listing
from tokenward.errors import CommandError, exclude
from tokenward.files import own_folders
from tokenward.files.draft import ForeignSettingError, UneditableFileError
from tokenward.settings import directories
from tokenward.setup import keyring_part, parts, work
from tokenward.setup.journal import Journal, is_there, lock
from tokenward.setup.settings_parts import Accounts
from tokenward.setup.work import SettingsEdit, SetupOutcome, WholeFile, plan_change
from tokenward.ui.formatting import count_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from tokenward.commands import Namespace, Parser, Session
    from tokenward.setup.work import FileChange


def describe(parser: Parser, _command: str) -> None:
    """Add options and examples."""
    what = f"{', '.join(parts.TOOLS)} (default: the installed ones)"
    parser.add_positional("tools", "[TOOL]...", what, nargs="*")
    parser.add_flag("--undo", "remove what was added, and restore every byte")
    parser.add_flag("--dry-run", "say what would be written, and write nothing")
    parser.add_flag("--yes", "answer every question with yes; never ask")
    parser.examples(
        "auth setup --dry-run    show what that would write",
        "auth setup              for every installed tool",
        "auth setup uv twine     for these only",
        "auth setup --undo       undo all of it",
    )


def run(arguments: Namespace, session: Session) -> None:
    """Set up, or undo it. Raises CommandError if a file was left unchanged."""
    if sys.platform == "win32":
        raise CommandError(
            "On Windows `auth setup` can configure no tool yet.",
            "install tokenward beside a tool; then the library `keyring` finds it there",
        )
    outcome = SetupOutcome()
    if arguments.dry_run:
        exclude("--dry-run", {"--undo": arguments.undo, "--yes": arguments.yes})
    if arguments.undo:
        undo_parts(session, parts.parts_to_undo(arguments.tools), outcome)
        _tell_undone(session, outcome)
    else:
        chosen = parts.parts_for(arguments.tools, session.environ)
        _set_up(session, chosen, outcome, yes=arguments.yes, dry=arguments.dry_run)
    session.write_json(outcome.to_json())
    if outcome.refused:
        raise CommandError(f"{count_of(len(outcome.refused), 'file')} stayed unchanged.")


def undo_parts(session: Session, chosen: list[str], outcome: SetupOutcome) -> None:
    """Undo these parts, and warn of what had to stay."""
    state = directories.state(session.environ)
    if is_there(state):
        with lock(state) as journal:
            work.undo(chosen, journal, outcome)
    for error in outcome.refused.values():
        session.terminal.warn(str(error), error.hint)


def _set_up(
    session: Session, chosen: list[str], outcome: SetupOutcome, *, yes: bool, dry: bool
) -> None:
    state = directories.state(session.environ)
    steps = [*parts.steps(chosen, session.environ, known_accounts(session))]
    credentials = directories.locate(session.environ).credentials
    own_folders.require(credentials, f"{state}/.", *(step.path for step in steps))
    journal = Journal(state)
    looks = []
    for step in steps:
        try:
            looks.append(_look(step, journal, session, yes=yes, ask=not dry))
        except CommandError as error:
            if keyring_part.is_library_command(step.path):
                session.terminal.say(
                    f"{step.path} stays: it is the keyring library's own, which asks tokenward now."
                )
                continue
            outcome.refused[step.path] = error
    for seen in looks:
        if seen.has_changes:
            session.terminal.say(seen.summary)
    if dry:
        _tell_dry(session, looks, outcome)
        return
    if not yes and not _confirm(session, looks, journal):
        raise CommandError("Nothing was changed.")
    with lock(state) as journal:  # not while the user thinks about a question
        work.do(looks, journal, outcome)
    _tell_done(session, chosen, looks, outcome)


def _look(
    step: WholeFile | SettingsEdit, journal: Journal, session: Session, *, yes: bool, ask: bool
) -> FileChange:
    """Plan the change of one file; if another program's setting is in the way, `ask` or refuse.

    Raises CommandError.
    """
    known = journal.files.get(step.path)
    try:
        try:
            return plan_change(step, known, over=yes)
        except ForeignSettingError as said:
            _ask_to_replace(step, said, session, ask=ask)
        return plan_change(step, known, over=True)
    except UneditableFileError:
        raise CommandError(f"{step.path} cannot be edited safely.", step.hint) from None


def _ask_to_replace(
    step: WholeFile | SettingsEdit, said: ForeignSettingError, session: Session, *, ask: bool
) -> None:
    """Ask whether another program's setting may become a comment. Raises CommandError for a no."""
    if isinstance(step, WholeFile):
        raise CommandError(f"{step.path} belongs to another program.", step.hint) from None
    problem = f"{step.path} says something else for `{said.args[0]}`"
    terminal = session.terminal
    if (
        not ask
        or not terminal.is_there()
        or not terminal.confirm(f"{problem}; keep that as a comment below ours?")
    ):
        raise CommandError(f"{problem}.", step.hint) from None


def _confirm(session: Session, looks: list[FileChange], journal: Journal) -> bool:
    """Ask, on a terminal, before lines are added to the user's own files."""
    foreign = [
        seen
        for seen in looks
        if seen.has_changes and seen.before is not None and seen.step.path not in journal.files
    ]
    return not foreign or not session.terminal.is_there() or session.terminal.confirm("Go on?")


def known_accounts(session: Session) -> Accounts:
    """Return the user names in files and of a running agent."""
    return Accounts(_pairs(session))


def _pairs(session: Session) -> Iterator[tuple[str, str]]:
    for definition in session.settings.config.definitions:
        if definition.username:
            yield definition.url, definition.username
            yield definition.publish_url or definition.url, definition.username
    with suppress(CommandError):  # an unreadable file is reported when it is to be written
        for server in session.settings.pypirc:
            if server.username:
                yield server.url, server.username
    with suppress(CommandError):  # no agent runs, or the settings do not say which
        entries, _closed = listing.list_all(session.connect(start=False).ask)
        for entry in entries:
            yield str(entry["service"]), str(entry["username"])


def _tell_dry(session: Session, looks: list[FileChange], outcome: SetupOutcome) -> None:
    for path, error in outcome.refused.items():
        session.terminal.warn(
            str(error) if str(error).startswith(path) else f"{path}: {error}", error.hint
        )
    would = [seen for seen in looks if seen.has_changes]
    outcome.unchanged += [seen.step.path for seen in looks]
    session.terminal.say(
        f"Nothing was written: this would write {count_of(len(would), 'file')}."
        if would
        else "Everything is set up already."
    )


def _tell_done(
    session: Session, chosen: list[str], looks: list[FileChange], outcome: SetupOutcome
) -> None:
    terminal = session.terminal
    for path, error in outcome.refused.items():
        terminal.warn(str(error) if str(error).startswith(path) else f"{path}: {error}", error.hint)
    for seen in looks:
        for note in seen.notes:
            terminal.warn(note)
    program = parts.program_problem(session.environ)
    for message, hint in (
        *keyring_part.variable_problems(session.environ),
        *([program] if program else ()),
    ):
        terminal.warn(message, hint)
    if outcome.written:
        done = f"Set up {', '.join(chosen)}"
        terminal.say(
            f"{done}: wrote {count_of(len(outcome.written), 'file')}.",
            "`auth setup --undo` undoes it; run that before you uninstall tokenward",
        )
    elif not outcome.refused:
        terminal.say("Everything is set up already.")


def _tell_undone(session: Session, outcome: SetupOutcome) -> None:
    terminal = session.terminal
    for path in outcome.written:
        terminal.say(f"Removed the lines of `auth setup` from {path}.")
    for path in outcome.removed:
        terminal.say(f"Removed {path}.")
    if not (outcome.written or outcome.removed or outcome.refused):
        terminal.say("There is nothing to undo.")
