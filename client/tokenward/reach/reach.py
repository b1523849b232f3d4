"""Whether a relay reaches the indexes as the command's own environment would have it reach them.

What a relay trusts, and the proxy that it goes by, are the user's to say, in `config.toml` or by the
environment of a login: a request for a run, which any program can make, does not choose who gets the
credential. So an environment that names other certificates or another proxy for an index is an error,
before the command starts and fails in a way that no tool explains. The relay itself compares them
again. Certificates are compared one by one: a file of one's own with the system's is the same.

Other hosts are reached by the environment's own proxies. A proxy that the relay cannot speak to is
an error too: a connection is never made directly instead.
"""

from __future__ import annotations

import base64
import os
from typing import NamedTuple

from tokenward.errors import CommandError
from tokenward.reach.certificates import in_text, read_certificates, without_missing_folders
from tokenward.reach.variables import TOWARDS_INDEXES, former_trust, is_for
from tokenward_protocol.proxy_url import ProxyUrl, parse_proxy_url
from tokenward_protocol.reach_marks import certificate_mark, proxy_mark

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence


def own_proxy(environ: Mapping[str, str], scheme: str) -> tuple[str, str]:
    """Return the variable of the proxy that CMD would use for a scheme, and its value; "" for none.

    Raises CommandError for a proxy that the relay cannot use.
    """
    names = (f"{scheme}_proxy", f"{scheme.upper()}_PROXY", "all_proxy", "ALL_PROXY")
    name = next((name for name in names if environ.get(name)), "")
    value = environ[name] if name else ""
    if value and _parse(value) is None:
        raise CommandError(
            f"{name} names neither an http proxy nor a SOCKS5 one, and a relay goes by no other kind.",
            "`auth exec --env` starts the command without a relay",
        )
    return name, value


class Named(NamedTuple):
    """Certificates (DER) that a variable names and a relay does not trust by itself; and where they are."""

    variable: str
    paths: tuple[str, ...]
    certificates: frozenset[bytes]


class Reach(NamedTuple):
    """How an environment reaches https indexes otherwise than a relay does by itself.

    `hosts` are those that it reaches by another proxy, `variable` names it.
    """

    named: tuple[Named, ...] = ()
    hosts: tuple[str, ...] = ()
    variable: str = ""
    proxy: ProxyUrl | None = None

    def certificates(self) -> list[bytes]:
        """Return all certificates, each once."""
        return sorted(frozenset().union(*(each.certificates for each in self.named)))

    def marks(self) -> list[bytes]:
        """Return the marks of all that a relay would have to accept."""
        proxies = [proxy_mark(self.proxy)] if self.hosts and self.proxy is not None else []
        return [*map(certificate_mark, self.certificates()), *proxies]

    def text(self, https: str, http: str = "") -> bytes:
        """Return what a relay reads of an environment, each after a line end: two proxies and the certificates."""
        certificates = [base64.b64encode(each).decode() for each in self.certificates()]
        return "\n".join(["", https, http, *certificates]).encode()

    def require_accepted(self, host: str, accepted: Collection[bytes]) -> None:
        """Raise CommandError unless all that is for a host is among the marks that are `accepted`."""
        if host in self.hosts and (self.proxy is None or proxy_mark(self.proxy) not in accepted):
            raise CommandError(
                f"{self.variable} leads to {host} by another proxy than a relay would use.",
                "`proxy` in config.toml names the relay's, NO_PROXY the hosts that need none;"
                f" {_BY_LOGIN}",
            )
        for variable, paths, certificates in self.named:
            if all(certificate_mark(each) in accepted for each in certificates):
                continue
            raise CommandError(
                f"{variable} names certificates that a relay does not trust.",
                "`ca` in config.toml can name a file with them"
                if os.path.isdir(paths[0])
                else f'`ca = "{paths[0]}"` in config.toml makes it trust them; {_BY_LOGIN}',
            )


_BY_LOGIN = "`auth login` in this environment accepts it for the one credential"


def read_reach(
    environ: Mapping[str, str],
    hosts: Sequence[str],
    names: Sequence[str],
    ca: str | None,
    proxy: str | None,
) -> Reach:
    """Return how an environment reaches `hosts` otherwise than a relay. Raises CommandError.

    `hosts` are those that are reached by https, `names` the names of indexes in variables; `ca` and
    `proxy` are the user's settings.
    """
    variable, value = own_proxy(environ, "https")
    without = environ.get("no_proxy") or environ.get("NO_PROXY") or ""
    others = [
        host
        for host in (hosts if value and _parse(value) != _parse(proxy or "") else ())
        if not any(_is_without(entry.strip(), host) for entry in without.split(","))
    ]
    named = _other_certificates(environ, names, ca) if hosts else ()
    return Reach(tuple(named), tuple(others), variable, _parse(value) if value else None)


def host_of(url: str) -> str:
    """Return the host of a URL, an IPv6 address without brackets."""
    authority = url.partition("://")[2].partition("/")[0].lower()
    if authority.startswith("["):
        return authority[1:].partition("]")[0]
    return authority.partition(":")[0]


def _other_certificates(
    environ: Mapping[str, str], names: Sequence[str], ca: str | None
) -> Iterator[Named]:
    environ = without_missing_folders(environ)
    poetry = [f"POETRY_CERTIFICATES_{name}_CERT" for name in names]
    named = former_trust(environ, names)
    known: set[bytes] | None = None
    checked: set[tuple[str, ...]] = set()
    for variable in (*TOWARDS_INDEXES, *poetry):
        paths = named[variable]
        if not paths or paths in checked:
            continue
        checked.add(paths)
        if known is None:
            known = in_text(
                read_certificates(()) + (read_certificates([ca], "`ca`") if ca else b"")
            )
        others = in_text(read_certificates(paths, variable)) - known
        if others:
            der = frozenset(map(base64.b64decode, others))
            yield Named(_named_by(environ, variable, paths), paths, der)


def _named_by(environ: Mapping[str, str], variable: str, paths: Sequence[str]) -> str:
    """Return the variable that has the paths: `variable`, or the one that is read in its place."""
    if environ.get(variable) == paths[0]:
        return variable
    named = (name for name in (*TOWARDS_INDEXES, "SSL_CERT_DIR") if environ.get(name))
    return next((name for name in named if environ[name].split(":")[0] == paths[0]), variable)


def _parse(url: str) -> ProxyUrl | None:
    """Return what a URL says of a proxy; None if a relay cannot use it."""
    try:
        return parse_proxy_url(url)
    except ValueError:
        return None


def _is_without(entry: str, host: str) -> bool:
    """Tell whether an entry of NO_PROXY is about a host; a block of addresses is so by address."""
    if "/" not in entry:
        return bool(entry) and is_for(entry, [host])
    import ipaddress

    try:
        return ipaddress.ip_address(host) in ipaddress.ip_network(entry, strict=False)
    except ValueError:
        return False
