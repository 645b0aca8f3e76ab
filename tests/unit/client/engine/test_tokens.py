"""Bearer tokens from callbacks and providers."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Callable
from typing import Any

import pytest

from ottla.client.configuration.build import configure_admin
from ottla.client.core.security.oauthbearer import Token
from ottla.client.engine.log import ClientLog
from ottla.client.engine.runtime import Runtime
from ottla.client.engine.tokens import TokenSource, _fields, _from_provider, request_token
from ottla.client.errors import KafkaError, KafkaException
from ottla.testing.simulation.clock import VirtualClock


class Source:
    """A source of tokens whose clock the test moves."""

    def __init__(self, **settings: Any) -> None:
        conf = {
            "security.protocol": "sasl_plaintext",
            "sasl.mechanism": "OAUTHBEARER",
            **{name.replace("_", "."): value for name, value in settings.items()
               if name != "oauth_cb"},
            **{name: value for name, value in settings.items() if name == "oauth_cb"},
        }  # fmt: skip
        self.configuration = configure_admin((conf,), {})
        self.clock = VirtualClock()

    def make(self) -> TokenSource:
        runtime = Runtime(
            self.configuration, ClientLog("test"), call_user=None, clock=self.clock, entropy=None
        )
        return TokenSource(runtime)


def test_a_callback_is_called_again_when_most_of_the_life_is_over() -> None:
    calls: list[str] = []

    def callback(config: str) -> tuple[str, float]:
        calls.append(config)
        return f"token{len(calls)}", source.clock.wall_ms() / 1000 + 100

    source = Source(oauth_cb=callback, sasl_oauthbearer_config="hello")

    async def run() -> None:
        tokens = source.make()
        first = await asyncio.gather(tokens.token(), tokens.token())
        assert [each.value for each in first] == ["token1", "token1"]
        source.clock.advance(79)
        assert (await tokens.token()).value == "token1"
        source.clock.advance(2)
        assert (await tokens.token()).value == "token2"

    asyncio.run(run())
    assert calls == ["hello", "hello"]


def test_a_callback_may_be_a_coroutine_function() -> None:
    async def callback(_: str) -> tuple[str, float, str, dict[str, str]]:
        await asyncio.sleep(0)
        return "token", 10**10, "anna", {"traceId": "7"}

    async def run() -> Token:
        return await Source(oauth_cb=callback).make().token()

    token = asyncio.run(run())
    assert (token.principal, token.extensions) == ("anna", (("traceId", "7"),))


@pytest.mark.parametrize(
    "result",
    [
        None,
        "token",
        (),
        ("token",),
        ("token", "soon"),
        ("token", 0),
        (None, 10**10),
        (1, 2, 3, 4, 5),
    ],
)
def test_what_a_callback_returned_makes_no_sense(result: object) -> None:
    async def run() -> None:
        await Source(oauth_cb=lambda _: result).make().token()

    with pytest.raises(KafkaException) as raised:
        asyncio.run(run())
    error = raised.value.args[0]
    assert error == KafkaError._AUTHENTICATION
    assert error.str().startswith("Failed to acquire SASL OAUTHBEARER token: ")


def test_without_any_source_there_is_no_token() -> None:
    async def run() -> None:
        await Source().make().token()

    with pytest.raises(KafkaException, match="oauth_cb"):
        asyncio.run(run())


def jwt(**claims: object) -> str:
    payload = base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip("=")
    return f"e30.{payload}.c2ln"


def oidc(**settings: Any) -> Any:
    return Source(
        sasl_oauthbearer_method="oidc",
        sasl_oauthbearer_client_id="id",
        sasl_oauthbearer_client_secret="secret",
        sasl_oauthbearer_token_endpoint_url="http://127.0.0.1:1/",
        **settings,
    ).configuration


def test_a_providers_token_says_when_it_ends_and_whose_it_is() -> None:
    fields = {"access_token": jwt(sub="anna", exp=2000)}
    configuration = oidc(sasl_oauthbearer_extensions="a=1,b=2")
    token = _from_provider(fields, configuration, 1000)
    assert token == Token(fields["access_token"], 2_000_000, "anna", (("a", "1"), ("b", "2")))


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"access_token": 1},
        {"access_token": "no jwt"},
        {"access_token": jwt(sub="anna")},
        {"access_token": jwt(exp=2000)},
        {"access_token": jwt(sub="anna", exp="soon")},
        {"access_token": jwt(sub="anna", exp=0)},
    ],
)
def test_tokens_of_providers_that_cannot_be_used(fields: dict[str, Any]) -> None:
    with pytest.raises(KafkaException):
        _from_provider(fields, oidc(), 1000)


@pytest.mark.parametrize(
    ("status", "body", "reason"),
    [
        (200, b"<html>", "no JSON object"),
        (200, b"[" * 100_000, "no JSON object"),
        (401, b'{"error":"invalid_client"}', "invalid_client"),
        (500, b"{}", "no reason given"),
    ],
)
def test_answers_of_providers_that_are_no_tokens(status: int, body: bytes, reason: str) -> None:
    with pytest.raises(KafkaException, match=reason):
        _fields(status, body)


@pytest.mark.parametrize("url", ["ftp://host/", "file:///etc/passwd", "nonsense", "http://"])
def test_only_http_is_asked(url: str) -> None:
    configuration: Callable[..., Any] = oidc
    made = configuration()
    made.__dict__["sasl_oauthbearer_token_endpoint_url"] = url
    with pytest.raises(KafkaException, match="no http"):
        request_token(made)
