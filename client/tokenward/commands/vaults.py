"""`auth lock`, `auth unlock`, `auth passphrase set` and `remove`: close the vaults, and open them.

A lock lasts until the user ends it. The passphrase is that of the vault of the provider `disabled`.
"""

from __future__ import annotations

from tokenward.credentials import unlocking
from tokenward.errors import CommandError
from tokenward.keyring_program import on_path
from tokenward.ui.formatting import count_of, join_words

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from tokenward.commands import Namespace, Parser, Session


def describe(parser: Parser, command: str) -> None:
    """Add options and examples."""
    if command == "lock":
        parser.examples("auth lock    stays locked when the agent or the machine restarts")
    elif command == "unlock":
        parser.add_provider("open only that provider's vault")
        parser.examples(
            "auth unlock                                         ask for a passphrase if needed",
            "TOKENWARD_PASSPHRASE_FILE=~/.phrase auth unlock     without a terminal",
            "TOKENWARD_ASKPASS=/usr/bin/ssh-askpass auth unlock  a program asks",
        )
    elif command == "passphrase remove":
        parser.examples("auth passphrase remove    from then on a key file opens the vault")
    else:
        parser.add_flag("--keep-slots", "keep the other ways to open the vault (a key file ...)")
        parser.examples(
            "auth passphrase set                                     ask twice for the passphrase",
            "TOKENWARD_PASSPHRASE_FILE=~/.phrase auth passphrase set",
        )


def run(arguments: Namespace, session: Session) -> None:
    """Lock, unlock, or change the passphrase."""
    if arguments.command == "lock":
        _lock(session)
    elif arguments.command == "unlock":
        _unlock(arguments.keyring_provider, session)
    else:
        _change_passphrase(arguments, session)


def _lock(session: Session) -> None:
    already = session.ask_once("status").header["locked"]
    locked = [str(provider) for provider in session.ask_once("lock").header["locked"]]
    if already:
        session.terminal.say("Already locked.")
    elif locked:
        session.terminal.say(f"Locked: {join_words(locked)}.")
    else:
        session.terminal.say("Locked; there is no vault yet.")
    session.write_json({"locked": True, "vaults": locked})


def _require_a_vault(provider: str | None, vaults: list[dict[str, Any]]) -> None:
    """Raise CommandError if the named provider has no vault and another provider has one."""
    name = "keyring" if provider == "subprocess" else provider
    there = [str(vault["provider"]) for vault in vaults if vault["state"] != "absent"]
    if provider is None or not there or {provider, name} & set(there):
        return
    raise CommandError(
        f"There is no vault of `{provider}`, so nothing was opened.",
        f"`auth unlock --keyring-provider {there[0]}` opens the existing one",
    )


def _unlock(provider: str | None, session: Session) -> None:
    before = session.ask_once("status").header
    _require_a_vault(provider, before["vaults"])
    was_open = {v["provider"] for v in before["vaults"] if v["state"] == "open"}
    program = None
    if provider == "subprocess":  # by naming it, the user chooses the program on PATH
        program, _ = on_path.find_program(session.environ, session.settings.cwd)
    header = unlocking.unlock(session, provider, program=program)
    opened = [str(name) for name in header["opened"]]
    told = {(str(vault["note"]), str(vault.get("hint", ""))) for vault in header["closed"]}
    if len(told) == 1 and not opened and (found := told.pop())[1]:
        raise CommandError(*found)  # the file or its folder is wrong; same words as everywhere
    for vault in header["closed"]:
        asks = "a passphrase" if vault["needs"] == "passphrase" else "another try"
        reason = str(vault["note"]) or f"It needs {asks}."
        session.terminal.warn(
            f"The vault of `{vault['provider']}` stays closed: {reason}", str(vault.get("hint", ""))
        )  # an older agent sends no hint
    if header["closed"] and not opened:
        raise CommandError("No vault could be opened.", "`auth status` shows what each vault needs")
    if opened:
        already = " already" if set(opened) == was_open and not before["locked"] else ""
        session.terminal.say(f"Open{already}: {join_words(opened)}.")
    elif before["locked"]:
        session.terminal.say("Unlocked; there is no vault yet.")
    else:
        session.terminal.say("There is no vault yet.", "`auth login` makes one")
    session.write_json({"opened": opened, "closed": header["closed"]})


def _change_passphrase(arguments: Namespace, session: Session) -> None:
    """Change the passphrase; a closed vault asks for the old one first."""
    action = arguments.command.rpartition(" ")[2]
    kinds = _opened_by(session)
    if action == "remove" and "passphrase" not in kinds:
        session.terminal.say("The vault of `disabled` has no passphrase.")
        session.write_json({"action": action, "slots": kinds, "elsewhere": None})
        return
    phrase, keep = b"", None
    if action == "set":
        phrase = unlocking.new_passphrase(session, "New passphrase:", may_be_empty=False) or b""
        keep = arguments.keep_slots or None
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
    is_shut = vault["state"] in {"closed", "locked"}
    if is_shut and not unlocking.reopen(session, ["disabled"]):
        raise CommandError("The vault of `disabled` is not open.", "`auth unlock`")
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
