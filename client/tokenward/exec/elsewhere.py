"""What to paste elsewhere, so that a container, a build, a pod or a host uses a share.

Each recipe mounts the folder of the socket, read-only, so that a new share at the same path is seen
there, and sets TOKENWARD_SOCK. At a relay share a command runs by the near end, a file beside the
socket. Only the folder is mounted, so it must not hold more than shares: the agent's own socket there
would be the agent itself. Nothing is written, and nothing is opened.
"""

from __future__ import annotations

import json
import os
import shlex

from tokenward.errors import CommandError
from tokenward.one_file import one_file
from tokenward_protocol.light import Record

DOCKER, DEVCONTAINER, COMPOSE, KUBERNETES, SSH = PLACES = (
    *("docker", "devcontainer", "compose", "kubernetes", "ssh"),
)

INSIDE = "/run/tokenward"
"""Where the folder is mounted."""

NEAR_END = "tokenward-exec"
"""The file of the near end, beside the socket."""

_UNFIT = frozenset(":,=$\"'\\")
"""Characters that have a meaning in an option or file of one of the tools."""


class Place(Record):
    """One share: the `folder` of its socket, the socket's `name` there, and whether it has a relay."""

    folder: str
    name: str
    relay: bool = False

    @property
    def socket(self) -> str:
        """The path of the socket in a container."""
        return f"{INSIDE}/{self.name}"

    def command(self, path: str = f"{INSIDE}/{NEAR_END}") -> str:
        """Return how a command is run elsewhere, where a relay's near end is at `path`."""
        return f"python3 {path} COMMAND" if self.relay else "COMMAND"


def near_end() -> str:
    """Return the near end of a relay share, as a program in one file."""
    before = "#!/usr/bin/env python3\n# Printed by `auth share --near-end`.\n"
    text = one_file("tokenward.exec.near_end", "main", before)
    return f'{text}\n\nif __name__ == "__main__":\n    main(sys.argv[1:])'


def place_of(at: str, *, relay: bool) -> Place:
    """Return the place of a socket. Raises CommandError for a path that the tools cannot have."""
    folder, _, name = at.rpartition("/")
    if not folder or not name or not at.isprintable() or _UNFIT & set(at) or " " in at:
        raise CommandError(
            f"{at} cannot be mounted elsewhere: it has a blank, a quote or one of : , = $ \\.",
            "`--at PATH` chooses another place",
        )
    return Place(folder, name, relay)


def require_apart(place: Place, private: dict[str, str]) -> None:
    """Raise CommandError if the folder holds a private one; `private` has their names by path."""
    folder = os.path.realpath(place.folder)
    for path, what in private.items():
        if os.path.commonpath([folder, path]) == folder:
            raise CommandError(
                f"{place.folder} holds {what}, so it must not be mounted elsewhere.",
                "a share needs a folder of its own: `--at ~/job/tokenward.sock`",
            )


def recipe(where: str, place: Place, host: str | None, fresh: str) -> str:
    """Return what to paste; `fresh` names the socket at a `host`, which keeps it when ssh ends."""
    if where == SSH:
        return _ssh(place, host or "", fresh)
    return {
        DOCKER: _docker,
        DEVCONTAINER: _devcontainer,
        COMPOSE: _compose,
        KUBERNETES: _kubernetes,
    }[where](place)


def _docker(place: Place) -> str:
    folder = place.folder
    mounted, ends = "/run/tokenward.sock", "/run/tokenward-exec"
    run = f"TOKENWARD_SOCK={place.socket} {place.command()}"
    secret = option = ""
    if place.relay:
        secret = f" --mount=type=secret,id={NEAR_END},target={ends}"
        option = f" --secret id={NEAR_END},src={folder}/{NEAR_END}"
    ssh = f"--mount=type=ssh,id=tokenward,target={mounted}{secret}"
    seen = f"--env TOKENWARD_SOCK={place.socket}"
    return "\n".join(
        [
            "# A container of docker or podman:",
            f"docker run --volume {folder}:{INSIDE}:ro {seen} IMAGE {place.command()}",
            "# An image by buildah or podman, with this in its Containerfile:",
            f"#   RUN {run}",
            f"buildah build --volume {folder}:{INSIDE}:ro .",
            "# An image by docker's BuildKit, with this in its Dockerfile:",
            f"#   RUN {ssh} TOKENWARD_SOCK={mounted} {place.command(path=ends)}",
            f"docker buildx build --ssh tokenward={folder}/{place.name},raw=true{option} .",
        ]
    )


def _devcontainer(place: Place) -> str:
    mount = f"source={place.folder},target={INSIDE},type=bind,readonly"
    keys = {"mounts": [mount], "containerEnv": {"TOKENWARD_SOCK": place.socket}}
    return json.dumps(keys, indent=4)


def _compose(place: Place) -> str:
    return f"""\
services:
  NAME:
    environment:
      TOKENWARD_SOCK: {place.socket}
    volumes:
      - type: bind
        source: {json.dumps(place.folder)}
        target: {INSIDE}
        read_only: true
        bind:
          create_host_path: false"""


def _kubernetes(place: Place) -> str:
    return f"""\
spec:
  containers:
    - name: NAME
      env:
        - name: TOKENWARD_SOCK
          value: {place.socket}
      volumeMounts:
        - name: tokenward
          mountPath: {INSIDE}
          readOnly: true
  volumes:
    - name: tokenward
      hostPath:
        path: {json.dumps(place.folder)}
        type: Directory"""


def _ssh(place: Place, host: str, fresh: str) -> str:
    there = f"/tmp/tokenward-{fresh}.sock"  # noqa: S108 - fresh; sshd does not bind over another
    where = shlex.quote(host)
    command = f"TOKENWARD_SOCK={there} {place.command(path=NEAR_END)}"
    line = f"ssh -R {there}:{place.folder}/{place.name} {where} {command}"
    copied = f"scp {place.folder}/{NEAR_END} {where}:\n" if place.relay else ""
    return copied + line
