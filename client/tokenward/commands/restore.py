"""`auth restore`: bring back an export or, after damage, the previous generation of a vault.

*FILE* is an export of `auth export`. It is judged and opened before anything is stored; a stored
credential stays, unless the user says `--replace`.

*--previous* repairs damage; it is not an undo. A readable vault is replaced only after a yes. A
credential that was logged out never comes back: no older generation is kept of such a change.
"""

from __future__ import annotations

from time import time

from tokenward.credentials import unlocking
from tokenward.errors import CommandError
from tokenward.files.reading import read
from tokenward.transport.connect import AgentError
from tokenward.ui.formatting import ago_text, count_of, join_words, timestamp
from tokenward.ui.secret_input import read_stdin
from tokenward_protocol.messages import COMMAND

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from tokenward.backup import ExportEntry
    from tokenward.commands import Namespace, Parser, Session

_SAID = {
    "stored": "restored",
    "replaced": "replaced",
    "already": "there already",
    "different": "left, since another is stored",
    "expired": "expired",
    "failed": "not restored",
}
"""The outcomes for the credentials of an export, in words."""


def describe(parser: Parser, _command: str) -> None:
    """Add options and examples."""
    parser.add_positional("file", "[FILE]", "an export; - is stdin", nargs="?")
    parser.add_flag("--replace", "replace a stored secret that differs")
    parser.add_passphrase_file()
    parser.add_flag("--previous", "the previous generation, kept beside the vault")
    parser.add_provider("that provider's vault; for FILE, where to store")
    parser.add_flag(
        "--yes", "replace even a readable vault; run the commands of an export; never ask"
    )
    parser.examples(
        "auth restore backup.tokenward                          an export of `auth export`",
        "auth restore --previous                                repair the one damaged vault",
        "auth restore --previous --keyring-provider disabled    the vault of `disabled`",
    )


def run(arguments: Namespace, session: Session) -> None:
    """Restore an export or a generation, and report the result."""
    if (arguments.file is None) != arguments.previous:
        raise CommandError(
            "`auth restore` takes either FILE or `--previous`.",
            "name an exported file; `auth restore --previous` restores the previous generation",
        )
    if arguments.file is not None:
        _from_file(arguments, session)
        return
    provider = arguments.keyring_provider or _choose_provider(session)
    header = _restore_previous(session, provider, anyway=arguments.yes)
    count = header["count"]
    if count is None:
        count = _count_once_open(session, str(header["provider"]))
    _tell(session, header, count)
    session.write_json(
        {
            "provider": header["provider"],
            "generation": header["generation"],
            "saved": timestamp(header["saved"]),
            "kept": header["kept"] or None,
            "count": count,
        }
    )


def _from_file(arguments: Namespace, session: Session) -> None:
    """Restore the credentials of an export."""
    from tokenward import backup
    from tokenward.credentials.bulk_store import DIFFERENT, FAILED, Takeover
    from tokenward.recipes import restoring

    entries = _open_export(arguments, session)
    takeover = Takeover(session, arguments.keyring_provider, replace=arguments.replace)
    states: dict[str, int] = {}
    described: list[dict[str, Any]] = []
    for entry in entries:
        if entry.provider == COMMAND and entry.secret is not None:
            names = (entry.service, entry.username, entry.secret)
            outcome = restoring.bring_back(session, *names, yes=arguments.yes)
        else:
            outcome = backup.bring_back(takeover, entry, int(time()))
        states[outcome.state] = states.get(outcome.state, 0) + 1
        session.terminal.warn(outcome.message, outcome.hint)
        described.append(
            {
                "service": entry.service,
                "username": entry.username,
                "state": outcome.state,
                "message": outcome.message or None,
            }
        )
    told = join_words([f"{count} {_SAID[state]}" for state, count in states.items()])
    session.terminal.say(f"From {arguments.file}: {told or 'nothing, for it is empty'}.")
    session.write_json({"file": arguments.file, "credentials": described})
    left = states.get(DIFFERENT, 0) + states.get(FAILED, 0)
    if left:
        raise CommandError(f"Not restored: {count_of(left, 'credential')}.")


def _open_export(arguments: Namespace, session: Session) -> list[ExportEntry]:
    """Read and open the export. Raises CommandError."""
    from tokenward.backup import MAX_FILE, WrongPassphraseError, parse_export

    path = arguments.file
    data = read_stdin(MAX_FILE) if path == "-" else read(path, MAX_FILE)
    if data is None:
        raise CommandError(f"The file {path} does not exist.")
    sealed = parse_export(data, "standard input" if path == "-" else path)
    given = unlocking.export_passphrase(session, arguments.passphrase_file)
    if given is not None:
        return sealed.open(given)
    with session.terminal.unseen():
        for left in reversed(range(unlocking.TRIES)):
            typed = session.terminal.ask_secret("Passphrase of the export:")
            try:
                return sealed.open(typed.encode())
            except WrongPassphraseError as wrong:
                if not left:
                    raise
                session.terminal.say(str(wrong))
    raise AssertionError("the last try returns or raises")


def _choose_provider(session: Session) -> str:
    """Return the provider of the damaged vault, else of the only one."""
    vaults: list[dict[str, Any]] = session.ask_once("status").header["vaults"]
    there = [str(vault["provider"]) for vault in vaults if vault["state"] != "absent"]
    broken = [str(vault["provider"]) for vault in vaults if vault["state"] == "broken"]
    meant = broken or there
    if not meant:
        raise CommandError("There is no vault yet.", "`auth login` makes one")
    if len(meant) > 1:
        raise CommandError(
            f"This could be the vault of {join_words(meant)}.", "name it with `--keyring-provider`"
        )
    return meant[0]


def _restore_previous(session: Session, provider: str, *, anyway: bool) -> dict[str, Any]:
    def ask(*, anyway: bool) -> dict[str, Any]:
        return session.ask_once("restore", provider=provider, previous=True, anyway=anyway).header

    try:
        return ask(anyway=anyway)
    except AgentError as refused:
        if refused.code != "refused" or not session.terminal.is_there():
            raise
        session.terminal.say(str(refused))
        if not session.terminal.confirm("Go back all the same?"):
            raise CommandError("Nothing was changed.", "") from None
    return ask(anyway=True)


def _count_once_open(session: Session, provider: str) -> int | None:
    """Open the vault, and return how many credentials it holds, or None if it stays closed."""
    unlocking.reopen(session, [provider])
    vaults = session.ask_once("status").header["vaults"]
    (count,) = (vault["count"] for vault in vaults if vault["provider"] == provider)
    return None if count is None else int(count)


def _tell(session: Session, header: dict[str, Any], count: int | None) -> None:
    when = ago_text(header["saved"], time())
    holds = "is not open" if count is None else f"holds {count_of(count, 'credential')}"
    session.terminal.say(
        f"The vault of `{header['provider']}` went back to generation {header['generation']}, saved"
        f" {when}, and {holds}."
    )
    if header["kept"]:
        session.terminal.say(f"The vault that it replaced is {header['kept']} now.")
    if count is None:
        session.terminal.hint("`auth unlock` opens it")
