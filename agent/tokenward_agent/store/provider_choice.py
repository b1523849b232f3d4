"""Which provider a new credential gets, and which `keyring` program may be run.

A provider that was named is taken or refused, never replaced by another. Where none was named it
is `keyring` if that vault is there already, or if a real system keyring answers; otherwise
`disabled`, which is said when it is found out and not again.
"""

from __future__ import annotations

import os

from tokenward_agent.failure import Failure
from tokenward_agent.files import uid
from tokenward_agent.store.providers import objection, probe_keyring, remember, remembered

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from tokenward_agent.arena import Arena
    from tokenward_agent.store.providers import Probe
    from tokenward_agent.store.vaults import Vaults

_ELSE = "use `--keyring-provider disabled`"


class ProviderChoice:
    """Chooses for one agent. It looks for no program: whoever asks names one, on his own PATH."""

    def __init__(self, vaults: Vaults, state: str, arena: Arena) -> None:
        self._vaults = vaults
        self._state = state
        self._arena = arena

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
            self.program(program)
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

    def program(self, wanted: str | None) -> str:
        """Return the `keyring` program to run: `wanted`, else the one that opens the vault.

        Raises Failure with code `provider` if there is none, or it should not be run.
        """
        header = self._vaults.each["keyring"].header
        slot = header.slot("program") if header is not None else None
        path = wanted or (str(slot.params["program"]) if slot is not None else None)
        if path is None:
            raise Failure("provider", "No `keyring` program is named, and none is known.", _ELSE)
        problem = objection(path, uid()) if os.path.isabs(path) else "is no path"
        if problem is not None:
            raise Failure("provider", f"The program {path} is not run: it {problem}.", _ELSE)
        return path
