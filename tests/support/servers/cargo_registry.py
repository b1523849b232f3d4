"""A sparse registry of cargo's on loopback that wants a token for everything, with one crate."""

from __future__ import annotations

import io
import json
import tarfile
from hashlib import sha256

from support.servers.http_server import Loopback, Request, Response

CRATE = "ward-greeting"


def cargo_registry(token: str) -> Loopback:
    """Return a registry that gives `CRATE` 1.0.0 out and lists what is published.

    Its index is at `url` + "index/".
    """
    crate = _crate()
    index = {_place(CRATE): _line(CRATE, "1.0.0", crate)}

    def answer(request: Request) -> Response:
        if request.authorization != token:
            return Response(401)
        root = f"http://{request.headers['host']}"
        if request.path == "/index/config.json":
            config = {"dl": f"{root}/dl", "api": root, "auth-required": True}
            return Response(200, json.dumps(config).encode())
        if request.path in index:
            return Response(200, index[request.path])
        if request.path == f"/dl/{CRATE}/1.0.0/download":
            return Response(200, crate)
        if (request.method, request.path) == ("PUT", "/api/v1/crates/new"):
            size = int.from_bytes(request.body[:4], "little")
            said = json.loads(request.body[4 : 4 + size])
            index[_place(said["name"])] = _line(said["name"], said["vers"], b"")
            return Response(200, b"{}")
        return Response(404)

    return Loopback(answer)


def _place(name: str) -> str:
    return f"/index/{name[:2]}/{name[2:4]}/{name}"


def _line(name: str, version: str, crate: bytes) -> bytes:
    line = {
        "name": name,
        "vers": version,
        "deps": [],
        "cksum": sha256(crate).hexdigest(),
        "features": {},
        "yanked": False,
    }
    return json.dumps(line).encode()


def _crate() -> bytes:
    files = {
        "Cargo.toml": f'[package]\nname = "{CRATE}"\nversion = "1.0.0"\nedition = "2021"\n',
        "src/lib.rs": "",
    }
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        for name, text in files.items():
            member = tarfile.TarInfo(f"{CRATE}-1.0.0/{name}")
            member.size = len(text)
            archive.addfile(member, io.BytesIO(text.encode()))
    return packed.getvalue()
