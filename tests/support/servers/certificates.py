"""An authority for certificates that lives for one run, and the certificate of its one server.

Both have what RFC 5280 wants of them, since Python verifies strictly from 3.13 on.
"""

from __future__ import annotations

import ipaddress
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

if TYPE_CHECKING:
    from pathlib import Path

_SIGNS_CERTIFICATES = x509.KeyUsage(
    key_cert_sign=True,
    crl_sign=True,
    digital_signature=False,
    content_commitment=False,
    key_encipherment=False,
    data_encipherment=False,
    key_agreement=False,
    encipher_only=False,
    decipher_only=False,
)


def write_certificates(folder: Path, names: list[str]) -> Path:
    """Write `server.pem`, key and certificate for `names`; return the authority's certificate.

    An address may be among the names.
    """
    root_key, server_key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    root_name = _name("an authority for one run")
    identifier = x509.SubjectKeyIdentifier.from_public_key(root_key.public_key())
    root = (
        _builder(root_name, root_name, root_key)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_SIGNS_CERTIFICATES, critical=True)
        .add_extension(identifier, critical=False)
        .sign(root_key, hashes.SHA256())
    )
    signed_by = x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(identifier)
    alternatives = x509.SubjectAlternativeName([*map(_alternative, names)])
    server = (
        _builder(_name(names[0]), root_name, server_key)
        .add_extension(alternatives, critical=False)
        .add_extension(signed_by, critical=False)
        .sign(root_key, hashes.SHA256())
    )
    authority = folder / "authority.pem"
    authority.write_bytes(root.public_bytes(Encoding.PEM))
    key = server_key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    (folder / "server.pem").write_bytes(key + server.public_bytes(Encoding.PEM))
    return authority


def _alternative(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey
) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
    )
