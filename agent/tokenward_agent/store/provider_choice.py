"""Which provider a new credential gets.

A provider that was named is taken or refused, never replaced by another. Where none was named it
is `keyring` if that vault is there already, or if a real system keyring answers; otherwise
`disabled`, which is said when it is found out and not again.
"""

from __future__ import annotations

from tokenward_agent.failure import Failure
from tokenward_agent.store.providers import probe_keyring, remember, remembered

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from tokenward_agent.arena import Arena
    from tokenward_agent.store.keyring_program import KeyringProgram
    from tokenward_agent.store.providers import Probe
    from tokenward_agent.store.vaults import Vaults

_ELSE = "use `--keyring-provider disabled`"


class ProviderChoice:
    """Chooses for one agent. It looks for no program: whoever asks names one, on his own PATH."""

    def __init__(self, vaults: Vaults, state: str, arena: Arena, program: KeyringProgram) -> None:
        self._vaults = vaults
        self._state = state
        self._arena = arena
        self._program = program

    async def choose(
        self, named: str | None, program: str | None, session: Mapping[str, str], *, probe: bool
    ) -> tuple[str, str | None]:
        """Return the provider and, where it was not to be expected, a sentence that says why.

        Raises Failure with code `provider` if the named one cannot be used.
        """
        vault = self._vaults.each["keyring"]
        if named == "disabled":
            return named, None
        if named == "subprocess":
            self._program.judged(program)
            return named, None
        if vault.state != "absent" and not probe:
            return "keyring", None
        known = remembered(self._state)
        now = self._vaults.clock.wall()
        fresh = probe or known is None or (known.backend is not None and known.stale(now))
        if named or fresh or known is None:
            known = await self._ask(session, now)
            fresh = True
        if known.backend is not None:
            return "keyring", None
        if named:
            raise Failure("provider", f"{known.reason.rstrip('.')}.", _ELSE)
        return "disabled", known.fall_back("disabled") if fresh else None

    async def _ask(self, session: Mapping[str, str], now: int) -> Probe:
        probe = await probe_keyring(self._arena, session, now)
        remember(self._state, probe)
        return probe
