"""`auth log`: show requests and decisions, and verify that the record is whole."""

from __future__ import annotations

import gc
from contextlib import suppress
from datetime import datetime
from time import sleep

from tokenward import audit
from tokenward.credentials import unlocking
from tokenward.errors import CommandError
from tokenward.transport.connect import AgentAbsent
from tokenward.ui.argument_parser import moment
from tokenward.ui.formatting import columns, count_of
from tokenward_protocol.urls import strip_index_suffix

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tokenward.audit import Line
    from tokenward.commands import Namespace, Parser, Session
    from tokenward.ui.formatting import Part

LATEST = 100
"""Lines that are shown without `--since`."""

_LOOK_SECONDS = 0.5


def describe(parser: Parser, _command: str) -> None:
    """Add options and examples."""
    parser.add_option(
        "--since", "TIME", "from this time on: 8h, 7d, 2026-01-31 or 2026-01-31T12:00", type=moment
    )
    parser.add_option("--service", "SERVICE", "only lines about this service")
    parser.add_flag("--published", "only uploads by `auth exec`, with their files")
    parser.add_flag("--follow", "show new lines as they come, until Ctrl-C")
    parser.add_flag("--verify", "have the agent look for changed or removed lines and files")
    parser.examples(
        "auth log --since 24h",
        "auth log --service pypi --follow",
        "auth log --published --since 30d",
        "auth log -v           with dates, terminals and purposes, as a file or a pipe gets it",
        "auth log --verify",
        "auth log --format json",
    )


def run(arguments: Namespace, session: Session) -> None:
    """Print the record, or the result of verifying it."""
    if arguments.verify:
        if arguments.since or arguments.service or arguments.follow or arguments.published:
            raise CommandError(
                "`--verify` verifies the whole log, and takes none of the other options.",
                "`auth log --help`",
            )
        _verify(session)
        return
    if arguments.published and arguments.follow:
        raise CommandError(
            "`--published` shows what has ended, and cannot follow.", "`auth log --follow`"
        )
    reader = audit.LogReader(_folder(session))
    wanted = _filter(arguments, session)
    found = [line for line in reader.lines() if wanted(line)]
    if session.json and arguments.follow:
        for line in found:
            session.write_json(audit.to_json(line))
    elif session.json:
        lines = [audit.to_json(line) for line in found]
        session.write_json({"lines": lines, "since": reader.since, "gone": reader.removed_lines})
    else:
        if arguments.published:
            uploads = audit.uploads_of(found)
            _show(uploads, audit.PUBLISHED, audit.published_row, arguments, session)
        elif session.terminal.shows_data and not session.terminal.verbose:
            _show_briefly(found, arguments, session)
        else:
            _show(found, audit.HEADING, audit.row, arguments, session)
        if back := audit.reach_text(reader.since, reader.removed_lines, least=True):
            session.terminal.say(back)
    if reader.unreadable:
        session.terminal.warn(
            f"The log has {count_of(reader.unreadable, 'unreadable line')}.", "`auth log --verify`"
        )
    if arguments.follow:
        with suppress(KeyboardInterrupt):
            _follow(reader, wanted, found[-LATEST:], session)


def _folder(session: Session) -> str:
    """Return the folder of the log, as the agent says, else as the settings do."""
    with suppress(AgentAbsent):
        return str(session.connect(start=False).ask("status").header["log"]["folder"])
    return f"{session.settings.directories.state_folder}/audit"


def _filter(arguments: Namespace, session: Session) -> Callable[[Line], bool]:
    services: set[str] = set()
    if arguments.service is not None:
        service = session.service(arguments.service)
        services = {strip_index_suffix(key) for key in (service.key, service.publish_key)}

    def is_wanted(line: Line) -> bool:
        if arguments.since is not None and audit.line_time(line) < arguments.since:
            return False
        if arguments.published and line["event"] not in {"publish", "published"}:
            return False
        return not services or any(audit.is_about(line, key) for key in services)

    return is_wanted


def _show(
    found: Sequence[Line],
    heading: tuple[str, ...],
    row_of: Callable[[Line], tuple[str, ...]],
    arguments: Namespace,
    session: Session,
) -> None:
    latest = _latest(found, arguments)
    if latest or arguments.follow:
        session.terminal.table([heading, *map(row_of, latest)])
    _tell_extent(latest, found, arguments, session)


def _show_briefly(found: Sequence[Line], arguments: Namespace, session: Session) -> None:
    """Show the log for a terminal: by days, with the columns that say something."""
    found = [line for line in found if not audit.is_agreeing_clock(line)]
    latest = _latest(found, arguments)
    if latest:
        _print_days(latest, session, "")
    _tell_extent(latest, found, arguments, session)


def _print_days(lines: Sequence[Line], session: Session, before: str) -> str:
    """Print lines below the headings of their days; return the last day. `before` was printed."""
    today = datetime.now().astimezone().date()
    rows = [list(audit.brief_row(line)) for line in lines]
    if not any(row[3] for row in rows):
        rows = [row[:3] + row[4:] for row in rows]
    above = {}
    for at, line in enumerate(lines):
        day = audit.day_of(line, today)
        if day != before:
            above[at] = before = day
    session.terminal.table(rows, headed=False, above=above)
    return before


def _latest(found: Sequence[Line], arguments: Namespace) -> Sequence[Line]:
    return found if arguments.since is not None else found[-LATEST:]


def _tell_extent(
    latest: Sequence[Line], found: Sequence[Line], arguments: Namespace, session: Session
) -> None:
    """Say where nothing, or not everything, was shown."""
    if not latest and not arguments.follow:
        session.terminal.say("The log has no matching line.")
    if len(latest) < len(found):
        session.terminal.say(
            f"These are the latest {len(latest)} of {len(found)} lines.", "`auth log --since 30d`"
        )


def _follow(
    reader: audit.LogReader, wanted: Callable[[Line], bool], before: list[Line], session: Session
) -> None:
    gc.enable()  # other commands end too soon to need it
    rows: list[tuple[Part, ...]] = [audit.HEADING, *map(audit.row, before)]
    brief = session.terminal.shows_data and not session.terminal.verbose
    day = audit.day_of(before[-1], datetime.now().astimezone().date()) if before else ""
    while True:
        fresh = [line for line in reader.lines() if wanted(line)]
        for line in fresh if session.json else ():
            session.write_json(audit.to_json(line))
        if brief and not session.json:
            if told := [line for line in fresh if not audit.is_agreeing_clock(line)]:
                day = _print_days(told, session, day)
        elif fresh and not session.json:
            rows += map(audit.row, fresh)
            session.terminal.lines([*columns(rows)[-len(fresh) :]])
            rows = rows[-LATEST:]
        sleep(_LOOK_SECONDS)


def _verify(session: Session) -> None:
    """Have the agent verify the log and print the result. Raises CommandError for a finding."""
    answer = unlocking.ask(session, "log", verify=True, offer=True).header
    told = {key: value for key, value in answer.items() if key not in {"id", "ok"}}
    session.write_json(told)
    for sentence in (*answer["problems"], *audit.stray(answer)):
        session.terminal.warn(sentence)
    if answer["count"]:
        raise CommandError(
            f"The log in {answer['folder']} is not what was written:"
            f" {count_of(answer['count'], 'finding')}.",
            "`auth list` and the pages of each index show which credentials may have been used",
        )
    if not session.json:
        session.terminal.say(audit.summary(answer))
        for note in audit.notes(answer):
            session.terminal.hint(note)
