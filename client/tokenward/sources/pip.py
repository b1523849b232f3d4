"""pip's configuration: passwords in the URLs of `index-url` and `extra-index-url`.

A removal removes the user name with the password: pip would send a lone name with an empty
password, and asks a keyring only without both. A user name may be a token, so it is a secret, too. The files
are those of the user and of an active virtual environment, not the system's.

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
from tokenward.sources.found import USERINFO, ForeignCredential, at_url, unreadable_error
from tokenward_protocol.urls import mask

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tokenward.sources.found import KnownIndexes

_KEYS = {"index-url", "extra-index-url"}
_URL = re.compile(r"\w+://\S+")
_TOKEN = re.compile(r"(?=.*\d)(?=.*[A-Za-z])[A-Za-z0-9._~+=-]{20,}")
"""A user name that looks like a token: some indexes want it there, without a password."""


def files(environ: Mapping[str, str], home: str) -> list[str]:
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


def look(text: str, path: str, _known: KnownIndexes) -> list[ForeignCredential]:
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


def indexes(environ: Mapping[str, str], home: str) -> Iterator[str]:
    """Yield the URLs of indexes in pip's files; files that cannot be read have none."""
    for path in files(environ, home):
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
    base = environ.get("XDG_CONFIG_HOME", "")
    return f"{base if os.path.isabs(base) else f'{home}/.config'}/pip"
