"""`docker-credential-tokenward`: docker's credential helper, for `"credsStore": "tokenward"`.

docker writes a server (for `store` a JSON object) and reads JSON, or with exit status 1 one line of
error on stdout; for a miss that line is a fixed text of docker's. A server without a scheme means
https. The vault does not know which URLs are docker's, docker asks without a user name, and it wants
its own spelling of a server back: so each login's server and account are remembered, no secret.

`list` names only those servers. docker asks for the secret of every listed server and hands all of
them to its daemon, which may be on another machine and must not get an index's token.

https://github.com/docker/docker-credential-helpers
"""

from __future__ import annotations

import sys

from tokenward.errors import CommandError
from tokenward.files.own_folders import Memory
from tokenward.helpers import program
from tokenward.helpers.program import service_of
from tokenward_protocol.light import json_text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from tokenward.session import Session


MISS = "credentials not found in native keychain"
"""docker recognises a miss by exactly this text."""

FAILED = 1


def work(session: Session) -> int:
    """Run docker's operation; return the exit status."""
    try:
        if len(sys.argv) != 2 or sys.argv[1] not in {"get", "store", "erase", "list"}:
            raise CommandError(
                "`docker-credential-tokenward` is run by docker with get, store, erase or list.",
                'write "credsStore": "tokenward" into ~/.docker/config.json',
            )
        answer = run(sys.argv[1], program.read_text(), session)
    except CommandError as failed:
        session.terminal.data(program.error_line(failed))
        return FAILED
    if answer is None:
        session.terminal.data(MISS)
        return FAILED
    if answer:
        session.terminal.data(answer)
    return 0


def run(operation: str, text: str, session: Session) -> str | None:
    """Run one operation; return the text for docker, or None for a miss. Raises CommandError."""
    servers = DockerServers(session.settings.directories.state_folder)
    if operation == "list":
        return json_text(_list_servers(session, servers))
    if operation == "store":
        said = program.parse_object(text, "Standard input is not a JSON object.")
        return _store(session, servers, said)
    server = text.strip()
    service = program.service_of(url_of(server))
    if service is None:
        return None
    username = servers.username(service.key)
    if operation == "erase":
        servers.forget(service.key)
        return "" if program.forget(session, service, username) else None
    found = username and program.find(session, service, username)
    found = found or program.find(session, service, None, "`docker login` chooses one")
    if not found:
        return None
    return json_text({"ServerURL": server, "Username": found.username, "Secret": found.text})


def _store(session: Session, servers: DockerServers, said: dict[str, Any]) -> str:
    server, username, secret = (said.get(key) for key in ("ServerURL", "Username", "Secret"))
    if not isinstance(server, str) or not server.strip():
        raise CommandError("The credential has no `ServerURL`.")
    if not isinstance(username, str) or not username:
        raise CommandError("The credential has no `Username`.")
    if not isinstance(secret, str):
        raise CommandError("The credential has no `Secret`.")
    service = program.service_of(url_of(server.strip()))
    if service is None:
        raise CommandError(
            "No credential can be stored for this server.",
            "http:// is for localhost, 127.0.0.1 and [::1] only",
        )
    program.keep(session, service, username, secret)
    servers.remember(service.key, server.strip(), username)
    return ""


def _list_servers(session: Session, servers: DockerServers) -> dict[str, str]:
    """Return docker's servers with their user names, without those that are not stored any more."""
    known = servers.all()
    if not known:
        return {}
    stored, closed = program.stored_accounts(session)
    return {
        server: username
        for server, username in known.items()
        if closed or any(user == username and is_at(server, key) for key, user in stored)
    }


class DockerServers:
    """Servers and user names, in `docker.json` of a credentials directory's state folder."""

    def __init__(self, state_folder: str) -> None:
        self._memory = Memory(f"{state_folder}/docker.json")

    def all(self) -> dict[str, str]:
        """Return the user name of each server."""
        return self._memory.load()

    def username(self, key: str) -> str | None:
        """Return the account of docker's login to a service, or None."""
        known = self.all()
        return next((known[server] for server in known if is_at(server, key)), None)

    def remember(self, key: str, server: str, username: str) -> None:
        """Remember the one account of a service. Raises CommandError."""
        known = self.all()
        new = {s: name for s, name in known.items() if not is_at(s, key)} | {server: username}
        if new != known:
            self._memory.save(new)

    def forget(self, key: str) -> None:
        """Forget a service's account. Raises CommandError."""
        known = self.all()
        new = {server: name for server, name in known.items() if not is_at(server, key)}
        if new != known:
            self._memory.save(new)


def url_of(server: str) -> str:
    """Return the URL of a server in docker's spelling: without a scheme it is https."""
    return server if "://" in server else f"https://{server}"


def is_at(server: str, key: str) -> bool:
    """Return whether a server in docker's spelling has a service's key."""
    meant = service_of(url_of(server))
    return meant is not None and meant.key == key
