"""`~/.pypirc`, as twine and distutils read it: names, URLs, and the last place for a credential.

Servers are those that `[distutils] index-servers` lists (pypi and testpypi where it is missing);
each has a section with `repository`, `username` and `password`, for which `[server-login]` holds
defaults. No interpolation: a `%` in a password is a `%`. The file is read, never written.

https://packaging.python.org/specifications/pypirc/
"""

from __future__ import annotations

from tokenward.errors import CommandError
from tokenward.files.reading import read
from tokenward.settings.index_definition import Definition
from tokenward_protocol import urls
from tokenward_protocol.urls import FIXED, ServiceError, display

TYPE_CHECKING = False
if TYPE_CHECKING:
    import configparser


_NO_SERVERS = {"distutils", "server-login"}


class Server:
    """One server of a .pypirc; the URL may hold a password, so neither is in the repr."""

    __slots__ = ("file", "name", "password", "url", "username")

    def __init__(
        self, name: str, url: str, username: str | None, password: str | None, file: str
    ) -> None:
        self.name = name
        self.url = url
        self.username = username
        self.password = password
        self.file = file

    @property
    def key(self) -> str | None:
        """The service that its credential is for, or None where the URL is none that we accept."""
        try:
            return urls.parse(self.url).key
        except ServiceError:
            return None

    @property
    def definition(self) -> Definition:
        """What the file says that the name stands for."""
        return Definition(self.name, self.url, self.file, None, self.username)


def load(path: str) -> tuple[Server, ...]:
    """Read a .pypirc; () where there is none. Raises CommandError with a line, never a value."""
    data = read(path)
    if data is None:
        return ()
    try:
        return parse(data.decode("utf-8-sig"), path)
    except UnicodeDecodeError:
        raise CommandError(f"{path} is not UTF-8 text.") from None


def parse(text: str, path: str, *, every: bool = False) -> tuple[Server, ...]:
    """Read the text of a .pypirc; with `every` section that can be meant. Raises CommandError as `load`.

    A secret lies in the file whether `index-servers` lists its section or not, or with a comma.
    """
    import configparser

    parser = configparser.RawConfigParser()
    try:
        parser.read_string(text)
    except configparser.Error as error:
        raise CommandError(f"{path} is malformed{_line(error)}.") from None
    defaults = parser["server-login"] if parser.has_section("server-login") else {}
    listed = parser.get("distutils", "index-servers", fallback=" ".join(FIXED)).split()
    if every:
        listed = [name.strip(",") for name in listed if name.strip(",")]
        listed += [name for name in parser.sections() if name not in _NO_SERVERS]
    servers: list[Server] = []
    for name in dict.fromkeys(listed):
        section = parser[name] if parser.has_section(name) else {}
        servers.append(
            Server(
                name,
                section.get("repository") or FIXED.get(name, ""),
                section.get("username") or defaults.get("username") or _fixed_username(name),
                section.get("password") or defaults.get("password") or None,
                path,
            )
        )
    return tuple(servers)


def credential(
    servers: tuple[Server, ...], key: str, username: str | None, name: str | None = None
) -> Server | None:
    """Choose the server whose user name and password answer for `key`, or None.

    The server of that very `name` goes first; then the longest path that covers `key` decides
    alone. Never a guess: raises CommandError where several accounts there could be meant.
    """
    able = [
        server
        for server in servers
        if server.username
        and server.password
        and username in {None, server.username}
        and server.key
        and key.startswith(server.key)
    ]
    for server in able:
        if server.name == name:
            return server
    longest = max((len(server.key or "") for server in able), default=0)
    able = [server for server in able if len(server.key or "") == longest]
    able = [server for server in able if server.username == "__token__"] or able
    if len({(server.username, server.password) for server in able}) > 1:
        names = ", ".join(server.name for server in able)
        raise CommandError(
            f"{able[0].file} has several accounts for {display(key)}: {names}.",
            "ask by the server's name, or for one with `--username`",
        )
    return able[0] if able else None


def _fixed_username(name: str) -> str | None:
    return "__token__" if name in FIXED else None  # as twine: these two take tokens alone


def _line(error: configparser.Error) -> str:
    """Say where, from the attributes alone: the message quotes the line, which may be a secret."""
    number = getattr(error, "lineno", None)
    for first in getattr(error, "errors", ())[:1]:
        number = first[0]
    return f" in line {number}" if number else ""
