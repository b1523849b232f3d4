"""The jobs of a worker that ask an index about one credential, over the connections of a relay.

    index-check    whether the index accepts it (tokenward_protocol/index_check.py)
    index-revoke   revoke it for its holder (tokenward_protocol/index_revocation.py)

Requests go to the host of the credential alone. What is trusted and the proxy come from the agent, as
those of a run do; what the requester's environment names besides counts if the login of the credential
named the same (accepted.py), else no request is sent. The answer is a sentence or two; what an index sends back of the credential is
not in it.
"""

from __future__ import annotations

import base64

from tokenward_protocol import VERSION
from tokenward_protocol.index_check import check
from tokenward_protocol.index_endpoint import endpoint_of, host
from tokenward_protocol.index_reply import MOST_BYTES, IndexReply, WebError, require_sendable
from tokenward_protocol.index_revocation import RevocationUnsupported, revoke
from tokenward_protocol.url_parts import host_and_port
from tokenward_relay.accepted import read_parts, require_accepted
from tokenward_relay.grants import Grant
from tokenward_relay.proxies import Proxies, read_proxy
from tokenward_relay.refusal import Refusal
from tokenward_relay.upstream import FAILURES, Upstream, reason_of, trust

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    Header = dict[str, Any]


def work(job: str, header: Header, secret: bytes) -> Header:
    """Ask the index of `service`; return what is to be told. Raises WebError.

    `secret` begins with the `named` bytes of what the requester's environment names.
    """
    named, secret = secret[: header["named"]], secret[header["named"] :]
    service, username = str(header["service"]), str(header["username"])
    if "://" not in service:
        raise WebError(f"{service} is not the URL of an index, so it cannot be asked.")
    try:
        text = secret.decode()
    except UnicodeDecodeError:
        raise WebError(f"The secret for {host(service)} is not text.") from None
    web = _RelayWeb(header, named)
    endpoint = endpoint_of(service, str(header["kind"]), text)
    if job == "index-check":
        found: Header = check(web, endpoint, username, text)._asdict()
    else:
        try:
            found = {"revoked": True, "message": revoke(web, endpoint, text)}
        except RevocationUnsupported as why:
            found = {"revoked": False, "message": str(why)}
    coded = base64.b64encode(f"{username}:{text}".encode()).decode()
    if text and any(needle in str(said) for needle in (text, coded) for said in found.values()):
        raise WebError(f"{host(service)} sent the credential back.")
    return found


class _RelayWeb:
    """Sends requests as a relay does, each on a connection of its own.

    `named` are a proxy and certificates as in `read_parts`. Raises WebError unless the credential
    accepts them.
    """

    def __init__(self, header: Header, named: bytes) -> None:
        self._ca, self._proxy, self._proxied = header["ca"], header["proxy"], header["proxied"]
        grant, _ = _place_of(header["service"])
        try:
            _, self._https, _, self._certificates = read_parts(named)
            require_accepted(
                (grant,), (header["accepted"],), self._certificates, self._proxied, self._https
            )
        except Refusal as why:
            raise WebError(f"{why.text[:1].upper()}{why.text[1:]}.", why.hint) from None
        except ValueError:
            raise WebError("The request names what is no certificate or no proxy.") from None

    def ask(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str] | None = None,
        data: bytes | None = None,
        /,
    ) -> IndexReply:
        """Send a request and return the answer, whatever its status. Raises WebError."""
        fields = {"User-Agent": f"tokenward/{VERSION}", "Connection": "close", **(headers or {})}
        where = host(url)
        require_sendable(where, fields)
        grant, target = _place_of(url)
        sent = [(b"Host", grant.authority)]
        sent += [(name.encode(), value.encode()) for name, value in fields.items()]
        if data is not None:
            sent.append((b"Content-Length", b"%d" % len(data)))
        body = b""
        content = None if data is None else iter((data,))
        try:
            proxies = Proxies(
                read_proxy(self._proxy.encode()),
                others=dict.fromkeys(self._proxied, read_proxy(self._https)),
            )
            upstream = Upstream(trust(self._ca, self._certificates), proxies)
            with upstream.send(grant, method.encode(), target, sent, content) as response:
                for piece in response.iter_stream():
                    body += piece
                    if len(body) >= MOST_BYTES:
                        break
        except FAILURES as error:
            raise WebError(f"{where} could not be asked: {reason_of(error)}.") from None
        except OSError as error:
            raise WebError(
                f"{self._ca}, which `ca` names, cannot be read: {error.strerror}."
            ) from None
        return IndexReply(where, response.status, body[:MOST_BYTES])


def _place_of(url: str) -> tuple[Grant, bytes]:
    scheme, _, rest = url.partition("://")
    authority, _, path = rest.partition("/")
    name, port = host_and_port(authority)
    usual = 443 if scheme == "https" else 80
    return Grant(authority, scheme, name.strip("[]"), int(port or usual)), f"/{path}".encode()
