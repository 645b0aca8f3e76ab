"""Bearer tokens for SASL OAUTHBEARER: from ``oauth_cb``, from an OIDC provider, or unsecured."""

from __future__ import annotations

import asyncio
import base64
import inspect
import json
from typing import Any
from urllib.parse import urlencode, urlsplit

from ottla.client.configuration.objects import Configuration
from ottla.client.core.security.conversation import refused
from ottla.client.core.security.oauthbearer import Token, claims_of, make_token, unsecured_token
from ottla.client.engine.background import in_daemon_thread
from ottla.client.engine.runtime import Runtime
from ottla.client.engine.tls import https_context
from ottla.client.errors import KafkaException

_REQUEST_TIMEOUT_S = 20.0
_MAX_REPLY_BYTES = 1_000_000
_HTTP_OK = 200


class TokenSource:
    """Gets a token when one is needed, and the next one in time before it runs out."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._token: Token | None = None
        self._refresh_at_ms = 0.0
        self._fetching: asyncio.Task[Token] | None = None

    async def token(self) -> Token:
        """A token that has life left.

        Raises:
            KafkaException: ``_AUTHENTICATION``: there is none to be had.
        """
        now_ms = self._runtime.clock.wall_ms()
        if self._token is not None and now_ms < self._refresh_at_ms:
            return self._token
        if self._fetching is None:
            self._fetching = self._runtime.spawn(self._fetch(), "fetch a token")
        return await asyncio.shield(self._fetching)

    async def _fetch(self) -> Token:
        try:
            token = await self._acquire()
        except Exception as error:
            reason = error.args[0].str() if isinstance(error, KafkaException) else repr(error)
            raise refused(f"Failed to acquire SASL OAUTHBEARER token: {reason}") from error
        finally:
            self._fetching = None
        self._token = token
        self._refresh_at_ms = token.refresh_at_ms(self._runtime.clock.wall_ms())
        return token

    async def _acquire(self) -> Token:
        configuration = self._runtime.configuration
        now_ms = self._runtime.clock.wall_ms()
        config = configuration.sasl_oauthbearer_config or ""
        callback = configuration.oauth_cb
        if callback is not None:
            result = await in_daemon_thread(lambda: callback(config), "ottla-oauth")
            if inspect.isawaitable(result):
                result = await result
            return _from_callback(result, now_ms)
        if configuration.sasl_oauthbearer_method == "oidc":
            fields = await in_daemon_thread(lambda: request_token(configuration), "ottla-oidc")
            return _from_provider(fields, configuration, now_ms)
        if configuration.enable_sasl_oauthbearer_unsecure_jwt:
            return unsecured_token(config, now_ms)
        raise refused(
            "set oauth_cb, sasl.oauthbearer.method=oidc or enable.sasl.oauthbearer.unsecure.jwt"
        )


def _from_callback(result: object, now_ms: int) -> Token:
    """What ``oauth_cb`` returns: token, expiry in seconds since 1970, principal, extensions."""
    if not isinstance(result, tuple) or not 2 <= len(result) <= 4:
        raise TypeError(
            "expect oauth_cb to return (token_str, expiry_time[, principal, extensions])"
        )
    value, expiry_s, principal, extensions = (*result, "", {})[:4] if len(result) < 4 else result
    if isinstance(extensions, str) or not hasattr(extensions, "items"):
        extensions = {}
    texts = {str(name): str(text) for name, text in extensions.items()}
    return make_token(value, float(expiry_s) * 1000, str(principal), texts, now_ms)


def request_token(configuration: Configuration) -> dict[str, Any]:
    """Ask an OIDC provider for a token by client credentials (RFC 6749 §4.4); blocks.

    Raises:
        KafkaException: ``_AUTHENTICATION``: the provider refused, or its answer makes no sense.
        OSError: it can't be reached.
    """
    import http.client

    url = configuration.sasl_oauthbearer_token_endpoint_url or ""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise refused("sasl.oauthbearer.token.endpoint.url is no http(s) address")
    connection: http.client.HTTPConnection
    if parts.scheme == "https":
        connection = http.client.HTTPSConnection(
            parts.hostname,
            parts.port,
            timeout=_REQUEST_TIMEOUT_S,
            context=https_context(configuration),
        )
    else:
        connection = http.client.HTTPConnection(
            parts.hostname, parts.port, timeout=_REQUEST_TIMEOUT_S
        )
    credentials = (
        f"{configuration.sasl_oauthbearer_client_id}:{configuration.sasl_oauthbearer_client_secret}"
    )
    form = {"grant_type": "client_credentials"}
    if configuration.sasl_oauthbearer_scope:
        form["scope"] = configuration.sasl_oauthbearer_scope
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    try:
        connection.request(
            "POST",
            path,
            urlencode(form),
            {
                "Authorization": f"Basic {base64.b64encode(credentials.encode()).decode()}",
                "Content-Type": "application/x-www-form-urlencoded",
                "Accept": "application/json",
            },
        )
        response = connection.getresponse()
        body = response.read(_MAX_REPLY_BYTES)
    except http.client.HTTPException as error:
        raise refused(f"the token endpoint does not speak HTTP: {error!r}") from None
    finally:
        connection.close()
    return _fields(response.status, body)


def _fields(status: int, body: bytes) -> dict[str, Any]:
    try:
        fields = json.loads(body)
    except (ValueError, RecursionError):
        fields = None
    if not isinstance(fields, dict):
        raise refused(f"the token endpoint answered {status}, and no JSON object")
    if status != _HTTP_OK:
        # Never the whole body, which may hold a secret.
        reason = fields.get("error_description") or fields.get("error") or "no reason given"
        raise refused(f"the token endpoint answered {status}: {str(reason)[:200]}")
    return fields


def _from_provider(fields: dict[str, Any], configuration: Configuration, now_ms: int) -> Token:
    value = fields.get("access_token")
    if not isinstance(value, str):
        raise refused("the token endpoint's answer has no access_token")
    claims = claims_of(value)
    expiry_s = claims.get("exp")
    if not isinstance(expiry_s, int | float):
        raise refused('the token has no "exp" claim')
    principal = claims.get(configuration.sasl_oauthbearer_sub_claim_name)
    if not isinstance(principal, str):
        name = configuration.sasl_oauthbearer_sub_claim_name
        raise refused(f'the token has no "{name}" claim')
    pairs = (configuration.sasl_oauthbearer_extensions or "").split(",")
    extensions = dict(pair.split("=", 1) for pair in pairs if "=" in pair)
    return make_token(value, expiry_s * 1000, principal, extensions, now_ms)
