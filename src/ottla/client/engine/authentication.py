"""Proving to a broker who the client is, on every new connection and again in time (KIP-368)."""

from __future__ import annotations

import base64
from collections.abc import Callable

from ottla.client.configuration.objects import Configuration
from ottla.client.core.security.conversation import Conversation, refused
from ottla.client.core.security.oauthbearer import OAuthBearerConversation
from ottla.client.core.security.plain import PlainConversation
from ottla.client.core.security.scram import HASHES, ScramConversation
from ottla.client.core.versions import BrokerVersions
from ottla.client.engine.connection import Connection
from ottla.client.engine.failures import printable
from ottla.client.engine.link import Link
from ottla.client.engine.requests import call, decode
from ottla.client.engine.runtime import Runtime
from ottla.client.engine.tokens import TokenSource
from ottla.client.errors import KafkaError, KafkaException, describe
from ottla.ports.net import Address
from ottla.wire.api.k17_sasl_handshake import SaslHandshakeRequest, SaslHandshakeResponse
from ottla.wire.api.k36_sasl_authenticate import (
    SaslAuthenticateRequest,
    SaslAuthenticateResponse,
)
from ottla.wire.errors import ErrorCode

_HANDSHAKE, _AUTHENTICATE = 17, 36
# From this version on tokens travel in SaslAuthenticate requests (KIP-152).
_FRAMED_FROM = 1
_NONCE_BYTES = 24
# More rounds than any mechanism has.
_MAX_ROUNDS = 16
# A session is renewed when between these parts of its life are over, at random, so that a
# cluster's clients do not all come at once.
_MIN_SESSION_MS = 100.0
_RENEW_FROM, _RENEW_UNTIL = 0.85, 0.95


class Authenticator:
    """Authenticates connections as the configuration says.

    Raises:
        KafkaException: ``_INVALID_ARG``: the mechanism is not available.
    """

    def __init__(self, runtime: Runtime, tokens: TokenSource) -> None:
        configuration = runtime.configuration
        self._runtime = runtime
        self._tokens = tokens
        self._username = configuration.sasl_username or ""
        self._password = configuration.sasl_password or ""
        self._mechanism = configuration.sasl_mechanism
        self._gssapi = _gssapi(configuration)

    def set_credentials(self, username: str, password: str) -> None:
        """Use these from the next authentication on."""
        self._username, self._password = username, password

    async def __call__(self, link: Link, connection: Connection, versions: BrokerVersions) -> None:
        """Authenticate a new connection, and see to it that it stays so.

        Raises:
            KafkaException: ``_AUTHENTICATION``, or the connection was lost.
        """
        lifetime_ms = await self._converse(link, connection, versions)
        self._renew_in_time(link, connection, versions, lifetime_ms)

    def _renew_in_time(
        self, link: Link, connection: Connection, versions: BrokerVersions, lifetime_ms: int
    ) -> None:
        if lifetime_ms <= 0:
            return
        runtime = self._runtime
        part = _RENEW_FROM + (_RENEW_UNTIL - _RENEW_FROM) * runtime.randomness()

        def renew() -> None:
            if connection.is_open:
                runtime.spawn(self._renew(link, connection, versions), "authenticate again")

        runtime.call_at(runtime.now_ms() + max(part * lifetime_ms, _MIN_SESSION_MS), renew)

    async def _renew(self, link: Link, connection: Connection, versions: BrokerVersions) -> None:
        """Authenticate an open connection again; meanwhile nothing else is sent on it."""
        connection.hold()
        try:
            lifetime_ms = await self._converse(link, connection, versions)
        except KafkaException as exception:
            connection.close(exception.args[0])
        else:
            self._runtime.log.debug("security", "REAUTH", f"{link.name}: authenticated again")
            self._renew_in_time(link, connection, versions, lifetime_ms)
        finally:
            connection.resume()

    async def _converse(self, link: Link, connection: Connection, versions: BrokerVersions) -> int:
        """The whole conversation; how long the session lasts in milliseconds, 0 for no limit."""
        timeout_ms = self._runtime.configuration.socket_timeout_ms
        conversation = await self._conversation(link)
        await self._agree(link, connection, versions, timeout_ms)
        version = versions.choose(_AUTHENTICATE)
        token = conversation.start()
        for _ in range(_MAX_ROUNDS):
            body = [SaslAuthenticateRequest(auth_bytes=token).encode(version)]
            reply = await call(connection.request_at_once, _AUTHENTICATE, version, body, timeout_ms)
            answer = decode(SaslAuthenticateResponse, reply, version, link.name)
            if answer.error_code != ErrorCode.NONE:
                reason = printable(answer.error_message) or describe(answer.error_code)
                raise refused(f"SASL authentication error: {reason}")
            following = conversation.answer(bytes(answer.auth_bytes))
            if following is None:
                return answer.session_lifetime_ms
            token = following
        raise refused("SASL authentication error: the broker asks on and on")

    async def _agree(
        self, link: Link, connection: Connection, versions: BrokerVersions, timeout_ms: float
    ) -> None:
        """Name the mechanism."""
        version = versions.choose(_HANDSHAKE, at_least=_FRAMED_FROM)
        body = [SaslHandshakeRequest(mechanism=self._mechanism).encode(version)]
        reply = await call(connection.request_at_once, _HANDSHAKE, version, body, timeout_ms)
        answer = decode(SaslHandshakeResponse, reply, version, link.name)
        if answer.error_code != ErrorCode.NONE:
            raise refused(
                f"SASL {self._mechanism} mechanism handshake failed: "
                f"{describe(answer.error_code)}: broker's supported mechanisms: "
                f"{printable(','.join(answer.mechanisms))}"
            )

    async def _conversation(self, link: Link) -> Conversation:
        mechanism = self._mechanism
        if mechanism == "PLAIN":
            return PlainConversation(self._username, self._password)
        if mechanism in HASHES:
            nonce = base64.b64encode(self._runtime.entropy.token(_NONCE_BYTES)).decode()
            return ScramConversation(mechanism, self._username, self._password, nonce)
        if mechanism == "OAUTHBEARER":
            return OAuthBearerConversation(await self._tokens.token())
        assert self._gssapi is not None
        assert link.address is not None
        return self._gssapi(link.address)


def _gssapi(configuration: Configuration) -> Callable[[Address], Conversation] | None:
    if configuration.sasl_mechanism != "GSSAPI":
        return None
    try:
        from ottla.client.engine.kerberos import KerberosConversation
    except ImportError:
        text = (
            "No provider for SASL mechanism GSSAPI: it needs the package gssapi "
            "(pip install 'ottla[gssapi]')"
        )
        raise KafkaException(KafkaError(KafkaError._INVALID_ARG, text)) from None
    return lambda address: KerberosConversation(configuration, address.host)
