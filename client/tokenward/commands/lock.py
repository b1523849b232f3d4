"""`auth lock` and `auth unlock`: close every vault until the user opens it, and open them."""

from __future__ import annotations

from tokenward.credentials import unlocking
from tokenward.errors import CommandError
from tokenward.keyring_program import on_path
from tokenward.ui.formatting import join_words

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import Namespace
    from typing import Any

    from tokenward.session import Session
    from tokenward.ui.argument_parser import Parser


def describe(parser: Parser, command: str) -> None:
    """Add options and examples."""
    if command == "lock":
        parser.examples("auth lock    stays locked when the agent or the machine restarts")
        return
    parser.add_provider("open only that provider's vault")
    parser.examples(
        "auth unlock                                         ask for a passphrase if needed",
        "TOKENWARD_PASSPHRASE_FILE=~/.phrase auth unlock     without a terminal",
        "TOKENWARD_ASKPASS=/usr/bin/ssh-askpass auth unlock  a program asks",
    )


def run(arguments: Namespace, session: Session) -> None:
    """Lock or unlock."""
    if arguments.command == "lock":
        _lock(session)
    else:
        _unlock(arguments.keyring_provider, session)


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
        session.terminal.warn(f"The vault of `{vault['provider']}` stays closed: {reason}")
        session.terminal.hint(str(vault.get("hint", "")))  # an older agent sends no hint
    if header["closed"] and not opened:
        raise CommandError("No vault could be opened.", "`auth status` shows what each vault needs")
    if opened:
        already = " already" if set(opened) == was_open and not before["locked"] else ""
        session.terminal.say(f"Open{already}: {join_words(opened)}.")
    else:
        session.terminal.say("There is no vault yet.")
        session.terminal.hint("`auth login` makes one")
    session.write_json({"opened": opened, "closed": header["closed"]})
