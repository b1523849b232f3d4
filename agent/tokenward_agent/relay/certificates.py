"""The certificates of one run: an authority for the hosts of its indexes, and one leaf a host.

The authority's key signs the leaves and is dropped before the run begins, so nothing can be signed
by it later; the relay gets the leaves alone. Critical name constraints (RFC 5280, 4.2.1.10) limit the
authority to the hosts, and to the names below them, which a constraint cannot leave out.
"""

from __future__ import annotations

import ipaddress
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Final

    GeneralName = x509.DNSName | x509.IPAddress

HOURS: Final = 24
"""How long the certificates are valid: no run has a relay for longer."""

_EARLIER: Final = timedelta(hours=1)
"""How long they have been valid: the clock of a virtual machine may lag behind."""


def validity(now: int) -> tuple[int, int]:
    """Return from when and until when certificates are valid that are made `now`."""
    return now - int(_EARLIER.total_seconds()), now + HOURS * 3600


def make_certificates(hosts: Sequence[str], now: int) -> tuple[bytes, dict[str, bytes]]:
    """Return an authority's certificate, and each host's certificate with its key, as PEM.

    `hosts` are names or addresses, in lower case; `now` is in seconds since 1970.
    """
    begin, end = (datetime.fromtimestamp(each, UTC) for each in validity(now))
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "tokenward, for one run")])
    names = {host: _general_name(host) for host in dict.fromkeys(hosts)}

    def builder(subject: x509.Name, public: ec.EllipticCurvePublicKey) -> x509.CertificateBuilder:
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(name)
            .public_key(public)
            .serial_number(x509.random_serial_number())
            .not_valid_before(begin)
            .not_valid_after(end)
        )

    authority = (
        builder(name, key.public_key())
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(signs_certificates=True), critical=True)
        .add_extension(_constraints([*names.values()]), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    identifier = x509.AuthorityKeyIdentifier.from_issuer_public_key(key.public_key())
    leaves = {}
    for host, general_name in names.items():
        own = ec.generate_private_key(ec.SECP256R1())
        leaf = (
            builder(x509.Name([]), own.public_key())
            .add_extension(x509.SubjectAlternativeName([general_name]), critical=True)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
            .add_extension(_usage(signs_certificates=False), critical=True)
            .add_extension(identifier, critical=False)
            .sign(key, hashes.SHA256())
        )
        leaves[host] = _pem(leaf) + own.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    return _pem(authority), leaves


def _general_name(host: str) -> GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _constraints(names: Sequence[GeneralName]) -> x509.NameConstraints:
    """Return what limits an authority to these names.

    A constraint limits its own kind of name alone, so both kinds have one: the domain `invalid` has
    no owner (RFC 6761), and no address is permitted by excluding all.
    """
    domains = [name for name in names if isinstance(name, x509.DNSName)]
    addresses = [
        x509.IPAddress(ipaddress.ip_network(name.value))
        for name in names
        if isinstance(name, x509.IPAddress)
    ]
    every = [x509.IPAddress(ipaddress.ip_network(each)) for each in ("0.0.0.0/0", "::/0")]
    return x509.NameConstraints(
        [*(domains or [x509.DNSName("invalid")]), *addresses], None if addresses else every
    )


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        encipher_only=False,
        decipher_only=False,
    )


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)
