"""As much of a docker registry as `docker login` and `docker manifest inspect` ask for."""

from __future__ import annotations

import json
from hashlib import sha256

from support.servers.http_server import Loopback, Request, Response, basic

IMAGE = "team/image:1"
_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
_CONFIG = b'{"architecture":"amd64","os":"linux","rootfs":{"type":"layers"}}'


def docker_registry(username: str, password: str) -> Loopback:
    """Return a registry of one image, for whoever knows the password.

    It speaks TLS, which is all that `docker manifest` does. Older dockers look at no certificate on
    loopback; those from 28.5 on have to be told to trust it.
    """

    def answer(request: Request) -> Response:
        if request.authorization != basic(username, password):
            return Response(401, b"", {"WWW-Authenticate": 'Basic realm="registry"'})
        if "/blobs/" in request.path:
            return Response(200, _CONFIG)
        if "/manifests/" in request.path:
            return Response(200, json.dumps(_manifest()).encode(), {"Content-Type": _MANIFEST})
        return Response(200, b"{}")

    return Loopback(answer, tls=True)


def _manifest() -> dict[str, object]:
    config = {
        "mediaType": "application/vnd.docker.container.image.v1+json",
        "size": len(_CONFIG),
        "digest": f"sha256:{sha256(_CONFIG).hexdigest()}",
    }
    return {"schemaVersion": 2, "mediaType": _MANIFEST, "config": config, "layers": []}
