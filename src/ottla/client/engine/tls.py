"""The TLS context that the configuration asks for (the ``ssl.*`` keys)."""

from __future__ import annotations

import contextlib
import os
import ssl
import tempfile
from collections.abc import Iterator

from ottla.client.configuration.objects import Configuration
from ottla.client.errors import KafkaError, KafkaException


def tls_context(configuration: Configuration) -> ssl.SSLContext:
    """The context for the connections to brokers.

    Raises:
        KafkaException: ``_INVALID_ARG``, with the key whose file or value can't be used.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    verifies = configuration.enable_ssl_certificate_verification
    identifies = configuration.ssl_endpoint_identification_algorithm == "https"
    context.check_hostname = verifies and identifies
    context.verify_mode = ssl.CERT_REQUIRED if verifies else ssl.CERT_NONE
    _set_algorithms(context, configuration)
    _load_authorities(context, configuration)
    _load_own_certificate(context, configuration)
    return context


def https_context(configuration: Configuration) -> ssl.SSLContext:
    """The context for the token endpoint (``https.ca.*``).

    Raises:
        KafkaException: ``_INVALID_ARG``.
    """
    context = ssl.create_default_context()
    with _blaming("https.ca.location"):
        if configuration.https_ca_location:
            _load_location(context, configuration.https_ca_location)
    with _blaming("https.ca.pem"):
        if configuration.https_ca_pem:
            context.load_verify_locations(cadata=configuration.https_ca_pem)
    return context


def _set_algorithms(context: ssl.SSLContext, configuration: Configuration) -> None:
    if configuration.ssl_cipher_suites:
        with _blaming("ssl.cipher.suites"):
            context.set_ciphers(configuration.ssl_cipher_suites)
    if configuration.ssl_curves_list:
        with _blaming("ssl.curves.list"):
            if ":" in configuration.ssl_curves_list:
                raise ValueError("Python can set one curve only")
            context.set_ecdh_curve(configuration.ssl_curves_list)
    if configuration.ssl_sigalgs_list:
        with _blaming("ssl.sigalgs.list"):
            raise ValueError("Python has no way to set signature algorithms")


def _load_authorities(context: ssl.SSLContext, configuration: Configuration) -> None:
    if configuration.ssl_ca_pem:
        with _blaming("ssl.ca.pem"):
            context.load_verify_locations(cadata=configuration.ssl_ca_pem)
    elif configuration.ssl_ca_location and configuration.ssl_ca_location != "probe":
        with _blaming("ssl.ca.location"):
            _load_location(context, configuration.ssl_ca_location)
    else:
        context.load_default_certs()
    if configuration.ssl_crl_location:
        with _blaming("ssl.crl.location"):
            _load_location(context, configuration.ssl_crl_location)
            context.verify_flags |= ssl.VERIFY_CRL_CHECK_LEAF


def _load_location(context: ssl.SSLContext, location: str) -> None:
    if os.path.isdir(location):
        context.load_verify_locations(capath=location)
    else:
        context.load_verify_locations(cafile=location)


def _load_own_certificate(context: ssl.SSLContext, configuration: Configuration) -> None:
    """The client's certificate and key, from files, from text or from a key store."""
    if configuration.ssl_keystore_location:
        with _blaming("ssl.keystore.location"):
            _load_key_store(context, configuration)
        return
    certificate = configuration.ssl_certificate_location
    key = configuration.ssl_key_location
    certificate_text, key_text = configuration.ssl_certificate_pem, configuration.ssl_key_pem
    if not (certificate or certificate_text):
        return
    name = "ssl.certificate.location" if certificate else "ssl.certificate.pem"
    with _blaming(name), contextlib.ExitStack() as files:
        if certificate is None or certificate_text is not None:
            certificate = files.enter_context(_file_of(certificate_text or ""))
        if key_text is not None:
            key = files.enter_context(_file_of(key_text))
        password = configuration.ssl_key_password
        # Without one, OpenSSL would ask on the terminal.
        context.load_cert_chain(certificate, key, password if password is not None else "")


def _load_key_store(context: ssl.SSLContext, configuration: Configuration) -> None:
    """A PKCS#12 file, which Python's own ssl module can't read."""
    try:
        from cryptography.hazmat.primitives.serialization import (
            Encoding,
            NoEncryption,
            PrivateFormat,
        )
        from cryptography.hazmat.primitives.serialization.pkcs12 import load_pkcs12
    except ImportError:
        raise ValueError(
            "PKCS#12 key stores need the package cryptography (pip install 'ottla[pkcs12]'), or "
            "use ssl.certificate.location and ssl.key.location"
        ) from None
    location, password = configuration.ssl_keystore_location, configuration.ssl_keystore_password
    assert location is not None
    with open(location, "rb") as file:
        store = load_pkcs12(file.read(), (password or "").encode())
    if store.key is None or store.cert is None:
        raise ValueError("it holds no private key with a certificate")
    chain = [store.cert, *store.additional_certs]
    texts = [each.certificate.public_bytes(Encoding.PEM).decode() for each in chain]
    key = store.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    with _file_of("".join(texts)) as certificate_file, _file_of(key) as key_file:
        context.load_cert_chain(certificate_file, key_file, "")


@contextlib.contextmanager
def _file_of(text: str) -> Iterator[str]:
    """A file for OpenSSL to read the text from; in memory where the system can do that."""
    if hasattr(os, "memfd_create") and os.path.isdir("/proc/self/fd"):
        descriptor = os.memfd_create("ottla")
        try:
            os.write(descriptor, text.encode())
            yield f"/proc/self/fd/{descriptor}"
        finally:
            os.close(descriptor)
        return
    # Readable by this user only.
    with tempfile.NamedTemporaryFile("w", suffix=".pem") as file:
        file.write(text)
        file.flush()
        yield file.name


@contextlib.contextmanager
def _blaming(key: str) -> Iterator[None]:
    """Name the key in whatever goes wrong."""
    try:
        yield
    except (OSError, ValueError) as error:
        reason = getattr(error, "reason", None) or getattr(error, "strerror", None) or str(error)
        text = f"{key} failed: {reason}"
        raise KafkaException(KafkaError(KafkaError._INVALID_ARG, text)) from None
