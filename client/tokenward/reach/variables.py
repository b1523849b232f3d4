"""The variables by which an environment says how an index is reached: certificates, and exceptions from proxies.

Which tool reads which variable was measured. Pure: values in, values out; certificates.py reads and
writes the files.
"""

from __future__ import annotations

import re

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_OF_REQUESTS = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
_OF_OPENSSL = ("SSL_CERT_FILE",)

TRUST = {
    "SSL_CERT_FILE": (),
    "REQUESTS_CA_BUNDLE": ("CURL_CA_BUNDLE",),
    "CURL_CA_BUNDLE": _OF_OPENSSL,
    "PIP_CERT": _OF_OPENSSL,
    "TWINE_CERT": _OF_REQUESTS,
    "MATURIN_CA_BUNDLE": _OF_REQUESTS,
    "npm_config_cafile": (),
}
"""Variables that name all trusted certificates, and those that their tools read if they are unset.

All are set: a tool's own settings may name certificates, and its variable wins over them. The folder
of SSL_CERT_DIR, which OpenSSL reads besides the file, goes into the file: a tool that reads only the
folder would not find the run's authority.
"""

ADDED_TRUST = ("NODE_EXTRA_CA_CERTS",)
"""Variables that name certificates besides the system's."""

_IF_SET = ("GIT_SSL_CAINFO",)
"""Variables that count for every host of a tool, which has other means for one host."""

_OF_POETRY = re.compile(r"POETRY_CERTIFICATES_.+_CERT")
_SWITCHES = {"true", "false"}  # poetry's setting may be one of them

TOWARDS_INDEXES = tuple(TRUST)[:-1]
"""Variables whose certificates a tool would trust at an index; npm has indexes of its own."""


def former_trust(environ: Mapping[str, str], names: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """Return the variables of certificates to set, each with the paths that its tool reads now.

    `names` are those of the indexes, for poetry. () stands for the system's certificates; so it
    does in a variable of ADDED_TRUST, which adds none of them.
    """
    poetry = {f"POETRY_CERTIFICATES_{name}_CERT": _OF_REQUESTS for name in names}
    poetry |= {name: _OF_REQUESTS for name in environ if _OF_POETRY.fullmatch(name)}
    given = {name: () for name in _IF_SET if environ.get(name)}
    alone = dict.fromkeys(ADDED_TRUST, ())
    others = {**TRUST, **poetry, **given, **alone}
    return {
        variable: next(filter(None, (_paths(environ, name) for name in (variable, *instead))), ())
        for variable, instead in others.items()
    }


def _paths(environ: Mapping[str, str], variable: str) -> tuple[str, ...]:
    """Return the paths that a variable names."""
    value = environ.get(variable, "")
    if value.lower() in _SWITCHES and _OF_POETRY.fullmatch(variable):
        return ()
    more = environ.get("SSL_CERT_DIR", "").split(":") if variable == "SSL_CERT_FILE" else ()
    return tuple(filter(None, (value, *more)))


def is_for(entry: str, hosts: Iterable[str]) -> bool:
    """Tell whether a tool may take an entry of NO_PROXY to be about one of `hosts`."""
    name = entry.lower().removeprefix("*").lstrip(".")
    if name.startswith("["):
        name = name[1:].partition("]")[0]
    elif name.count(":") == 1:
        name = name.partition(":")[0]
    # An address block may hold a host that only a resolver knows.
    return not name or "/" in entry or any(f".{host}".endswith(f".{name}") for host in hosts)
