"""Choose the provider of a new credential.

A provider that the user names is used or refused, never replaced. Otherwise it is `keyring` if that
vault exists or a system keyring answers, else `disabled`; the user is told the reason only when the
agent finds it out.
"""

from __future__ import annotations

from tokenward_agent.failure import Failure
from tokenward_agent.store.providers import probe_keyring, read_probe, write_probe

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from tokenward_agent.arena import Arena
    from tokenward_agent.store.keyring_program import KeyringProgram
    from tokenward_agent.store.providers import Probe
    from tokenward_agent.store.vaults import Vaults

_ELSE = "use `--keyring-provider disabled`"


class ProviderChoice:
    """Chooses for one agent; the client names the program that is on the user's PATH."""

    def __init__(self, vaults: Vaults, state: str, arena: Arena, program: KeyringProgram) -> None:
        self._vaults = vaults
        self._state = state
        self._arena = arena
        self._program = program

    async def choose(
        self, named: str | None, program: str | None, session: Mapping[str, str], *, probe: bool
    ) -> tuple[str, str | None]:
        """Return the provider, and a sentence that says why if it is a fallback.

        Raise Failure with code `provider` if the named one cannot be used.
        """
        vault = self._vaults.each["keyring"]
        if named == "disabled":
            return named, None
        if named == "subprocess":
            self._program.select(program)
            return named, None
        if vault.state != "absent" and not probe:
            return "keyring", None
        known = read_probe(self._state)
        now = self._vaults.clock.wall()
        fresh = probe or known is None or (known.backend is not None and known.is_stale(now))
        if named or fresh or known is None:
            known = await self._ask(session, now)
            fresh = True
        if known.backend is not None:
            return "keyring", None
        if named:
            raise Failure("provider", f"{known.reason.rstrip('.')}.", _ELSE)
        return "disabled", known.fallback_sentence("disabled") if fresh else None

    async def _ask(self, session: Mapping[str, str], now: int) -> Probe:
        probe = await probe_keyring(self._arena, session, now)
        write_probe(self._state, probe)
        return probe
