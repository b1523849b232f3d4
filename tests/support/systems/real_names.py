"""A machine in which the names of the real indexes lead to a server of our own, and nothing else.

A network namespace with nothing but loopback, and a mount namespace with another /etc/hosts: what
runs in them reaches `https://upload.pypi.org` here, under a certificate that an authority made for
this run vouches for. Ended by pid, and the namespaces end with their last process.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from functools import cache
from pathlib import Path
from typing import Self

import pytest

from support import TESTS
from support.servers.certificates import write_certificates
from support.servers.real_names_server import NAMES, Seen

PATH = "/usr/sbin:/usr/bin:/sbin:/bin"


@cache
def can_part() -> bool:
    """Tell whether namespaces can be had, which a container may not allow."""
    if shutil.which("ip", path=PATH) is None:
        return False
    tried = ["unshare", "--net", "--mount", "true"]
    return subprocess.run(tried, check=False, capture_output=True).returncode == 0


needs_namespaces = pytest.mark.root(
    "gives names another meaning", able=can_part, needs="iproute2 and namespaces"
)

_INSIDE = """
set -e
ip link set lo up
mount --bind "$1/hosts" /etc/hosts
exec "$2" -m "$3" "$1"
"""


class Namespaces:
    """Namespaces in which `names` lead to this machine, and the `server` (a module) behind them.

    `inside`, and a folder, go before a command that is to run there; `authority` is the certificate
    that clients have to trust, `log` a file that the server fills. The server is given its folder,
    with its certificate and what `prepare` puts there.
    """

    def __init__(self, names: list[str], server: str) -> None:
        self._names = names
        self._server = server

    def prepare(self, folder: Path) -> None:
        """Put into the server's folder what it needs besides."""

    def __enter__(self) -> Self:
        self._folder = tempfile.TemporaryDirectory(prefix="names-")
        folder = Path(self._folder.name)
        self.authority = write_certificates(folder, self._names)
        self.log = folder / "requests"
        self.log.touch()
        self.prepare(folder)
        names = " ".join(name for name in self._names if not name[:1].isdigit())
        (folder / "hosts").write_text(f"127.0.0.1 localhost {names}\n")
        self._process = subprocess.Popen(
            [
                *("unshare", "--net", "--mount", "--propagation", "private", "sh", "-c", _INSIDE),
                *("sh", folder, sys.executable, self._server),
            ],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            start_new_session=True,
            env={"PATH": PATH, "PYTHONPATH": str(TESTS)},
        )
        if self._process.stdout is None or not self._process.stdout.readline():
            self._stop()
            raise RuntimeError(f"{self._server} did not start")
        target = f"--target={self._process.pid}"
        self.inside = ("nsenter", target, "--net", "--mount", "env", "--chdir")
        return self

    def __exit__(self, *_: object) -> None:
        self._stop()
        self._folder.cleanup()

    def _stop(self) -> None:
        self._process.terminate()
        self._process.wait()
        if self._process.stdout is not None:
            self._process.stdout.close()


class RealNames(Namespaces):
    """The names of the real indexes. With `trusted` there is trusted publishing."""

    def __init__(self, *, trusted: bool = False) -> None:
        super().__init__(NAMES, "support.servers.real_names_server")
        self._trusted = trusted

    def prepare(self, folder: Path) -> None:
        """Say whether there is trusted publishing."""
        if self._trusted:
            (folder / "trusted").touch()

    def seen(self) -> list[Seen]:
        """Return the requests so far, since this was last asked."""
        lines = self.log.read_text().splitlines()
        os.truncate(self.log, 0)
        return [Seen(**json.loads(line)) for line in lines]
