"""The external ``keyring`` program: which one may run, and the only way to run it.

It is the one that `config.toml` names with `keyring-program`, else the one that the user chose,
which the state folder remembers. The credentials directory cannot name one: any process that can
write there can write a vault's header, which is not trusted before the vault is open. If a vault
names another program than the chosen one, it stays closed with a message. If config.toml names the
program, the name in the vault is ignored, so the program may have moved.

Every run goes through `run_job`, which first checks who can change the program now.
"""

from __future__ import annotations

import json
import os

from tokenward_agent.failure import Failure
from tokenward_agent.store.providers import program_objection
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
    """The program of one agent; `configured` returns what config.toml names now, or ""."""

    def __init__(self, state: str, arena: Arena, configured: Callable[[], str]) -> None:
        self._path = os.path.join(state, _FILE)
        self._arena = arena
        self._configured = configured

    @property
    def chosen_program(self) -> str | None:
        """The program of config.toml, or the one that the user chose, or None."""
        remembered = read_object(self._path).get("program")
        return self._configured() or (remembered if isinstance(remembered, str) else None)

    def select(self, wanted: str | None = None) -> str:
        """Return the program to run: config.toml's, else `wanted`, else the remembered one.

        Raise Failure with code `provider` if no program is known, or it must not run.
        """
        path = self._configured() or wanted or self.chosen_program
        if path is None:
            raise Failure("provider", "The `keyring` program is not known.", _ELSE)
        problem = (
            program_objection(path, uid()) if os.path.isabs(path) else "is not an absolute path"
        )
        if problem is not None:
            raise Failure("provider", f"The program {path} is not run: it {problem}.", _ELSE)
        return path

    def choose(self, wanted: str | None, header: Header | None) -> str:
        """Remember the program that the user chose, for a vault that names none or this one.

        Raise Failure as `select`.
        """
        path = self.select(wanted)
        slot = header.slot("program") if header is not None else None
        if slot is not None and path not in {slot.params["program"], self._configured()}:
            raise Failure(
                "provider", f"The vault names another `keyring` program than {path}.", _CONFIG
            )
        if path != self.chosen_program:
            try:
                replace(self._path, json.dumps({"program": path}).encode())
            except OSError as error:
                raise Failure(
                    "provider", f"{self._path} cannot be written: {error.strerror}."
                ) from None
        return path

    def require_trusted(self, named: object) -> None:
        """Raise Failure unless config.toml names a program, or *named* is the chosen one."""
        chosen = self.chosen_program
        if self._configured():
            return
        if chosen is None:
            raise Failure(
                "provider",
                f"The vault names the `keyring` program {named}, which was not chosen on this"
                " machine, so it is not run.",
                "`auth unlock --keyring-provider subprocess` chooses the one on your PATH",
            )
        if chosen != named:
            raise Failure(
                "provider",
                f"The vault names the `keyring` program {named}, which is not the one that was"
                f" chosen ({chosen}), so it is not run.",
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

        Raise Failure as `select`, or WorkerError.
        """
        asked = {**header, "program": self.select()}
        return await runner.run_job(
            self._arena, f"program-{doing}", asked, secret, into, seconds, session
        )
