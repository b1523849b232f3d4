"""Choose the provider of a new credential, by what a probe of the system keyring found.

A provider that the user names is used or refused, never replaced. Otherwise it is `keyring` if that
vault exists or a system keyring answers, else `disabled`; the user is told the reason only when the
agent finds it out.

A worker probes the system keyring once, and never lets it prompt the user. The result is remembered
in `probe.json` in the state folder of a credentials directory. It is probed again only on demand,
or if the remembered result turned out wrong and is over an hour old; so a keyring that hangs costs
its seconds once.
"""

from __future__ import annotations

import contextlib
import json
import os
from typing import TYPE_CHECKING, Final, NamedTuple

from tokenward_agent.failure import Failure
from tokenward_agent.files import read_object, replace
from tokenward_agent.worker.runner import WorkerError, run_job
from tokenward_protocol.messages import vault_name

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tokenward_agent.arena import Arena
    from tokenward_agent.store.keyring_program import KeyringProgram
    from tokenward_agent.store.vaults import Vaults

PROBE_SECONDS: Final = 3.0
STALE_SECONDS: Final = 3600  # age from which a remembered result that turned out wrong is replaced
_FILE: Final = "probe.json"
_ELSE: Final = "use `--keyring-provider disabled`"


class Probe(NamedTuple):
    """The keyring's name in `backend`, or None and the `reason`; `when` is the wall time."""

    backend: str | None
    reason: str
    when: int

    def is_stale(self, now: float) -> bool:
        """Tell whether a wrong result may be replaced; also if the clock was set back."""
        return not 0 <= now - self.when <= STALE_SECONDS

    def fallback_sentence(self, to: str) -> str:
        """Return a sentence that tells the user which provider is used instead, and why."""
        reason = self.reason.removesuffix(".")
        return f"{reason[:1].upper()}{reason[1:]}, so credentials go into the {vault_name(to)}."


async def probe_keyring(arena: Arena, session: Mapping[str, str], now: float) -> Probe:
    """Probe the system keyring, for at most 3 seconds."""
    try:
        answer = await run_job(arena, "keyring-probe", {}, None, None, PROBE_SECONDS, session)
    except WorkerError as error:
        late = f"the system keyring did not answer within {PROBE_SECONDS:g} seconds"
        return Probe(None, late if error.code == "timeout" else str(error), int(now))
    return Probe(answer["backend"], "", int(now))


def write_probe(state: str, probe: Probe) -> None:
    """Write the result into the folder *state*; if that fails, the next request probes again."""
    with contextlib.suppress(OSError):
        replace(os.path.join(state, _FILE), json.dumps(probe._asdict()).encode())


def read_probe(state: str) -> Probe | None:
    """Return the result from the folder *state*, or None if it cannot be read."""
    values = read_object(os.path.join(state, _FILE))
    backend, reason, when = (values.get(name) for name in Probe._fields)
    if not (backend is None or type(backend) is str) or type(reason) is not str:
        return None
    return Probe(backend, reason, when) if type(when) is int else None


class ProviderChoice:
    """Chooses for one agent; the client names the program that is on the user's PATH."""

    def __init__(self, vaults: Vaults, state: str, arena: Arena, program: KeyringProgram) -> None:
        self._vaults, self._state, self._arena, self._program = vaults, state, arena, program

    async def choose(
        self, named: str | None, program: str | None, session: Mapping[str, str], *, probe: bool
    ) -> tuple[str, str | None]:
        """Return the provider, and a sentence that says why if it is a fallback.

        Raises Failure with code `provider` if the named one cannot be used.
        """
        if named == "disabled":
            return named, None
        if named == "subprocess":
            self._program.select(program)
            return named, None
        if self._vaults.each["keyring"].state != "absent" and not probe:
            return "keyring", None
        known, now = read_probe(self._state), self._vaults.clock.wall()
        stale = known is None or (known.backend is not None and known.is_stale(now))
        fresh = bool(named) or probe or stale
        if known is None or fresh:
            known = await probe_keyring(self._arena, session, now)
            write_probe(self._state, known)
        if known.backend is not None:
            return "keyring", None
        if named:
            raise Failure("provider", f"{known.reason.rstrip('.')}.", _ELSE)
        return "disabled", known.fallback_sentence("disabled") if fresh else None
