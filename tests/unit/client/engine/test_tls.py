"""The TLS context: what the keys do, and which of them is named when something is wrong."""

from __future__ import annotations

import asyncio
import pathlib
import ssl
from collections.abc import Callable
from typing import Any

import pytest

from ottla.client.configuration.build import configure_admin
from ottla.client.engine.engine import Engine
from ottla.client.engine.failures import tls_failure
from ottla.client.engine.tls import tls_context
from ottla.client.errors import KafkaError, KafkaException
from ottla.ports.net import Address

certificates = pytest.importorskip("ottla.testing.certificates")


def context(**settings: Any) -> ssl.SSLContext:
    keys = {name.replace("_", "."): value for name, value in settings.items()}
    return tls_context(configure_admin(({"security.protocol": "ssl", **keys},), {}))


def test_by_default_certificates_and_names_are_checked() -> None:
    made = context()
    assert made.verify_mode == ssl.CERT_REQUIRED
    assert made.check_hostname
    assert made.minimum_version >= ssl.TLSVersion.TLSv1_2
    assert not context(ssl_endpoint_identification_algorithm="none").check_hostname
    assert context(enable_ssl_certificate_verification=False).verify_mode == ssl.CERT_NONE


def test_only_the_named_authority_is_trusted() -> None:
    authority = certificates.Authority("Ours")
    [trusted] = context(ssl_ca_pem=authority.certificate_pem).get_ca_certs()
    assert "Ours" in str(trusted["subject"])


def test_ciphers_and_curves() -> None:
    names = {each["name"] for each in context(ssl_cipher_suites="ECDHE+AESGCM").get_ciphers()}
    assert "ECDHE-RSA-AES128-GCM-SHA256" in names
    assert "AES256-SHA" not in names
    context(ssl_curves_list="prime256v1")


@pytest.fixture
def files(tmp_path: pathlib.Path) -> Callable[[str, str], str]:
    def write(name: str, text: str) -> str:
        (tmp_path / name).write_text(text)
        return str(tmp_path / name)

    return write


def refusal(**settings: Any) -> str:
    with pytest.raises(KafkaException) as raised:
        context(**settings)
    error = raised.value.args[0]
    assert error == KafkaError._INVALID_ARG
    return str(error.str())


def test_what_cannot_be_used_is_named(files: Callable[[str, str], str]) -> None:
    client = certificates.Authority().issue("client")
    pem, nonsense = files("c.pem", client.certificate_pem), files("n.pem", "nonsense")
    locked = files("locked.key", client.key_pem("opens"))
    assert refusal(ssl_ca_location="/missing").startswith("ssl.ca.location failed: No such file")
    assert refusal(ssl_ca_location=nonsense).startswith("ssl.ca.location failed")
    assert refusal(ssl_ca_pem="nonsense").startswith("ssl.ca.pem failed")
    assert refusal(ssl_crl_location=nonsense).startswith("ssl.crl.location failed")
    assert refusal(ssl_certificate_location=pem).startswith("ssl.certificate.location failed")
    assert "ssl.certificate.location failed" in refusal(
        ssl_certificate_location=pem, ssl_key_location=locked
    )
    assert "ssl.certificate.pem failed" in refusal(
        ssl_certificate_pem=client.certificate_pem, ssl_key_pem="nonsense"
    )
    assert "ssl.keystore.location failed" in refusal(
        ssl_keystore_location=nonsense, ssl_keystore_password="opens"
    )
    assert "one curve" in refusal(ssl_curves_list="prime256v1:secp384r1")
    assert "ssl.sigalgs.list failed" in refusal(ssl_sigalgs_list="ECDSA+SHA256")
    assert "ssl.cipher.suites failed" in refusal(ssl_cipher_suites="NONE")


def test_keys_from_text_and_key_stores(tmp_path: pathlib.Path) -> None:
    client = certificates.Authority().issue("client")
    store = tmp_path / "client.p12"
    store.write_bytes(client.key_store("opens"))
    context(ssl_certificate_pem=client.certificate_pem, ssl_key_pem=client.key_pem())
    context(
        ssl_certificate_pem=client.certificate_pem,
        ssl_key_pem=client.key_pem("opens"),
        ssl_key_password="opens",
    )
    context(ssl_keystore_location=str(store), ssl_keystore_password="opens")
    assert "ssl.keystore.location failed" in refusal(
        ssl_keystore_location=str(store), ssl_keystore_password="wrong"
    )


def test_an_engine_is_not_made_with_files_that_cannot_be_used() -> None:
    async def make() -> None:
        conf = {"security.protocol": "ssl", "ssl.ca.location": "/missing"}
        Engine(configure_admin((conf,), {}), "admin")

    with pytest.raises(KafkaException, match=r"ssl\.ca\.location"):
        asyncio.run(make())


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (TimeoutError(), "did not answer in time"),
        (ConnectionResetError(104, "Connection reset by peer"), "hung up"),
        (ssl.SSLError(1, "[SSL: WRONG_VERSION_NUMBER] wrong version number"), "handshake"),
        (ValueError("server_hostname cannot be an empty string"), "empty string"),
    ],
)
def test_handshakes_that_fail_are_explained(error: Exception, text: str) -> None:
    failure = tls_failure(Address("kafka", 9093), error)
    assert failure == KafkaError._SSL
    assert failure.str().startswith("TLS handshake with kafka:9093 failed: ")
    assert text in failure.str()
