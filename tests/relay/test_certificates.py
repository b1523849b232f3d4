"""The certificates of a run: real TLS stacks accept them for its hosts, and for nothing else."""

from __future__ import annotations

import socket
import ssl
import threading
import time
from ipaddress import ip_address
from typing import TYPE_CHECKING

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from tokenward_agent.relay.certificates import HOURS, make_certificates
from tokenward_relay.leaf import Leaf

if TYPE_CHECKING:
    from collections.abc import Callable

NOW = int(time.time())


def connect(pem: bytes, leaf: Leaf, name: str) -> None:
    """Have a client that trusts `pem` alone speak TLS with a relay's side. Raises SSLError."""
    ours, theirs = socket.socketpair()

    def serve() -> None:
        try:
            leaf.accept(theirs).close()
        except OSError:
            theirs.close()

    thread = threading.Thread(target=serve)
    thread.start()
    context = ssl.create_default_context(cadata=pem.decode())
    try:
        with context.wrap_socket(ours, server_hostname=name):
            pass
    finally:
        thread.join()


@pytest.mark.parametrize(
    "host", ["index.example", "index", "xn--bcher-kva.example", "127.0.0.1", "::1"]
)
def test_a_tool_accepts_the_certificate_for_its_host(host: str) -> None:
    authority, leaves = make_certificates([host, "other.example"], NOW)
    connect(authority, Leaf(host, leaves[host]), host)


def test_a_tool_that_names_another_host_is_turned_away() -> None:
    authority, leaves = make_certificates(["index.example", "other.example"], NOW)
    leaf = Leaf("index.example", leaves["index.example"])
    with pytest.raises(ssl.SSLError, match="UNRECOGNIZED_NAME"):
        connect(authority, leaf, "other.example")


@pytest.mark.parametrize("granted", ["index.example", "127.0.0.1"])
@pytest.mark.parametrize("host", ["evil.example", "index.example.evil.example", "192.0.2.7", "::1"])
def test_even_the_authoritys_key_is_good_for_no_other_host(
    monkeypatch: pytest.MonkeyPatch, host: str, granted: str
) -> None:
    """The key is dropped; here it is kept, to sign for a host that the run does not have."""
    keys: list[ec.EllipticCurvePrivateKey] = []
    generate: Callable[..., ec.EllipticCurvePrivateKey] = ec.generate_private_key

    def keep(*arguments: object) -> ec.EllipticCurvePrivateKey:
        keys.append(generate(*arguments))
        return keys[-1]

    monkeypatch.setattr(ec, "generate_private_key", keep)
    authority, leaves = make_certificates([granted], NOW)
    signing, own = keys[0], keys[1]
    model = x509.load_pem_x509_certificate(leaves[granted])
    name = x509.DNSName(host) if host[0].isalpha() else x509.IPAddress(ip_address(host))
    forged = (
        x509.CertificateBuilder(
            model.issuer, x509.Name([]), own.public_key(), x509.random_serial_number()
        )
        .not_valid_before(model.not_valid_before_utc)
        .not_valid_after(model.not_valid_after_utc)
        .add_extension(x509.SubjectAlternativeName([name]), critical=True)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(signing.public_key()), critical=False
        )
        .sign(signing, model.signature_hash_algorithm)  # type: ignore[arg-type]  # SHA-256 is one
    )
    _, _, key = leaves[granted].partition(b"-----BEGIN PRIVATE KEY-----")
    pem = forged.public_bytes(Encoding.PEM) + b"-----BEGIN PRIVATE KEY-----" + key
    with pytest.raises(ssl.SSLCertVerificationError, match="subtree violation"):
        connect(authority, Leaf(host, pem), host)


def test_certificates_end_with_the_day_and_sign_nothing_further() -> None:
    authority, leaves = make_certificates(["index.example"], NOW)
    for pem in (authority, leaves["index.example"]):
        certificate = x509.load_pem_x509_certificate(pem)
        assert int(certificate.not_valid_after_utc.timestamp()) == NOW + HOURS * 3600
    constraints = x509.load_pem_x509_certificate(authority).extensions
    basic = constraints.get_extension_for_class(x509.BasicConstraints)
    assert (basic.critical, basic.value.path_length) == (True, 0)
    assert constraints.get_extension_for_class(x509.NameConstraints).critical
    assert b"PRIVATE KEY" not in authority


def test_two_runs_share_no_key() -> None:
    one, other = (make_certificates(["index.example"], NOW) for _ in range(2))
    assert one[0] != other[0]
    assert (
        one[1]["index.example"].partition(b"PRIVATE")[2]
        != other[1]["index.example"].partition(b"PRIVATE")[2]
    )
