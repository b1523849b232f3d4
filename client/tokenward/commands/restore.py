"""`auth restore --previous`: after damage, the generation before takes a vault's place.

It is for damage and no undo: a vault that can be read is replaced only after a yes. Nothing that
was logged out comes back, for no older generation is kept of such a change.
"""

from __future__ import annotations

from time import time

from tokenward import unlocking, usage
from tokenward.connection import AgentError
from tokenward.errors import CommandError
from tokenward.layout import ago, counted, listed, timestamp

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import Namespace
    from typing import Any

    from tokenward.session import Session
    from tokenward.usage import Parser


def describe(parser: Parser, _command: str) -> None:
    """Add options and examples."""
    parser.add_argument(
        "--previous", action="store_true", help="the generation before, which lies beside the vault"
    )
    usage.add_provider(parser, "restore that provider's vault")
    parser.add_argument(
        "--yes", action="store_true", help="go back even where the vault can be read; never ask"
    )
    parser.examples(
        "auth restore --previous                                where one vault is damaged",
        "auth restore --previous --keyring-provider disabled    that of the provider disabled",
    )


def run(arguments: Namespace, session: Session) -> None:
    """Restore one vault, open it if that can be, and tell what came back."""
    if not arguments.previous:
        raise CommandError(
            "What is to be restored is missing.", "`auth restore --previous` goes back a generation"
        )
    provider = arguments.keyring_provider or _the_one(session)
    header = _restored(session, provider, anyway=arguments.yes)
    count = header["count"]
    if count is None:
        count = _count_once_open(session, str(header["provider"]))
    _tell(session, header, count)
    session.done(
        {
            "provider": header["provider"],
            "generation": header["generation"],
            "saved": timestamp(header["saved"]),
            "kept": header["kept"] or None,
            "count": count,
        }
    )


def _the_one(session: Session) -> str:
    """Return the provider whose vault is meant: the damaged one, else the only one."""
    vaults: list[dict[str, Any]] = session.plain("status").header["vaults"]
    there = [str(vault["provider"]) for vault in vaults if vault["state"] != "absent"]
    broken = [str(vault["provider"]) for vault in vaults if vault["state"] == "broken"]
    meant = broken or there
    if not meant:
        raise CommandError("There is no vault yet.", "`auth login` makes one")
    if len(meant) > 1:
        raise CommandError(
            f"It could be the vault of {listed(meant)}.", "name it with `--keyring-provider`"
        )
    return meant[0]


def _restored(session: Session, provider: str, *, anyway: bool) -> dict[str, Any]:
    def ask(*, anyway: bool) -> dict[str, Any]:
        return session.plain("restore", provider=provider, previous=True, anyway=anyway).header

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
    """Open the vault where that asks for something; return how much is in it, None if closed."""
    closed = AgentError("locked", "It is not open.", "", {"vaults": [provider]})
    unlocking.reopen(session, closed, offer=False)
    vaults = session.plain("status").header["vaults"]
    (count,) = (vault["count"] for vault in vaults if vault["provider"] == provider)
    return None if count is None else int(count)


def _tell(session: Session, header: dict[str, Any], count: int | None) -> None:
    when = ago(header["saved"], time())
    holds = "is not open" if count is None else f"holds {counted(count, 'credential')}"
    session.terminal.say(
        f"The vault of `{header['provider']}` went back to generation {header['generation']}, saved"
        f" {when}, and {holds}."
    )
    if header["kept"]:
        session.terminal.say(f"What was in its place is {header['kept']} now.")
    if count is None:
        session.terminal.hint("`auth unlock` opens it")
