"""SASL OAUTHBEARER (RFC 7628, KIP-255): a token that somebody whom the broker trusts has issued."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from ottla.client.core.security.conversation import refused
from ottla.client.errors import KafkaError, KafkaException

_SEPARATOR = "\x01"
# KIP-342: what extensions may be called and hold.
_EXTENSION_NAME = re.compile(r"[A-Za-z]+")
_EXTENSION_VALUE = re.compile(r"[\x21-\x7E \t\r\n]*")
_TOKEN = re.compile(r"[-._~+/A-Za-z0-9]+=*")
_MAX_TOKEN_CHARACTERS = 1_000_000
# A token is replaced when so much of its life is over.
_REFRESH_AT = 0.8


class Token(NamedTuple):
    """A bearer token.

    ``expires_at_ms`` is wall-clock time, in milliseconds since the Unix epoch.
    """

    value: str
    expires_at_ms: float
    principal: str = ""
    extensions: tuple[tuple[str, str], ...] = ()

    def __repr__(self) -> str:
        return f"Token(expires_at_ms={self.expires_at_ms}, principal={self.principal!r})"

    def refresh_at_ms(self, received_at_ms: float) -> float:
        """When to get the next one."""
        return received_at_ms + _REFRESH_AT * (self.expires_at_ms - received_at_ms)


def make_token(
    value: object, expires_at_ms: float, principal: str, extensions: Mapping[str, str], now_ms: int
) -> Token:
    """A checked token.

    Raises:
        KafkaException: ``_INVALID_ARG``: it has run out, or can't be sent.
    """
    if not isinstance(value, str) or len(value) > _MAX_TOKEN_CHARACTERS:
        raise _invalid("the token is no text, or too long")
    if not _TOKEN.fullmatch(value):
        raise _invalid("the token has characters that a bearer token can't have")
    if expires_at_ms <= now_ms:
        raise _invalid("Must supply an unexpired token")
    for name, text in extensions.items():
        if name == "auth" or not _EXTENSION_NAME.fullmatch(name):
            raise _invalid(f"an extension can't be named {name!r}")
        if not _EXTENSION_VALUE.fullmatch(text):
            raise _invalid(f"the extension {name} has characters that it can't have")
    return Token(value, expires_at_ms, principal, tuple(extensions.items()))


class OAuthBearerConversation:
    """Sends the token; a broker that refuses it says why, and then ends the conversation."""

    def __init__(self, token: Token) -> None:
        self._token = token

    def start(self) -> bytes:
        parts = [
            "n,,",
            f"auth=Bearer {self._token.value}",
            *(f"{name}={value}" for name, value in self._token.extensions),
            "",
            "",
        ]
        return _SEPARATOR.join(parts).encode()

    def answer(self, challenge: bytes) -> bytes | None:
        if not challenge:
            return None
        raise refused(f"SASL OAUTHBEARER: the broker refused the token: {_refusal(challenge)}")


def _refusal(challenge: bytes) -> str:
    try:
        status = json.loads(challenge)["status"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return "for a reason that makes no sense"
    return str(status)[:200]


# Unsecured tokens, for development (enable.sasl.oauthbearer.unsecure.jwt)

_DEFAULT_LIFE_S = 3600
_UNSECURED_HEADER = '{"alg":"none"}'


def unsecured_token(config: str, now_ms: int) -> Token:
    """A token that nobody has signed, as ``sasl.oauthbearer.config`` describes it.

    Its text has ``name=value`` pairs: ``principal`` (required), ``principalClaimName`` (``sub``),
    ``scope`` (separated by commas), ``scopeClaimName`` (``scope``), ``lifeSeconds`` (3600) and
    ``extension_NAME``.

    Raises:
        KafkaException: ``_INVALID_ARG``: the text makes no sense.
    """
    settings = dict(_pairs(config))
    extensions = {
        name.removeprefix("extension_"): settings.pop(name)
        for name in list(settings)
        if name.startswith("extension_")
    }
    principal = settings.pop("principal", "")
    life = settings.pop("lifeSeconds", str(_DEFAULT_LIFE_S))
    claim, scope_claim = (
        settings.pop("principalClaimName", "sub"),
        settings.pop("scopeClaimName", "scope"),
    )
    scope = [each for each in settings.pop("scope", "").split(",") if each]
    if settings:
        raise _invalid(f"Unrecognized sasl.oauthbearer.config beginning at: {min(settings)}")
    if not principal:
        raise _invalid("Invalid sasl.oauthbearer.config: no principal=<value>")
    if not (life.isascii() and life.isdigit() and 0 < int(life[:10]) < 2**31):
        raise _invalid(f"Invalid sasl.oauthbearer.config: lifeSeconds={life}")
    expires_at_ms = now_ms + int(life) * 1000
    claims: dict[str, Any] = {
        claim: principal, "iat": now_ms / 1000, "exp": expires_at_ms / 1000,
    }  # fmt: skip
    if scope:
        claims[scope_claim] = scope
    value = f"{_base64(_UNSECURED_HEADER)}.{_base64(json.dumps(claims))}."
    return make_token(value, expires_at_ms, principal, extensions, now_ms)


def _pairs(config: str) -> list[tuple[str, str]]:
    pairs = []
    for part in config.split():
        name, _, value = part.partition("=")
        if not value:
            raise _invalid(f"Invalid sasl.oauthbearer.config: empty '{name}='")
        pairs.append((name, value))
    return pairs


def claims_of(jwt: str) -> dict[str, Any]:
    """The claims of a JWT, unchecked: whether it is genuine is for the broker to say.

    Raises:
        KafkaException: ``_AUTHENTICATION``: it is none.
    """
    try:
        payload = jwt.split(".")[1]
        claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    except (IndexError, ValueError, RecursionError):
        raise refused("the token is no JWT") from None
    if not isinstance(claims, dict):
        raise refused("the token is no JWT")
    return claims


def _base64(text: str) -> str:
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def _invalid(reason: str) -> KafkaException:
    return KafkaException(KafkaError(KafkaError._INVALID_ARG, reason))
