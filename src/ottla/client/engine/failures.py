"""Why a broker can't be reached, in words that a person can act on."""

from __future__ import annotations

import errno
import os
from typing import Any

from ottla.client.errors import KafkaError
from ottla.ports.net import Address

# How much of what a broker says is shown.
_MOST_SAID = 500
_HINTS = {
    errno.ECONNREFUSED: "nothing listens there: is the broker running, and is the port right?",
    errno.EHOSTUNREACH: "there is no way to this host",
    errno.ENETUNREACH: "there is no way to this network",
    errno.ETIMEDOUT: "the host does not answer: is the address right, does a firewall drop it?",
}


def printable(text: str | None) -> str:
    """What a broker says, fit for a log: on one line, and not too long."""
    shown = "".join(each if each.isprintable() else "?" for each in (text or "")[:_MOST_SAID])
    return shown.strip()


def resolve_failure(address: Address, error: OSError) -> KafkaError:
    """The host's name stands for no address."""
    if isinstance(error, TimeoutError):
        reason = "the name servers did not answer in time"
    else:
        reason = error.strerror or str(error)
    return KafkaError(KafkaError._RESOLVE, f"Failed to resolve '{address}': {reason}")


def connect_failure(address: Address, target: str, error: OSError) -> KafkaError:
    """No connection came about."""
    number = errno.ETIMEDOUT if isinstance(error, TimeoutError) else error.errno
    # asyncio puts sentences of its own into strerror; the number says it shorter.
    reason = os.strerror(number) if number else str(error)
    hint = _HINTS.get(number or 0)
    text = f"Connect to {target} failed: {reason}"
    return KafkaError(KafkaError._TRANSPORT, f"{text} ({hint})" if hint else text)


def tls_failure(address: Address, error: Exception) -> KafkaError:
    """The TLS handshake failed. (Without importing ssl: only who uses TLS pays for it.)"""
    verify_message: Any = getattr(error, "verify_message", None)
    library_reason: Any = getattr(error, "reason", None)
    if verify_message:
        hint = _CERTIFICATE_HINTS.get(getattr(error, "verify_code", 0), "")
        reason = f"the broker's certificate was refused: {verify_message}{hint}"
    elif isinstance(error, TimeoutError):
        reason = "the broker did not answer in time: does its listener speak TLS?"
    elif library_reason in _NOT_TLS:
        reason = f"{library_reason}: the listener does not seem to speak TLS (security.protocol)"
    elif isinstance(error, ConnectionError):
        reason = (
            f"{error.strerror or error}: the broker hung up; its listener may not speak TLS, or "
            "it wants a client certificate (ssl.certificate.location)"
        )
    else:
        reason = str(library_reason or error)
    return KafkaError(KafkaError._SSL, f"TLS handshake with {address} failed: {reason}")


_NOT_TLS = frozenset({"WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE", "HTTP_REQUEST"})
# OpenSSL's X509_V_ERR numbers.
_CERTIFICATE_HINTS = {
    10: " (is this machine's clock right?)",
    18: " (set ssl.ca.location to the certificate of the CA that signed it)",
    19: " (set ssl.ca.location to the certificate of the CA that signed it)",
    20: " (set ssl.ca.location to the certificate of the CA that signed it)",
    62: " (ssl.endpoint.identification.algorithm=none would accept another name)",
    64: " (ssl.endpoint.identification.algorithm=none would accept another address)",
}


def lost_failure(
    name: str, error: Exception | None, after_ms: float, *, is_at_first: bool
) -> KafkaError:
    """A connection that was open is not any more; ``is_at_first``: since the first request."""
    if error is None:
        reason = "closed by the broker"
        if is_at_first:
            reason += " at the first request: it may want another security.protocol"
    elif (alert := str(getattr(error, "reason", None) or "")) and "ALERT" in alert:
        # In TLS 1.3 the broker judges the client's certificate only after the handshake.
        hint = (
            " (it may want another client certificate: ssl.certificate.location)"
            if "CERTIFICATE" in alert or "UNKNOWN_CA" in alert
            else ""
        )
        text = f"{name}: Disconnected: the broker sent the TLS alert {alert}{hint}"
        return KafkaError(KafkaError._SSL, f"{text} (after {after_ms:.0f}ms)")
    else:
        reason = str(error) or type(error).__name__
    text = f"{name}: Disconnected: {reason} (after {after_ms:.0f}ms)"
    return KafkaError(KafkaError._TRANSPORT, text)


def handshake_failure(name: str, error: KafkaError, security_protocol: str) -> KafkaError:
    """The connection ended while the broker was asked for its versions."""
    if error.code() != KafkaError._TRANSPORT:
        return error
    return KafkaError(
        error.code(),
        f"{name}: the connection ended before the broker said what it can do: its listener may "
        f"want another security.protocol than {security_protocol} ({error.str()})",
    )
