"""Bearer tokens: what may be sent, what is sent, and what a refusal says."""

from __future__ import annotations

import base64
import json

import pytest

from ottla.client.core.security.conversation import Conversation
from ottla.client.core.security.oauthbearer import (
    OAuthBearerConversation,
    Token,
    claims_of,
    make_token,
    unsecured_token,
)
from ottla.client.core.security.plain import PlainConversation
from ottla.client.errors import KafkaError, KafkaException

NOW_MS = 1_700_000_000_000


def test_the_token_and_its_extensions_are_sent() -> None:
    token = make_token("abc.def", NOW_MS + 1, "anna", {"traceId": "7", "zone": "a b"}, NOW_MS)
    conversation: Conversation = OAuthBearerConversation(token)
    assert conversation.start() == (b"n,,\x01auth=Bearer abc.def\x01traceId=7\x01zone=a b\x01\x01")
    assert conversation.answer(b"") is None


@pytest.mark.parametrize(
    "refusal", [b'{"status":"invalid_token"}', b"{}", b"[]", b"\xff", b"[" * 100_000]
)
def test_a_refusal_is_an_error_whatever_it_looks_like(refusal: bytes) -> None:
    conversation = OAuthBearerConversation(Token("abc", NOW_MS))
    conversation.start()
    with pytest.raises(KafkaException) as raised:
        conversation.answer(refusal)
    assert raised.value.args[0] == KafkaError._AUTHENTICATION


@pytest.mark.parametrize(
    ("value", "expires_at_ms", "extensions"),
    [
        (None, NOW_MS + 1, {}),
        ("", NOW_MS + 1, {}),
        ("a\x01b", NOW_MS + 1, {}),
        ("a b", NOW_MS + 1, {}),
        ("a" * 1_000_001, NOW_MS + 1, {}),
        ("abc", NOW_MS, {}),
        ("abc", NOW_MS + 1, {"auth": "x"}),
        ("abc", NOW_MS + 1, {"a1": "x"}),
        ("abc", NOW_MS + 1, {"a": "\x01"}),
    ],
)
def test_what_cannot_be_a_token(
    value: object, expires_at_ms: float, extensions: dict[str, str]
) -> None:
    with pytest.raises(KafkaException) as raised:
        make_token(value, expires_at_ms, "anna", extensions, NOW_MS)
    assert raised.value.args[0] == KafkaError._INVALID_ARG


def test_a_token_is_renewed_before_it_runs_out_and_its_secret_is_not_shown() -> None:
    token = Token("secret", NOW_MS + 1000)
    assert token.refresh_at_ms(NOW_MS) == NOW_MS + 800
    assert "secret" not in repr(token)


def test_an_unsecured_token_says_what_it_is_told_to() -> None:
    config = "principal=anna lifeSeconds=60 scope=read,write extension_traceId=7"
    token = unsecured_token(config, NOW_MS)
    header, _, signature = token.value.split(".")
    assert json.loads(base64.urlsafe_b64decode(header + "=="))["alg"] == "none"
    assert signature == ""
    assert claims_of(token.value) == {
        "sub": "anna", "iat": NOW_MS / 1000, "exp": NOW_MS / 1000 + 60, "scope": ["read", "write"],
    }  # fmt: skip
    assert token.expires_at_ms == NOW_MS + 60_000
    assert token.extensions == (("traceId", "7"),)


@pytest.mark.parametrize(
    "config",
    ["", "scope=read", "principal=", "principal=a lifeSeconds=0", "principal=a life=1", "nonsense"],
)
def test_unsecured_tokens_that_cannot_be_made(config: str) -> None:
    with pytest.raises(KafkaException) as raised:
        unsecured_token(config, NOW_MS)
    assert raised.value.args[0] == KafkaError._INVALID_ARG


@pytest.mark.parametrize("jwt", ["", "a", "a.b", "a.!.c", "a.W10.c"])
def test_what_is_no_jwt_has_no_claims(jwt: str) -> None:
    with pytest.raises(KafkaException):
        claims_of(jwt)


def test_plain_says_it_all_at_once() -> None:
    conversation: Conversation = PlainConversation("anna", "gehä=im")
    assert conversation.start() == "\0anna\0gehä=im".encode()
    assert conversation.answer(b"") is None
