"""The servers of docker logins, in docker's spelling, with their accounts. It holds no secret.

The vault does not know which URLs are docker's. docker wants its own spelling of a server back, and
means one account of it without naming it.
"""

from __future__ import annotations

from tokenward.files.json_store import Memory
from tokenward.helpers.credentials import service_of


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
