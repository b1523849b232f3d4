"""A package index on loopback for reading: the simple pages and wheels of a few empty packages.

Unlike pypiserver it is one of many in a test, is open to everybody unless it has an account, and
remembers what came with each request.
"""

from __future__ import annotations

import hashlib
import io
import zipfile
from typing import TYPE_CHECKING

from support.servers.http_server import Loopback, Request, Response, basic

if TYPE_CHECKING:
    from collections.abc import Callable

DENIED = Response(401, headers={"WWW-Authenticate": 'Basic realm="index"'})


def simple_index(*packages: str, account: tuple[str, str] | None = None) -> Loopback:
    """Return an index of `packages`, each `name==version`, at `url` + `simple/`."""
    return Loopback(answering(packages, account))


def answering(
    packages: tuple[str, ...], account: tuple[str, str] | None = None
) -> Callable[[Request], Response]:
    """Return what such an index answers."""
    wheels = {_file(package): (package, _wheel(package)) for package in packages}

    def answer(request: Request) -> Response:
        if account and request.authorization != basic(*account):
            return DENIED
        *_, folder, last = ["", *request.path.strip("/").split("/")]
        if folder == "files" and last in wheels:
            return Response(200, wheels[last][1])
        links = "".join(
            f'<a href="/files/{file}#sha256={hashlib.sha256(data).hexdigest()}">{file}</a>\n'
            for file, (package, data) in wheels.items()
            if package.partition("==")[0] == last
        )
        return Response(200 if links else 404, links.encode(), {"Content-Type": "text/html"})

    return answer


def wheel_file(package: str) -> tuple[str, bytes]:
    """Return name and content of the wheel of an empty package, `name==version`."""
    return _file(package), _wheel(package)


def _file(package: str) -> str:
    name, _, version = package.partition("==")
    return f"{name}-{version}-py3-none-any.whl"


def _wheel(package: str) -> bytes:
    name, _, version = package.partition("==")
    info = {
        "METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
        "WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        "RECORD": "",
    }
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as archive:
        for file, text in info.items():
            archive.writestr(zipfile.ZipInfo(f"{name}-{version}.dist-info/{file}"), text)
    return data.getvalue()
