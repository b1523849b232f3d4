"""`~/.pypirc`: each section with a password, and each `repository` that has one in its URL.

A removal removes the line of the password, or that part of the URL. The user name stays, because
twine, flit and hatch need it to ask a keyring. A section that `index-servers` does not list counts,
too: no tool uses it, but every tool can read it.
"""

from __future__ import annotations

from urllib.parse import unquote

from tokenward.files import ini
from tokenward.settings import pypirc
from tokenward.sources.found import USERINFO, ForeignCredential, at_url

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from tokenward.sources.found import KnownIndexes


def files(_environ: Mapping[str, str], home: str) -> list[str]:
    """Return the only path."""
    return [f"{home}/.pypirc"]


def look(text: str, path: str, _known: KnownIndexes) -> list[ForeignCredential]:
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
