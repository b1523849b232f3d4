"""The foreign ``keyring`` program: which one may be run, and the only way in which one is.

It is the one that `config.toml` names by `keyring-program`, else the one that the user chose, which
the state folder remembers. Nothing in the credentials directory names one: whoever can write there
writes a vault's header, and nothing vouches for that before the vault is open. A vault that names
another program than the chosen one stays closed, with a sentence that says so, unless config.toml
says which one it is: then the name in the vault counts for nothing, and the program may have moved.

Every run comes through `run`, which judges the program first, by what can be changed by whom now.
"""

from __future__ import annotations

import json
import os

from tokenward_agent.failure import Failure
from tokenward_agent.store.providers import objection
from tokenward_agent.store.state_files import read_object, replace
from tokenward_agent.worker import runner
from tokenward_os.files import uid

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any, Final

    from tokenward_agent.arena import Arena
    from tokenward_agent.vault.format import Header

_FILE: Final = "keyring-program.json"
_ELSE: Final = "use `--keyring-provider disabled`"
_CONFIG: Final = "`keyring-program` in config.toml names the one to run"


class KeyringProgram:
    """The program of one agent. `configured` returns what config.toml names now, "" for none."""

    def __init__(self, state: str, arena: Arena, configured: Callable[[], str]) -> None:
        self._path = os.path.join(state, _FILE)
        self._arena = arena
        self._configured = configured

    @property
    def chosen(self) -> str | None:
        """The program that the user chose, None where there is none."""
        remembered = read_object(self._path).get("program")
        return self._configured() or (remembered if isinstance(remembered, str) else None)

    def judged(self, wanted: str | None = None) -> str:
        """Return the program to run: config.toml's, else `wanted`, else the remembered one.

        Raises Failure with code `provider` if there is none, or it is not to be run.
        """
        path = self._configured() or wanted or self.chosen
        if path is None:
            raise Failure("provider", "No `keyring` program is named, and none is known.", _ELSE)
        problem = objection(path, uid()) if os.path.isabs(path) else "is no path"
        if problem is not None:
            raise Failure("provider", f"The program {path} is not run: it {problem}.", _ELSE)
        return path

    def choose(self, wanted: str | None, header: Header | None) -> str:
        """Remember a program, by a person's word, for a vault that names none or this very one.

        Raises Failure as `judged`.
        """
        path = self.judged(wanted)
        slot = header.slot("program") if header is not None else None
        if slot is not None and path not in {slot.params["program"], self._configured()}:
            raise Failure(
                "provider", f"The vault names another `keyring` program than {path}.", _CONFIG
            )
        if path != self.chosen:
            try:
                replace(self._path, json.dumps({"program": path}).encode())
            except OSError as error:
                raise Failure(
                    "provider", f"{self._path} cannot be written: {error.strerror}."
                ) from None
        return path

    def vouch(self, named: object) -> None:
        """Raise Failure unless config.toml has a program, or the one that a vault names is chosen."""
        chosen = self.chosen
        if self._configured():
            return
        if chosen is None:
            raise Failure(
                "provider",
                f"The vault names the `keyring` program {named}, which nobody chose on this"
                " machine, so that it is not run.",
                "`auth unlock --keyring-provider subprocess` chooses the one on your PATH",
            )
        if chosen != named:
            raise Failure(
                "provider",
                f"The vault names the `keyring` program {named}, which is not the one that was"
                f" chosen ({chosen}), so that it is not run.",
                _CONFIG,
            )

    async def run(
        self,
        doing: str,
        header: Mapping[str, object],
        secret: memoryview | None,
        into: memoryview | None,
        seconds: float,
        session: Mapping[str, str],
    ) -> dict[str, Any]:
        """Run the chosen program once, for one of the jobs of worker/program_jobs.py.

        Raises Failure as `judged`, WorkerError.
        """
        asked = {**header, "program": self.judged()}
        return await runner.run(
            self._arena, f"program-{doing}", asked, secret, into, seconds, session
        )
