"""`~/.pypirc`: each server with a password. What goes is the line of the password.

The user name stays, which is what twine, flit and hatch ask a keyring by.
"""

from __future__ import annotations

from tokenward import pypirc
from tokenward.sources.found import Found, at_url
from tokenward.sources.lines import ini

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from tokenward.sources.known import Known


def files(_environ: Mapping[str, str], home: str) -> list[str]:
    """Return the one place where it lies."""
    return [f"{home}/.pypirc"]


def look(text: str, path: str, _known: Known) -> list[Found]:
    """Return what twine would find. Raises CommandError."""
    spans = {setting.names: setting.spans for setting in ini(text)}
    found: list[Found] = []
    for server in pypirc.parse(text, path):
        if not server.password:
            continue
        place = f"[{server.name}]"
        sections = (server.name, "DEFAULT", "server-login")
        where = next((s for name in sections if (s := spans.get((name, "password")))), ())
        if server.url:
            found.append(at_url(place, server.url, server.username, server.password, where))
        else:
            problem = f"{path} gives {server.name} no `repository`."
            found.append(Found(place, (), server.username, server.password, where, problem=problem))
    return found
