"""What an environment may add to what a relay trusts: what the user named at each login.

Certificates and a proxy towards an index come with the request for a run or a check, which any
program can make. So each of them has to be among the marks that the credential was stored with, for every index by
https. Pure.
"""

from __future__ import annotations

import base64

from tokenward_protocol.reach_marks import certificate_mark, proxy_mark
from tokenward_relay.proxies import read_proxy
from tokenward_relay.refusal import Refusal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from tokenward_relay.grants import Grant


def require_accepted(
    grants: Sequence[Grant],
    accepted: Sequence[Collection[bytes]],
    certificates: Sequence[bytes],
    proxied: Collection[str],
    proxy: bytes,
) -> None:
    """Raise Refusal unless each https grant accepts what the requester's environment names.

    That is all `certificates` and, for the hosts `proxied`, the proxy. `accepted` has the marks of
    each grant's credential, `proxy` is a URL.
    """
    named = {certificate_mark(each) for each in certificates}
    through = read_proxy(proxy)
    for grant, marks in zip(grants, accepted, strict=True):
        if grant.scheme != "https":
            continue
        wanted = set(named)
        if grant.host in proxied:
            wanted.add(b"" if through is None else proxy_mark(through))
        if not wanted <= set(marks):
            raise Refusal(
                403,
                f"the credential for {grant.name} was stored where other certificates or another"
                " proxy were named",
                "`auth login` in this environment accepts these",
            )


def read_parts(secret: bytes) -> tuple[bytes, bytes, bytes, tuple[bytes, ...]]:
    """Return the capability of a run, b"" without one, the two proxies, https and http, and the certificates.

    Raises ValueError for what is not base64.
    """
    capability, https, http, *more = (*secret.split(b"\n"), b"", b"")
    return capability, https, http, tuple(base64.b64decode(each) for each in more if each)
