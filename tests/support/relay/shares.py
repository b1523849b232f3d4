"""A private index with a home whose user shares it by a relay."""

from __future__ import annotations

import shutil
import sys
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Self

from support.home import Home
from support.servers.http_server import Loopback, Request, Response, basic
from support.servers.simple_index import answering

if TYPE_CHECKING:
    from collections.abc import Mapping
    from subprocess import CompletedProcess

SECRET = "s3cret-of-the-index"
ACCOUNT = ("ana", SECRET)

CURL = ("curl", "--silent", "--show-error")


class SharedIndex:
    """An index `corp` of the package `one`, which wants an account, and `home`, which has it.

    `share` opens a relay share; `near` runs a command at its near end.
    """

    def __enter__(self) -> Self:
        self.home = Home().__enter__()
        reading = answering(("one==1.0",), ACCOUNT)

        def answer(request: Request) -> Response:
            if request.method == "POST":
                return Response(200 if request.authorization == basic(*ACCOUNT) else 401)
            return reading(request)

        self.index = Loopback(answer, tls=True).__enter__()
        authority = self.home.path / "index.pem"
        authority.write_bytes(self.index.certificate)
        self.settings = self.home.path / ".config/tokenward/config.toml"
        self.settings.parent.mkdir()
        self.settings.write_text(
            f'ca = "{authority}"\n'
            f'[services.corp]\nurl = "{self.page}"\npublish-url = "{self.index.url}legacy/"\n'
        )
        self.home.log_in(self.index.url, SECRET, username="ana")
        return self

    def __exit__(self, *_: object) -> None:
        try:
            self.home.__exit__()
        finally:
            self.index.__exit__()

    @property
    def page(self) -> str:
        """The URL by which tools install."""
        return f"{self.index.url}simple/"

    def policy(self, text: str) -> None:
        """Put a policy behind the settings."""
        settings = self.settings.read_text().partition("\n[[policy]]")[0]
        self.settings.write_text(f"{settings}\n{text}")

    def share(self, *options: str) -> str:
        """Open a share and return its path."""
        command = ("share", "--relay", "--service", "corp", *options)
        return str(self.home.answer(*command)["socket"])

    def near(
        self, path: str | Path, *command: str | Path, variables: Mapping[str, str] = {}
    ) -> CompletedProcess[str]:
        """Run a command at the near end of a share; whatever it exits with."""
        words = map(str, command)
        return self.home.auth("exec", "--", *words, TOKENWARD_SOCK=str(path), **variables)

    def one_file(self) -> str:
        """Write the near end as one file, and return its path."""
        path = self.home.path / "tokenward-exec"
        path.write_text(self.home.done("share", "--near-end"))
        return str(path)

    def download(self, folder: str = "down") -> tuple[str, ...]:
        """Return a command that downloads the package `one`."""
        pip = (sys.executable, "-m", "pip", "download", "--no-deps", "--quiet")
        return (*pip, "--dest", folder, "one")


def lowest_python() -> str:
    """Return the lowest Python from 3.9 on that is here: on PATH, or beside the one of this run."""
    for minor in range(9, sys.version_info.minor):
        name = f"python3.{minor}"
        beside = sorted(Path(sys.base_prefix).parent.glob(f"3.{minor}.*/bin/{name}"))
        if path := next(map(str, beside), shutil.which(name)):
            return path
    return sys.executable


def make_wheel(folder: Path, name: str, version: str) -> Path:
    """Write an empty wheel that may be uploaded."""
    folder.mkdir(exist_ok=True)
    path = folder / f"{name}-{version}-py3-none-any.whl"
    files = {
        "METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
        "WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        "RECORD": "",
    }
    with zipfile.ZipFile(path, "w") as archive:
        for file, text in files.items():
            archive.writestr(f"{name}-{version}.dist-info/{file}", text)
    return path
