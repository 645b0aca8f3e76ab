"""BROKER_LOGGER: the levels of the running broker's loggers, described and altered."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import pytest

from ottla.testing.simulation.client import SimulatedClient
from ottla.wire.api.k32_describe_configs import DescribeConfigsRequest, ResourceToDescribe
from ottla.wire.api.k44_incremental_alter_configs import (
    ConfigChange,
    IncrementalAlterConfigsRequest,
    ResourceToAlter,
)
from ottla.wire.errors import ErrorCode

if TYPE_CHECKING:
    from conftest import SimulatedBroker

BROKER_LOGGER = 8
LOGGER = "ottla.broker.maintenance"
SET, DELETE, APPEND = 0, 1, 2


@pytest.fixture(autouse=True)
def _levels_as_before() -> Iterator[None]:
    loggers = [logging.getLogger(name) for name in (None, LOGGER)]
    levels = [each.level for each in loggers]
    yield
    for each, level in zip(loggers, levels, strict=True):
        each.setLevel(level)


async def levels(client: SimulatedClient, *names: str, broker: str = "1") -> Any:
    resource = ResourceToDescribe(
        resource_type=BROKER_LOGGER, resource_name=broker, configuration_keys=list(names) or None
    )
    [result] = (await client.ask(DescribeConfigsRequest(resources=[resource]), 4)).results
    if result.error_code:
        return ErrorCode(result.error_code)
    return {each.name: each.value for each in result.configs}


async def alter(
    client: SimulatedClient, operation: int, name: str, value: str | None, **options: Any
) -> ErrorCode:
    config = ConfigChange(name=name, config_operation=operation, value=value)
    resource = ResourceToAlter(
        resource_type=BROKER_LOGGER,
        resource_name=options.pop("broker", "1"),
        configs=[config],
    )
    request = IncrementalAlterConfigsRequest(
        resources=[resource], validate_only=options.pop("validate_only", False)
    )
    return ErrorCode((await client.ask(request, 1)).responses[0].error_code)


def test_a_level_is_set_described_and_taken_away(tell: Callable[..., None]) -> None:
    async def story(broker: SimulatedBroker, client: SimulatedClient) -> None:
        assert {"root", "ottla", "ottla.broker", LOGGER} <= set(await levels(client))
        assert await alter(client, SET, "root", "WARN") is ErrorCode.NONE
        assert await levels(client, LOGGER, "root") == {LOGGER: "WARN", "root": "WARN"}
        assert await alter(client, SET, LOGGER, "TRACE") is ErrorCode.NONE
        assert await levels(client, LOGGER, "root") == {LOGGER: "TRACE", "root": "WARN"}
        assert logging.getLogger(LOGGER).isEnabledFor(logging.DEBUG)
        assert await alter(client, DELETE, LOGGER, None) is ErrorCode.NONE
        assert await levels(client, LOGGER) == {LOGGER: "WARN"}

    tell(story)


def test_only_validated_changes_nothing(tell: Callable[..., None]) -> None:
    async def story(broker: SimulatedBroker, client: SimulatedClient) -> None:
        before = await levels(client, LOGGER)
        assert await alter(client, SET, LOGGER, "FATAL", validate_only=True) is ErrorCode.NONE
        assert await levels(client, LOGGER) == before

    tell(story)


@pytest.mark.parametrize(
    ("operation", "name", "value", "error"),
    [
        (SET, "ottla.nothing", "INFO", ErrorCode.INVALID_CONFIG),
        (SET, "somebody.else", "INFO", ErrorCode.INVALID_CONFIG),
        (SET, LOGGER, "LOUD", ErrorCode.INVALID_CONFIG),
        (SET, LOGGER, None, ErrorCode.INVALID_REQUEST),
        (APPEND, LOGGER, "INFO", ErrorCode.INVALID_REQUEST),
        (DELETE, "root", None, ErrorCode.INVALID_REQUEST),
    ],
)
def test_what_makes_no_sense_is_refused(
    operation: int, name: str, value: str | None, error: ErrorCode, tell: Callable[..., None]
) -> None:
    async def story(broker: SimulatedBroker, client: SimulatedClient) -> None:
        assert await alter(client, operation, name, value) is error

    tell(story)


@pytest.mark.parametrize("name", ["", "2", "one"])
def test_another_brokers_loggers_are_not_this_ones(name: str, tell: Callable[..., None]) -> None:
    async def story(broker: SimulatedBroker, client: SimulatedClient) -> None:
        assert await levels(client, broker=name) is ErrorCode.INVALID_REQUEST
        error = await alter(client, SET, LOGGER, "INFO", broker=name)
        assert error is ErrorCode.INVALID_REQUEST

    tell(story)
