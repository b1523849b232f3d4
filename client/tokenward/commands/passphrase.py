"""`auth passphrase set` and `remove`: change how the vault of the provider `disabled` opens."""

from __future__ import annotations

from tokenward.credentials import unlocking
from tokenward.transport.connect import AgentError
from tokenward.ui.formatting import count_of, join_words

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import Namespace
    from typing import Any

    from tokenward.session import Session
    from tokenward.ui.argument_parser import Parser


def describe(parser: Parser, command: str) -> None:
    """Add options and examples."""
    if command == "passphrase remove":
        parser.examples("auth passphrase remove    from then on a key file opens the vault")
        return
    parser.add_flag("--keep-slots", "keep the other ways to open the vault (a key file ...)")
    parser.examples(
        "auth passphrase set                                     ask twice for the passphrase",
        "TOKENWARD_PASSPHRASE_FILE=~/.phrase auth passphrase set",
    )


def run(arguments: Namespace, session: Session) -> None:
    """Change the passphrase; a closed vault asks for the old one first."""
    action = arguments.command.rpartition(" ")[2]
    kinds = _opened_by(session)
    if action == "remove" and "passphrase" not in kinds:
        session.terminal.say("The vault of `disabled` has no passphrase.")
        session.write_json({"action": action, "slots": kinds, "elsewhere": None})
        return
    phrase = b""
    keep = None
    if action == "set":
        phrase = unlocking.new_passphrase(session, "New passphrase:", may_be_empty=False) or b""
        keep = True if arguments.keep_slots else None
    header = session.ask_once("passphrase", phrase, action=action, keep=keep).header
    kinds = [str(slot["kind"]) for slot in header["slots"]]
    session.terminal.say(_outcome(action, kinds))
    _say_elsewhere(header["elsewhere"], session)
    session.write_json({"action": action, "slots": kinds, "elsewhere": header["elsewhere"]})


def _outcome(action: str, kinds: list[str]) -> str:
    if action == "remove":
        return "A key file opens the vault of `disabled` now, to all programs that read your files."
    how = "and with nothing else" if kinds == ["passphrase"] else "and as it did before"
    return f"The vault of `disabled` opens with the new passphrase now, {how}."


def _opened_by(session: Session) -> list[str]:
    """Open the vault if it is closed, and return the kinds of its slots; [] without a vault."""
    found: list[dict[str, Any]] = session.ask_once("status").header["vaults"]
    vault = next((v for v in found if v["provider"] == "disabled"), None)
    if vault is None or vault["state"] == "absent":
        return []
    if vault["state"] in {"closed", "locked"}:
        refused = AgentError(
            "locked",
            "The vault of `disabled` is not open.",
            "`auth unlock`",
            {"vaults": ["disabled"]},
        )
        if not unlocking.reopen(session, refused, offer=False):
            raise refused
    return [str(slot["kind"]) for slot in vault["slots"]]


def _say_elsewhere(count: int | None, session: Session) -> None:
    """Say how many credentials this passphrase does not protect, and who can read them."""
    vaults: list[dict[str, Any]] = session.ask_once("status").header["vaults"]
    other = next((vault for vault in vaults if vault["provider"] == "keyring"), None)
    if other is None or other["state"] == "absent":
        return
    who = join_words([str(slot["detail"]) for slot in other["slots"]])
    if count is None:
        what = "The credentials in the vault of `keyring` are not counted, because it is not open;"
        session.terminal.say(f"{what} it can be opened by {who}.")
    else:
        what = f"{count_of(count, 'credential')} {'lies' if count == 1 else 'lie'}"
        session.terminal.say(f"{what} in the vault of `keyring`, which can be opened by {who}.")
