"""Where a new credential goes: the choice of a provider, and making its vault if it has none.

Only a provider on the command line must be used. A provider from the settings that cannot be used
is reported and skipped; without either, the agent chooses.
"""

from __future__ import annotations

import sys

from tokenward.credentials import unlocking
from tokenward.credentials.unlocking import given_passphrase, new_passphrase
from tokenward.errors import CommandError
from tokenward.keyring_program import on_path
from tokenward.transport.connect import AgentError
from tokenward.transport.prompt_context import session_variables

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from tokenward.session import Session

_SLOT = {"keyring": "keyring", "subprocess": "program"}
_BY_ITSELF = "dpapi" if sys.platform == "win32" else "key-file"


class ProviderChoice:
    """A usable provider. `state` is that of its vault, as the agent reported it."""

    __slots__ = ("_program", "provider", "state")

    def __init__(self, provider: str, state: str, program: str | None) -> None:
        self.provider = provider
        self.state = state
        self._program = program

    def make_vault(self, session: Session) -> None:
        """Make the vault if it does not exist. May ask for a new passphrase."""
        if self.state != "absent" and self.provider != "subprocess":
            return
        passphrase = b""
        slot = _SLOT.get(self.provider)
        if slot is None:
            passphrase = _new_passphrase(session) or b""
            slot = "passphrase" if passphrase else _BY_ITSELF
        wanted: dict[str, Any] = session_variables(session.environ)
        wanted |= {"provider": self.provider, "slot": slot, "program": self._program}
        unlocking.ask(session, "create", passphrase, offer=True, **wanted)
        if slot == "dpapi":
            session.terminal.say(
                "The vault opens by DPAPI, for this user of Windows: it protects copies of your"
                " files, but not against programs that run as you."
            )
            session.terminal.hint("`auth passphrase set` protects it by a passphrase")
        if slot == "key-file":
            session.terminal.say(
                "The vault opens with a key file in your state directory: it protects copies of the"
                " credentials directory, but not against programs that can read your files."
            )
            session.terminal.hint("`auth passphrase set` protects it by a passphrase")


def choose_provider(session: Session, flag: str | None) -> ProviderChoice:
    """Return the provider for a new credential. Raises CommandError and AgentError."""
    settings = session.settings
    program, passed_over = on_path.find_program(session.environ, settings.cwd)
    chosen = settings.provider(flag, lambda: program is not None)
    variables: dict[str, Any] = session_variables(session.environ)
    wanted: dict[str, Any] = {"provider": chosen.name, **variables}
    if chosen.name == "subprocess":
        wanted["program"] = program
    try:
        header = session.ask_once("prepare", **wanted).header
    except AgentError as refused:
        if chosen.name is None or refused.code != "provider":
            raise
        why = str(refused)
        if chosen.name == "subprocess" and program is None:
            why = on_path.none_found_sentence(passed_over)
        if chosen.explicit:
            raise CommandError(why, refused.hint) from None
        session.terminal.warn(f"{chosen.chosen_by} names the provider {chosen.name}: {why}")
        header = session.ask_once("prepare", **variables).header
    else:
        if chosen.name is not None:
            session.terminal.detail(f"The provider is {chosen.name}, by {chosen.chosen_by}.")
    if header["note"]:
        session.terminal.say(str(header["note"]))
    provider = str(header["provider"])
    return ProviderChoice(
        provider, str(header["state"]), program if provider == "subprocess" else None
    )


def _new_passphrase(session: Session) -> bytes | None:
    """Return the new vault's passphrase, or None for a vault without one."""
    if not session.terminal.is_there():
        return given_passphrase(session.environ)
    instead = "DPAPI" if sys.platform == "win32" else "a key file"
    return new_passphrase(
        session, f"New passphrase for the vault (empty: {instead}):", may_be_empty=True
    )
