"""A home whose user publishes behind a relay, to an https index that keeps what it got.

The index is on loopback; the user's config.toml names its certificate and `corp` as its name, and the
credential for it is stored. `index.uploads` has the file of every upload that came with that.
"""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from typing import TYPE_CHECKING, Self

from support.servers.http_server import Loopback, Request, Response, basic
from support.servers.simple_index import wheel_file
from support.waiting import PATIENCE

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from support.home import Home

ACCOUNT = ("ana", "a-secret-that-nobody-sees")

UPLOAD = """
import hashlib, os, pathlib, sys, urllib.error, urllib.request
def upload(path, project, version):
    data = pathlib.Path(path).read_bytes()
    fields = {":action": "file_upload", "protocol_version": "1", "name": project, "version": version,
              "filetype": "bdist_wheel", "pyversion": "py3", "metadata_version": "2.1",
              "sha256_digest": hashlib.sha256(data).hexdigest()}
    body = b"".join(b'--x\\r\\nContent-Disposition: form-data; name="%b"\\r\\n\\r\\n%b\\r\\n'
                    % (k.encode(), v.encode()) for k, v in fields.items())
    body += (b'--x\\r\\nContent-Disposition: form-data; name="content"; filename="%b"\\r\\n\\r\\n'
             % os.path.basename(path).encode()) + data + b"\\r\\n--x--\\r\\n"
    sent = urllib.request.Request(os.environ["TWINE_REPOSITORY_URL"], body,
                                  {"Content-Type": "multipart/form-data; boundary=x"})
    try:
        with urllib.request.urlopen(sent) as answer:
            return answer.status, ""
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()
    except OSError as error:
        return 0, type(error).__name__
"""
"""What makes of a Python script a tool that uploads, without the second that twine takes to start."""


class Index(Loopback):
    """The index. `hold` lets it wait before it answers an upload, until `go` is set."""

    def __init__(self, answer: Callable[[Request], Response] | None = None) -> None:
        self.uploads: list[bytes] = []
        self.arrived, self.go = threading.Event(), threading.Event()
        self.go.set()
        self._instead = answer
        super().__init__(self._answer, tls=True)

    def _answer(self, request: Request) -> Response:
        if request.authorization != basic(*ACCOUNT):
            return Response(401)
        if request.method == "POST":
            self.uploads.append(request.body)
            self.arrived.set()
            self.go.wait(PATIENCE)
        return Response(200, b"<html></html>") if self._instead is None else self._instead(request)

    def __exit__(self, *what: object) -> None:
        self.go.set()
        super().__exit__(*what)


class Publisher:
    """The user. `policy` is what their config.toml says besides the index."""

    def __init__(self, home: Home, index: Index, policy: str = "") -> None:
        self.home = home
        self.index = index
        (home.path / "ca.pem").write_bytes(index.certificate)
        self.rules(policy)
        home.log_in(f"{index.url}", ACCOUNT[1], username=ACCOUNT[0])

    def rules(self, policy: str) -> None:
        """Make this the policy; keys of the top level may stand first."""
        folder = self.home.path / ".config/tokenward"
        folder.mkdir(exist_ok=True)
        top, mark, tables = policy.partition("[[")
        (folder / "new").write_text(
            f'ca = "{self.home.path}/ca.pem"\n{top}\n[services.corp]\nurl = "{self.index.url}simple/"\n'
            f'publish-url = "{self.index.url}legacy/"\n{mark}{tables}'
        )
        (folder / "new").rename(folder / "config.toml")

    def wheel(self, package: str = "mine==1.0", folder: str = "dist") -> str:
        """Make a wheel and return its path."""
        name, data = wheel_file(package)
        path = self.home.path / folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(data)
        return str(path)

    def script(self, name: str, text: str) -> str:
        """Make a program of the user's that can upload, and return its path."""
        path = self.home.path / "bin" / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"#!{sys.executable}\n{UPLOAD}\n{text}\n")
        path.chmod(0o700)
        return str(path)

    def twine(self, name: str = "twine") -> str:
        """Make a program that uploads the wheels that it is given, and prints what came of each."""
        return self.script(
            name,
            "for path in sys.argv[2:]:\n"
            "    project, version = os.path.basename(path).split('-')[:2]\n"
            "    print(*upload(path, project, version), flush=True)",
        )

    def askpass(self, answer: str = "yes", before: str = "") -> None:
        """Have every question of the agent kept in `questions`, and answered like this."""
        path = self.home.path / "my-askpass"
        path.write_text(
            f'#!/bin/sh\nprintf "%s\\0" "$1" >>"$HOME/questions"\n{before}\necho {answer}\n'
        )
        path.chmod(0o700)

    def asking(self, rules: str = '[[policy]]\npurpose = "publish"\ndecide = "ask"\n') -> None:
        """Have the policy ask, by that program."""
        self.askpass()
        self.rules(f'pinentry = "{self.home.path}/my-askpass"\n{rules}')

    def questions(self) -> list[str]:
        """Return the texts of all questions so far."""
        path = self.home.path / "questions"
        return path.read_text().split("\0")[:-1] if path.exists() else []

    def exec(self, *command: str, **variables: str) -> subprocess.CompletedProcess[str]:
        """Run a command behind a relay to `corp`; options of `auth exec` may stand first."""
        options = [] if "--" in command else ["--"]
        return self.home.auth(
            *("exec", "--relay", "--index", "corp", *options, *command), **variables
        )

    def started(self, *command: str, **variables: str) -> subprocess.Popen[str]:
        """Start that without waiting for its end."""
        from support.auth_commands import PROGRAMS

        options = [] if "--" in command else ["--"]
        return subprocess.Popen(
            [PROGRAMS / "auth", "exec", "--relay", "--index", "corp", *options, *command],
            cwd=self.home.path,
            env=self.home.environment | variables,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def lines(self, *events: str) -> list[dict[str, object]]:
        """Return the log's lines of these events."""
        (folder,) = (self.home.path / ".local/state/tokenward").glob("*/audit")
        texts = [path.read_text("ascii") for path in sorted(folder.iterdir())]
        found = [json.loads(line) for text in texts for line in text.splitlines()]
        return [line for line in found if line["event"] in events]

    def __enter__(self) -> Self:
        self.index.__enter__()
        return self

    def __exit__(self, *what: object) -> None:
        self.index.__exit__(*what)


def folder_of_runs(home: Home) -> Path:
    """Return the folder where the agent of a home makes those of its runs."""
    return home.path / "run/tokenward/agent.sock.runs"
