"""A real devpi-server in a process of its own, with one user who owns its indexes.

It listens on a Unix socket in a folder of its own, so no port has to be guessed, and
`connect` gives connections for the recording proxy that tools talk to. Ended by pid.
"""

from __future__ import annotations

import base64
import json
import subprocess
import tempfile
from contextlib import closing
from pathlib import Path
from typing import Any, Self

from support.servers.recording_proxy import UnixConnection
from support.tools.environments import programs

FAKETIME = next(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"), None)
LISTENS = "Serving on "  # what its log says once it does


class DevpiServer:
    """A server with the account `user`, whose indexes take uploads with its `password` alone.

    `environment` is where the server comes from; of `devpi-tokens` it takes tokens, too. `clock` is
    what its clock is off by, as faketime has it.
    """

    def __init__(
        self, user: str, password: str, environment: str = "devpi-server", clock: str = ""
    ) -> None:
        self.user = user
        self.password = password
        self._programs = programs(environment)
        self.index = ""
        self._clock = clock
        self._indexes = 0
        self._session = ""

    def connect(self) -> UnixConnection:
        """Return a new connection to it."""
        return UnixConnection(self.socket)

    def renew(self) -> str:
        """Make an empty index, the one in use from now on; return its path, `user/name`."""
        self._indexes += 1
        self.index = f"{self.user}/index{self._indexes}"
        self._ask("PUT", f"/{self.index}", {"bases": [], "acl_upload": [self.user]})
        return self.index

    def token(self, **restrictions: object) -> str:
        """Return a new token of the user, from a server that has them."""
        made = self._ask("POST", f"/{self.user}/+token-create", restrictions)
        return str(made["result"]["token"])

    def holds(self, file: str) -> bool:
        """Tell whether the index in use has the file."""
        project = file.partition("-")[0].replace("_", "-")
        with closing(self.connect()) as connection:
            connection.request("GET", f"/{self.index}/+simple/{project}/")
            with connection.getresponse() as answer:
                return file in answer.read().decode()

    def __enter__(self) -> Self:
        self._folder = tempfile.TemporaryDirectory(prefix="devpi-", dir="/tmp")
        folder = Path(self._folder.name)
        self.socket = folder / "socket"
        state = ["--serverdir", str(folder / "state")]
        environment = {"HOME": str(folder), "PATH": "/usr/bin:/bin", "PYTHONWARNINGS": "ignore"}
        subprocess.run(
            [self._programs / "devpi-init", *state, "--no-root-pypi"],
            env=environment,
            check=True,
            capture_output=True,
        )
        if self._clock:
            environment |= {
                "LD_PRELOAD": str(FAKETIME),
                "FAKETIME": self._clock,
                "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            }
        self._process = subprocess.Popen(
            [
                self._programs / "devpi-server",
                *state,
                *("--unix-socket", self.socket, "--threads", "4"),
                *("--argon2-memory-cost", "1024", "--argon2-time-cost", "1"),  # for a second
            ],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        said = []
        for line in self._process.stdout or ():
            said.append(line)
            if LISTENS in line:
                break
        else:
            self._stop()
            raise RuntimeError(f"devpi-server did not start: {''.join(said)}")
        self._ask("PUT", f"/{self.user}", {"password": self.password})
        answer = self._ask("POST", "/+login", {"user": self.user, "password": self.password})
        self._session = str(answer["result"]["password"])
        return self

    def __exit__(self, *_: object) -> None:
        self._stop()
        self._folder.cleanup()

    def _ask(self, method: str, path: str, content: dict[str, object]) -> dict[str, Any]:
        headers = {"Content-Type": "application/json"}
        if self._session:
            pair = f"{self.user}:{self._session}".encode()
            headers["X-Devpi-Auth"] = base64.b64encode(pair).decode()
        with closing(self.connect()) as connection:
            connection.request(method, path, json.dumps(content), headers)
            with connection.getresponse() as answer:
                said = answer.read()
        if answer.status >= 400:
            raise RuntimeError(f"devpi-server refused {method} {path}: {said!r}")
        found: dict[str, Any] = json.loads(said)
        return found

    def _stop(self) -> None:
        self._process.terminate()
        self._process.wait()
        if self._process.stdout is not None:
            self._process.stdout.close()
