"""Whether a relay reaches the indexes as the command's own environment would have it reach them.

What a relay trusts, and the proxy that it goes by, are the user's to say in `config.toml`: a request
for a run, which any program can make, does not choose who gets the credential. So an environment
that names other certificates or another proxy for an index is an error, before the command starts
and fails in a way that no tool explains. Certificates are compared one by one: a file of one's own
with the system's certificates is the same.

Other hosts are reached by the environment's own proxies. A proxy that the relay cannot speak to is
an error too: a connection is never made directly instead.
"""

from __future__ import annotations

import os

from tokenward.errors import CommandError
from tokenward.exec.certificates import in_text, read_certificates, without_missing_folders
from tokenward.exec.relay_environment import TOWARDS_INDEXES, former_trust, is_for
from tokenward_protocol.proxy_url import parse_proxy_url

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tokenward_protocol.proxy_url import ProxyUrl


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


def require_same_reach(
    environ: Mapping[str, str],
    hosts: Sequence[str],
    names: Sequence[str],
    ca: str | None,
    proxy: str | None,
) -> None:
    """Refuse an environment that names another proxy or other certificates for `hosts`.

    `hosts` are those that are reached by https, `names` the names of indexes in variables; `ca` and
    `proxy` are the user's settings. Raises CommandError.
    """
    variable, value = own_proxy(environ, "https")
    without = environ.get("no_proxy") or environ.get("NO_PROXY") or ""
    for host in hosts if value and _parse(value) != _parse(proxy or "") else ():
        if not any(_is_without(entry.strip(), host) for entry in without.split(",")):
            raise CommandError(
                f"{variable} leads to {host} by another proxy than a relay would use.",
                "`proxy` in config.toml names the relay's, NO_PROXY the hosts that need none",
            )
    if hosts:
        _require_same_trust(environ, names, ca)


def _require_same_trust(environ: Mapping[str, str], names: Sequence[str], ca: str | None) -> None:
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
        if not in_text(read_certificates(paths, variable)) <= known:
            raise CommandError(
                f"{_named_by(environ, variable, paths)} names certificates that a relay does not"
                " trust.",
                "`ca` in config.toml can name a file with them"
                if os.path.isdir(paths[0])
                else f'`ca = "{paths[0]}"` in config.toml makes it trust them',
            )


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
