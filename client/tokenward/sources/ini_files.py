"""`~/.pypirc` and pip's configuration: passwords in sections, and in URLs of indexes.

.pypirc: each section with a password, and each `repository` that has one in its URL. A removal
removes the line of the password, or that part of the URL. The user name stays, because twine, flit
and hatch need it to ask a keyring. A section that `index-servers` does not list counts, too: no tool
uses it, but every tool can read it.

pip: the URLs of `index-url` and `extra-index-url`. A removal removes the user name with the password:
pip would send a lone name with an empty password, and asks a keyring only without both. A user name
may be a token, so it is a secret, too. The files are those of the user and of an active virtual
environment, not the system's.

https://pip.pypa.io/en/stable/topics/configuration/
"""

from __future__ import annotations

import configparser
import os
import re
import sys
from contextlib import suppress
from urllib.parse import unquote

from tokenward.errors import CommandError
from tokenward.files import ini
from tokenward.files.reading import read
from tokenward.settings import directories, pypirc
from tokenward.sources.found import USERINFO, ForeignCredential, at_url, unreadable_error
from tokenward_protocol.urls import mask

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tokenward.sources.found import KnownIndexes


def pypirc_files(_environ: Mapping[str, str], home: str) -> list[str]:
    """Return the only path."""
    return [f"{home}/.pypirc"]


def look_in_pypirc(text: str, path: str, _known: KnownIndexes) -> list[ForeignCredential]:
    """Return the credentials that twine would find. Raises CommandError."""
    spans = {setting.names: setting.spans for setting in ini.settings(text)}
    found: list[ForeignCredential] = []
    for server in pypirc.parse_pypirc(text, path, every=True):
        place = f"[{server.name}]"
        for start, end in spans.get((server.name, "repository"), ()):
            found += _in_url(f"{place} repository", text[start:end], start, server.username)
        if not server.password:
            continue
        sections = (server.name, "DEFAULT", "server-login")
        where = next((s for name in sections if (s := spans.get((name, "password")))), ())
        if server.url:
            found.append(at_url(place, server.url, server.username, server.password, where))
        else:
            problem = f"{path} gives {server.name} no `repository`."
            found.append(
                ForeignCredential(
                    place, (), server.username, server.password, where, problem=problem
                )
            )
    return found


def _in_url(place: str, line: str, start: int, username: str | None) -> list[ForeignCredential]:
    said = USERINFO.search(line)
    if said is None or not said[3]:
        return []
    url = line[said.start() :].split(maxsplit=1)[0]
    user = unquote(said[1]) or username
    # twine asks a keyring by a user name that is left; without one the `@` has to go, too.
    span = (said.start(2), said.end(3)) if said[1] else (said.start(1), said.end())
    spans = ((start + span[0], start + span[1]),)
    return [at_url(place, url, user, unquote(said[3]), spans)]


_KEYS = {"index-url", "extra-index-url"}
_URL = re.compile(r"\w+://\S+")
_TOKEN = re.compile(r"(?=.*\d)(?=.*[A-Za-z])[A-Za-z0-9._~+=-]{20,}")
"""A user name that looks like a token: some indexes want it there, without a password."""


def pip_files(environ: Mapping[str, str], home: str) -> list[str]:
    """Return the files that pip reads, without the system's."""
    found: list[str] = []
    named = environ.get("PIP_CONFIG_FILE")
    if named and os.path.exists(named):  # it replaces the user's files
        found.append(os.path.abspath(named))
    else:
        found += [f"{home}/.pip/pip.conf", f"{_user_folder(environ, home)}/pip.conf"]
    if active := environ.get("VIRTUAL_ENV"):
        found.append(os.path.join(os.path.abspath(active), "pip.conf"))
    return found


def look_in_pip(text: str, path: str, _known: KnownIndexes) -> list[ForeignCredential]:
    """Return every URL with a password. Raises CommandError."""
    parser = configparser.RawConfigParser()
    try:
        parser.read_string(text)
    except configparser.Error as error:
        raise unreadable_error(path, getattr(error, "lineno", None)) from None
    found: list[ForeignCredential] = []
    for place, url, start in _urls(text):
        said = USERINFO.match(url)
        if said and (said[3] or (said[1] and (said[2] or _TOKEN.fullmatch(unquote(said[1]))))):
            span = (start + said.start(1), start + said.end())
            found.append(at_url(place, url, None, unquote(said[3]), (span,)))
    return found


def pip_indexes(environ: Mapping[str, str], home: str) -> Iterator[str]:
    """Yield the URLs of indexes in pip's files; files that cannot be read have none."""
    for path in pip_files(environ, home):
        with suppress(CommandError):
            yield from (url for _, url, _ in _urls((read(path) or b"").decode("utf-8", "replace")))


def _urls(text: str) -> Iterator[tuple[str, str, int]]:
    """Yield the place of each index for the user, its URL, and the offset of the URL."""
    for setting in ini.settings(text):
        if setting.names[1].removeprefix("--").replace("_", "-") not in _KEYS:
            continue
        for start, end in setting.spans:
            for url in _URL.finditer(text, start, end):
                bare = mask(url[0]).replace("***@", "")
                yield f"[{setting.names[0]}] {setting.names[1]} {bare}", url[0], url.start()


def _user_folder(environ: Mapping[str, str], home: str) -> str:
    library = f"{home}/Library/Application Support/pip"
    if sys.platform == "darwin" and os.path.isdir(library):
        return library
    return f"{directories.config_base(environ, home)}/pip"
