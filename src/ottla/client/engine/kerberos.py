"""SASL GSSAPI (RFC 4752): Kerberos, by the package ``gssapi``, which is an extra."""

from __future__ import annotations

import gssapi

from ottla.client.configuration.objects import Configuration
from ottla.client.core.security.conversation import refused

# The only security layer that Kafka knows is none at all.
_NO_LAYER = 1


class KerberosConversation:
    """Authenticates with the user's ticket, or with the key table of the configuration.

    Args:
        configuration: service name, principal and key table.
        host: the broker's name, which its principal ends with.
    """

    def __init__(self, configuration: Configuration, host: str) -> None:
        service = f"{configuration.sasl_kerberos_service_name}@{host}"
        self._principal = configuration.sasl_kerberos_principal
        try:
            self._context = gssapi.SecurityContext(
                name=gssapi.Name(service, gssapi.NameType.hostbased_service),
                creds=_credentials(configuration),
                usage="initiate",
            )
        except gssapi.exceptions.GSSError as error:
            raise refused(f"SASL GSSAPI: {error}") from None
        self._has_agreed = False

    def start(self) -> bytes:
        return self._step(None)

    def answer(self, challenge: bytes) -> bytes | None:
        if self._has_agreed:
            return None
        if not self._context.complete:
            return self._step(challenge)
        # The broker offers security layers; taken is none, which also means no message size.
        try:
            offered = self._context.unwrap(challenge).message
            if len(offered) != 4 or not offered[0] & _NO_LAYER:
                raise refused("SASL GSSAPI: the broker insists on a security layer")
            reply = bytes((_NO_LAYER, 0, 0, 0)) + self._principal.encode()
            self._has_agreed = True
            wrapped: bytes = self._context.wrap(reply, False).message
        except gssapi.exceptions.GSSError as error:
            raise refused(f"SASL GSSAPI: {error}") from None
        return wrapped

    def _step(self, challenge: bytes | None) -> bytes:
        try:
            return self._context.step(challenge) or b""
        except gssapi.exceptions.GSSError as error:
            raise refused(f"SASL GSSAPI: {error}") from None


def _credentials(configuration: Configuration) -> gssapi.Credentials | None:
    if configuration.sasl_kerberos_keytab is None:
        return None
    return gssapi.Credentials(
        name=gssapi.Name(configuration.sasl_kerberos_principal, gssapi.NameType.kerberos_principal),
        usage="initiate",
        store={"client_keytab": configuration.sasl_kerberos_keytab},
    )
