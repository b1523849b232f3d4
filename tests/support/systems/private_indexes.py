"""Private indexes by their names, in a network where nothing else is: what goes around a relay fails.

The agent of a home is started in there, too, and so are its relays.
"""

from __future__ import annotations

import json
import os
import shutil
from typing import TYPE_CHECKING

from support.home import Home
from support.servers.index_server import write_accounts
from support.servers.private_indexes_server import NAMES, Seen
from support.systems.real_names import Namespaces

if TYPE_CHECKING:
    from pathlib import Path
    from subprocess import CompletedProcess


class PrivateIndexes(Namespaces):
    """The namespaces with the indexes, for one account; `devpi` is the socket of a devpi-server."""

    def __init__(self, username: str, secret: str, devpi: Path | None = None) -> None:
        super().__init__(NAMES, "support.servers.private_indexes_server")
        self._account = username, secret
        self._devpi = devpi

    def prepare(self, folder: Path) -> None:
        """Write the account, and make places for packages and repositories."""
        self.packages, self.repositories = folder / "packages", folder / "git"
        self.packages.mkdir()
        self.repositories.mkdir()
        (folder / "account").write_text(json.dumps(self._account))
        write_accounts(folder / "htpasswd", dict([self._account]))
        if self._devpi:
            (folder / "devpi").write_text(str(self._devpi))

    def renew(self) -> None:
        """Forget every request, package and repository."""
        os.truncate(self.log, 0)
        for place in (*self.packages.iterdir(), *self.repositories.iterdir()):
            shutil.rmtree(place) if place.is_dir() else place.unlink()

    def seen(self) -> list[Seen]:
        """Return the requests so far."""
        return [Seen(**json.loads(line)) for line in self.log.read_text().splitlines()]


class HomeInside(Home):
    """A home whose commands, and so its agent, run in the namespaces."""

    def __init__(self, names: Namespaces) -> None:
        super().__init__()
        self._names = names

    def run(
        self, *command: str | Path, stdin: str = "", cwd: str = "", **variables: str
    ) -> CompletedProcess[str]:
        """Run `command` in there; as `Home.run`."""
        inside = (*self._names.inside, cwd or str(self.path))
        return super().run(*inside, *command, stdin=stdin, cwd=cwd, **variables)
