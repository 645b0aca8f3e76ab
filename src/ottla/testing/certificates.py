"""Certificates for tests: an authority of one's own and what it signs, made in milliseconds.

Needs the package ``cryptography`` (an extra of ours: ``pip install 'ottla[pkcs12]'``).
"""

from __future__ import annotations

import datetime
import ipaddress
import pathlib
from collections.abc import Iterable
from typing import NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    KeySerializationEncryption,
    NoEncryption,
    PrivateFormat,
    pkcs12,
)

_DAY = datetime.timedelta(days=1)


class Identity(NamedTuple):
    """A certificate with its private key."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey

    @property
    def certificate_pem(self) -> str:
        """The certificate as text."""
        return self.certificate.public_bytes(Encoding.PEM).decode()

    def key_pem(self, password: str | None = None) -> str:
        """The private key as text, encrypted if there is a password."""
        encryption: KeySerializationEncryption = NoEncryption()
        if password is not None:
            encryption = BestAvailableEncryption(password.encode())
        return self.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption).decode()

    def key_store(self, password: str) -> bytes:
        """Certificate and key as PKCS#12."""
        encryption = BestAvailableEncryption(password.encode())
        return pkcs12.serialize_key_and_certificates(
            b"identity", self.key, self.certificate, None, encryption
        )

    def write(self, directory: pathlib.Path, name: str) -> tuple[pathlib.Path, pathlib.Path]:
        """Write ``name.pem`` and ``name.key``; returns their paths."""
        certificate, key = directory / f"{name}.pem", directory / f"{name}.key"
        certificate.write_text(self.certificate_pem)
        key.write_text(self.key_pem())
        return certificate, key


class Authority:
    """A certificate authority that nobody trusts who isn't told to."""

    def __init__(self, name: str = "Test Authority") -> None:
        self.identity = _sign(name, None, is_authority=True, hosts=())

    @property
    def certificate_pem(self) -> str:
        """What who is to trust it needs."""
        return self.identity.certificate_pem

    def issue(self, name: str, hosts: Iterable[str] = (), *, is_expired: bool = False) -> Identity:
        """A certificate for hosts (names or addresses), or for a client."""
        return _sign(name, self.identity, is_authority=False, hosts=hosts, is_expired=is_expired)

    def revocations(self, *revoked: Identity) -> str:
        """A list of revoked certificates, as text."""
        now = datetime.datetime.now(datetime.UTC)
        builder = (
            x509.CertificateRevocationListBuilder()
            .issuer_name(self.identity.certificate.subject)
            .last_update(now - _DAY)
            .next_update(now + _DAY)
        )
        for each in revoked:
            builder = builder.add_revoked_certificate(
                x509.RevokedCertificateBuilder()
                .serial_number(each.certificate.serial_number)
                .revocation_date(now - _DAY)
                .build()
            )
        signed = builder.sign(self.identity.key, hashes.SHA256())
        return signed.public_bytes(Encoding.PEM).decode()


def _sign(
    name: str,
    issuer: Identity | None,
    *,
    is_authority: bool,
    hosts: Iterable[str],
    is_expired: bool = False,
) -> Identity:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    signer = issuer.key if issuer is not None else key
    end = datetime.datetime.now(datetime.UTC) + (-_DAY if is_expired else _DAY)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer.certificate.subject if issuer is not None else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(end - 3 * _DAY)
        .not_valid_after(end)
        .add_extension(x509.BasicConstraints(is_authority, None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()),
            critical=False,
        )
    )
    names = [_general_name(host) for host in hosts]
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    return Identity(builder.sign(signer, hashes.SHA256()), key)


def _general_name(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)
