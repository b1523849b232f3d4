"""`~/.pypirc`, as twine and distutils read it: names, URLs, and the last source of a credential.

The servers are those in `[distutils] index-servers` (default: pypi and testpypi); each has a
section with `repository`, `username` and `password`, with defaults in `[server-login]`. There is no
interpolation: a `%` in a password is a `%`. The file is read, never written.

https://packaging.python.org/specifications/pypirc/
"""

from __future__ import annotations

from tokenward.errors import CommandError
from tokenward.files.reading import read
from tokenward.settings.service_names import Definition
from tokenward_protocol.light import Record
from tokenward_protocol.urls import FIXED, display, key_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    import configparser


_NO_SERVERS = {"distutils", "server-login"}


class Server(Record):
    """One server of a .pypirc; the URL may hold a password, so the repr has neither."""

    name: str
    url: str
    username: str | None
    password: str | None
    file: str

    @property
    def key(self) -> str | None:
        """The service of its credential, or None if the URL is not acceptable."""
        return key_of(self.url)

    @property
    def definition(self) -> Definition:
        """The definition of the name in this file."""
        return Definition(self.name, self.url, self.file, None, self.username)


def load_pypirc(path: str) -> tuple[Server, ...]:
    """Read a .pypirc, () if it does not exist. Raises CommandError with a line, never a value."""
    data = read(path)
    if data is None:
        return ()
    try:
        return parse_pypirc(data.decode("utf-8-sig"), path)
    except UnicodeDecodeError:
        raise CommandError(f"{path} is not UTF-8 text.") from None


def parse_pypirc(text: str, path: str, *, every: bool = False) -> tuple[Server, ...]:
    """Parse a .pypirc; with `every`, all sections that may be servers. Raises as `load_pypirc` does.

    An unlisted section holds its secret all the same, and `index-servers` may be misread, for
    instance with commas.
    """
    import configparser

    parser = configparser.RawConfigParser()
    try:
        parser.read_string(text)
    except configparser.Error as error:
        raise CommandError(f"{path} is malformed{_line(error)}.", _help_for(error)) from None
    defaults = parser["server-login"] if parser.has_section("server-login") else {}
    listed = parser.get("distutils", "index-servers", fallback=" ".join(FIXED)).split()
    if every:
        listed = [name.strip(",") for name in listed if name.strip(",")]
        listed += [name for name in parser.sections() if name not in _NO_SERVERS]
    servers: list[Server] = []
    for name in dict.fromkeys(listed):
        section = parser[name] if parser.has_section(name) else {}
        usual = "__token__" if name in FIXED else None  # as in twine: these two take only tokens
        servers.append(
            Server(
                name,
                section.get("repository") or FIXED.get(name, ""),
                section.get("username") or defaults.get("username") or usual,
                section.get("password") or defaults.get("password") or None,
                path,
            )
        )
    return tuple(servers)


def find_server(
    servers: tuple[Server, ...], key: str, username: str | None, name: str | None = None
) -> Server | None:
    """Return the server whose user name and password answer for `key`, or None.

    The server named `name` comes first; else the longest path that covers `key` decides alone.
    Never a guess: raises CommandError if several accounts there match.
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
            "give the server's name, or choose one with `--username`",
        )
    return able[0] if able else None


def _line(error: configparser.Error) -> str:
    """Return the line, from the attributes: the message quotes it, and it may hold a secret."""
    number = getattr(error, "lineno", None)
    for first in getattr(error, "errors", ())[:1]:
        number = first[0]
    return f" in line {number}" if number else ""


def _help_for(error: configparser.Error) -> str:
    """Return what corrects the line, by the kind of error."""
    import configparser

    if isinstance(error, configparser.MissingSectionHeaderError):
        return "a heading such as [pypi] has to stand above it"
    if isinstance(error, configparser.DuplicateSectionError | configparser.DuplicateOptionError):
        return "it says again what an earlier line says: remove one of the two"
    return "a line is a heading in [brackets], or a name, `=` and a value"
