"""Authenticating in virtual time: once, again before the session ends, and in vain."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from ottla.client.errors import KafkaError
from ottla.testing.simulation.engine_world import (
    World,
    failure,
    groups,
    list_groups,
    simulated,
)
from ottla.testing.simulation.scripted_broker import Asked, BrokerConnection, ScriptedBroker
from ottla.wire.api.k17_sasl_handshake import SaslHandshakeResponse
from ottla.wire.api.k36_sasl_authenticate import SaslAuthenticateResponse
from ottla.wire.errors import ErrorCode

LIST_GROUPS, HANDSHAKE, AUTHENTICATE = 16, 17, 36
SETTINGS = {
    "security_protocol": "sasl_plaintext",
    "sasl_mechanism": "PLAIN",
    "sasl_username": "anna",
    "sasl_password": "secret",
}


def accepts(broker: ScriptedBroker, *, lifetime_ms: int = 0, token: bytes = b"") -> None:
    """Let everybody in who knows the password, for so long."""

    def authenticate(_: BrokerConnection, asked: Asked) -> SaslAuthenticateResponse:
        is_known = bytes(asked.request.auth_bytes) == b"\0anna\0secret"
        return SaslAuthenticateResponse(
            error_code=0 if is_known else ErrorCode.SASL_AUTHENTICATION_FAILED,
            error_message=None if is_known else "Who are you?",
            auth_bytes=token,
            session_lifetime_ms=lifetime_ms,
        )

    broker.handlers[HANDSHAKE] = lambda *_: SaslHandshakeResponse(
        error_code=0, mechanisms=["PLAIN"]
    )
    broker.handlers[AUTHENTICATE] = authenticate
    broker.handlers[LIST_GROUPS] = lambda *_: groups("a")


@simulated
async def test_the_first_requests_of_a_connection_prove_who_it_is(world: World) -> None:
    broker = await world.broker()
    accepts(broker)
    engine = world.engine(**SETTINGS)
    assert await list_groups(engine) == ["a"]
    assert [each.api_key for each in broker.asked[:3]] == [18, HANDSHAKE, AUTHENTICATE]
    assert broker.asked_for(HANDSHAKE)[0].request.mechanism == "PLAIN"
    await asyncio.sleep(3600)
    assert len(broker.asked_for(AUTHENTICATE)) == 1


@simulated
async def test_a_session_is_renewed_before_it_ends_and_nothing_comes_in_between(
    world: World,
) -> None:
    broker = await world.broker()
    accepts(broker, lifetime_ms=10_000)
    engine = world.engine(**SETTINGS)
    await engine.wait_connected(5000)
    for _ in range(400):
        await list_groups(engine, 1)
        await asyncio.sleep(0.1)
    assert len(broker.connections) == 1
    keys = [each.api_key for each in broker.asked]
    renewals = [index for index, key in enumerate(keys) if key == HANDSHAKE][1:]
    assert 4 <= len(renewals) <= 5
    assert all(keys[index + 1] == AUTHENTICATE for index in renewals)
    assert world.errors == []


@simulated
async def test_what_is_asked_during_the_renewal_is_sent_after_it(world: World) -> None:
    broker = await world.broker()
    accepts(broker, lifetime_ms=10_000)
    engine = world.engine(**SETTINGS)
    await engine.wait_connected(5000)
    slow: list[tuple[BrokerConnection, Asked]] = []
    authenticate = broker.handlers[AUTHENTICATE]
    broker.handlers[AUTHENTICATE] = lambda *asked: slow.append(asked)
    await asyncio.sleep(9.8)
    assert len(slow) == 1
    assert not engine.is_ready(1)
    waiting = asyncio.create_task(list_groups(engine, 1))
    told: list[memoryview | KafkaError] = []
    engine.send_buffers(1, LIST_GROUPS, 3, [b"\0"], told.append, timeout_ms=5000)
    await asyncio.sleep(0.1)
    assert broker.asked_for(LIST_GROUPS) == []
    connection, asked = slow[0]
    response = authenticate(connection, asked)
    assert response is not None
    connection.answer(asked, response)
    assert await waiting == ["a"]
    assert isinstance(told[0], memoryview)


@simulated
async def test_a_renewal_that_is_refused_ends_the_connection(world: World) -> None:
    broker = await world.broker()
    accepts(broker, lifetime_ms=10_000)
    engine = world.engine(**SETTINGS)
    await engine.wait_connected(5000)
    engine.set_sasl_credentials("anna", "changed")
    await asyncio.sleep(9.8)
    assert KafkaError._AUTHENTICATION in world.errors
    assert not broker.connections[0].is_open
    engine.set_sasl_credentials("anna", "secret")
    await asyncio.sleep(20)
    assert await list_groups(engine) == ["a"]


@simulated
async def test_a_wrong_password_is_said_and_tried_again_after_a_while(world: World) -> None:
    broker = await world.broker()
    accepts(broker)
    engine = world.engine(**{**SETTINGS, "sasl_password": "guess"})
    error = await failure(engine.wait_connected(8000))
    assert error == KafkaError._AUTHENTICATION
    assert "Who are you?" in error.str()
    assert "guess" not in error.str()
    assert 3 <= len(broker.asked_for(AUTHENTICATE)) <= 12


@simulated
async def test_a_mechanism_that_the_broker_lacks(world: World) -> None:
    broker = await world.broker()
    broker.handlers[HANDSHAKE] = lambda *_: SaslHandshakeResponse(
        error_code=ErrorCode.UNSUPPORTED_SASL_MECHANISM, mechanisms=["GSSAPI", "X"]
    )
    engine = world.engine(**SETTINGS)
    error = await failure(engine.wait_connected(2000))
    assert error == KafkaError._AUTHENTICATION
    assert "supported mechanisms: GSSAPI,X" in error.str()


@pytest.mark.parametrize("mechanism", ["SCRAM-SHA-256", "SCRAM-SHA-512"])
def test_a_broker_that_answers_scram_with_nonsense(mechanism: str) -> None:
    @simulated
    async def play(world: World) -> None:
        broker = await world.broker()
        accepts(broker)
        broker.handlers[AUTHENTICATE] = lambda *_: SaslAuthenticateResponse(
            error_code=0, error_message=None, auth_bytes=b"v=anything"
        )
        settings: dict[str, Any] = {**SETTINGS, "sasl_mechanism": mechanism}
        error = await failure(world.engine(**settings).wait_connected(2000))
        assert error == KafkaError._AUTHENTICATION

    play(1)
