"""`auth passphrase set` and `remove`: what opens the vault of the provider `disabled`."""

from __future__ import annotations

from tokenward import unlocking
from tokenward.connection import AgentError
from tokenward.layout import counted

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import Namespace
    from typing import Any

    from tokenward.session import Session
    from tokenward.usage import Parser


def describe(parser: Parser, command: str) -> None:
    """Add options and examples."""
    if command == "passphrase remove":
        parser.examples("auth passphrase remove    a key file opens the vault from then on")
        return
    parser.add_argument(
        "--keep-slots", action="store_true", help="let it open as before, too (a key file ...)"
    )
    parser.examples(
        "auth passphrase set                                     ask for it twice",
        "TOKENWARD_PASSPHRASE_FILE=~/.phrase auth passphrase set",
    )


def run(arguments: Namespace, session: Session) -> None:
    """Change it; a closed vault asks for the old passphrase first."""
    action = arguments.command.rpartition(" ")[2]
    _open_if_closed(session)
    phrase = b""
    keep = None
    if action == "set":
        phrase = unlocking.new_passphrase(session, "New passphrase:", may_be_empty=False) or b""
        keep = True if arguments.keep_slots else None
    header = session.plain("passphrase", phrase, action=action, keep=keep).header
    kinds = [str(slot["kind"]) for slot in header["slots"]]
    if action == "remove":
        session.terminal.say(
            "The vault of disabled opens with a key file now: with nothing but your files."
        )
    elif kinds == ["passphrase"]:
        session.terminal.say("The vault of disabled opens with the new passphrase, and only so.")
    else:
        session.terminal.say("The vault of disabled opens with the new passphrase, and as before.")
    _say_elsewhere(header["elsewhere"], session)
    session.done({"action": action, "slots": kinds, "elsewhere": header["elsewhere"]})


def _open_if_closed(session: Session) -> None:
    vaults: list[dict[str, Any]] = session.plain("status").header["vaults"]
    state = next((v["state"] for v in vaults if v["provider"] == "disabled"), "absent")
    if state in {"closed", "locked"}:
        refused = AgentError(
            "locked", "The vault of disabled is locked.", "auth unlock", {"vaults": ["disabled"]}
        )
        if not unlocking.reopen(session, refused, offer=False):
            raise refused


def _say_elsewhere(count: int | None, session: Session) -> None:
    if count is None:
        session.terminal.say(
            "Another vault, that of keyring, is closed; this passphrase does not protect it."
        )
    elif count:
        verb = "lies" if count == 1 else "lie"
        session.terminal.say(
            f"{counted(count, 'credential')} {verb} in the vault of keyring, which the system's"
            " keyring opens."
        )
