"""The program by which a service manager is told what to do: `systemctl`, `launchctl`.

It runs without a terminal, answers in text, and is given up after a while. What it refuses is one
sentence with the first line that it said.
"""

from __future__ import annotations

import subprocess

from tokenward.errors import CommandError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping


class Control:
    """`command` with its options, called `name` in sentences, with `seconds` for each call.

    `environ` is what it finds, None for our own. `look` is the hint where it refuses, `stuck` where
    it does not end.
    """

    def __init__(
        self,
        command: list[str],
        name: str,
        seconds: int,
        *,
        look: str,
        stuck: str = "",
        environ: Mapping[str, str] | None = None,
    ) -> None:
        self._command = command
        self._name = name
        self._seconds = seconds
        self._look = look
        self._stuck = stuck
        self._environ = environ

    def tell(self, *arguments: str) -> None:
        """Have something done. Raises CommandError where it is not."""
        answer = self.ask(*arguments)
        if answer.returncode != 0:
            said = answer.stderr.strip().splitlines()
            why = f": {said[0].rstrip('.')}" if said else ""
            raise CommandError(f"`{self._name} {arguments[0]}` failed{why}.", self._look)

    def ask(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Return what it answers. Raises CommandError where it cannot be run or does not end."""
        try:
            return subprocess.run(
                [*self._command, *arguments],
                env=self._environ,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                errors="replace",
                check=False,
                timeout=self._seconds,
            )
        except subprocess.TimeoutExpired:
            raise CommandError(
                f"`{self._name} {arguments[0]}` does not end.", self._stuck
            ) from None
        except OSError as error:
            program = self._name.partition(" ")[0]
            raise CommandError(f"`{program}` cannot be run: {error.strerror}.") from None
