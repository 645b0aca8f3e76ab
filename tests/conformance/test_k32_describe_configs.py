"""DescribeConfigs, AlterConfigs, IncrementalAlterConfigs, ListConfigResources (32, 33, 44, 74)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from ottla.testing.protocol import Connection
from ottla.testing.waiting import eventually
from ottla.wire.api import k33_alter_configs, k44_incremental_alter_configs
from ottla.wire.api.k32_describe_configs import DescribeConfigsRequest, ResourceToDescribe
from ottla.wire.api.k74_list_config_resources import ListConfigResourcesRequest
from ottla.wire.apis import APIS
from ottla.wire.errors import ErrorCode

NewTopic = Callable[..., str]
TOPIC, BROKER = 2, 4
DYNAMIC_TOPIC, DEFAULT = 1, 5
SET, DELETE, APPEND, SUBTRACT = 0, 1, 2, 3
TYPES = {"retention.ms": 5, "segment.bytes": 3, "cleanup.policy": 7, "preallocate": 1}


def describe(
    connection: Connection, kind: int, name: str, version: int = 4, **fields: Any
) -> tuple[int, dict[str, Any]]:
    wanted = ResourceToDescribe(
        resource_type=kind, resource_name=name, configuration_keys=fields.pop("keys", None)
    )
    request = DescribeConfigsRequest(resources=[wanted], **fields)
    [resource] = connection.ask(request, version).results
    return resource.error_code, {each.name: each for each in resource.configs}


def change(
    connection: Connection, name: str, key: str, operation: int, value: str | None, version: int = 1
) -> ErrorCode:
    resource = k44_incremental_alter_configs.ResourceToAlter(
        resource_type=TOPIC,
        resource_name=name,
        configs=[
            k44_incremental_alter_configs.ConfigChange(
                name=key, config_operation=operation, value=value
            )
        ],
    )
    request = k44_incremental_alter_configs.IncrementalAlterConfigsRequest(
        resources=[resource], validate_only=False
    )
    [response] = connection.ask(request, version).responses
    return ErrorCode(response.error_code)


@pytest.mark.parametrize("version", APIS[32].versions)
def test_every_version_describes_a_topic(
    version: int, connection: Connection, new_topic: NewTopic
) -> None:
    name = new_topic(1, **{"retention.ms": "1234567"})
    code, configs = describe(connection, TOPIC, name, version, include_synonyms=True)
    assert code == ErrorCode.NONE
    assert set(configs) >= {"cleanup.policy", "compression.type", "max.message.bytes"}
    retention = configs["retention.ms"]
    assert (retention.value, retention.config_source) == ("1234567", DYNAMIC_TOPIC)
    assert not retention.read_only
    assert not retention.is_sensitive
    assert next((s.name, s.value) for s in retention.synonyms) == ("retention.ms", "1234567")
    assert configs["segment.bytes"].config_source == DEFAULT
    if version >= 3:
        assert {key: configs[key].config_type for key in TYPES} == TYPES
    code, configs = describe(connection, TOPIC, name, version, keys=["segment.bytes", "no.such"])
    assert set(configs) == {"segment.bytes"}


def test_documentation_when_asked_for(connection: Connection, new_topic: NewTopic) -> None:
    name = new_topic()
    _, configs = describe(connection, TOPIC, name, include_documentation=True)
    assert configs["retention.ms"].documentation
    _, configs = describe(connection, TOPIC, name)
    assert configs["retention.ms"].documentation is None


def test_resources_that_arent_there(connection: Connection, unique: Callable[[str], str]) -> None:
    code, _ = describe(connection, TOPIC, unique("nowhere"))
    assert code == ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
    code, _ = describe(connection, BROKER, "12345")
    assert code == ErrorCode.INVALID_REQUEST
    assert change(connection, unique("nowhere"), "retention.ms", SET, "1") == (
        ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
    )


@pytest.mark.parametrize("version", APIS[44].versions)
def test_every_version_changes_one_by_one(
    version: int, connection: Connection, new_topic: NewTopic
) -> None:
    name = new_topic()

    def value_is(key: str, value: str) -> bool:
        return bool(describe(connection, TOPIC, name)[1][key].value == value)

    def make(key: str, operation: int, value: str | None) -> ErrorCode:
        return change(connection, name, key, operation, value, version)

    assert make("retention.ms", SET, "77777") == ErrorCode.NONE
    eventually(lambda: value_is("retention.ms", "77777"), what="set")
    assert make("cleanup.policy", APPEND, "compact") == ErrorCode.NONE
    eventually(lambda: value_is("cleanup.policy", "delete,compact"), what="appended")
    assert make("cleanup.policy", SUBTRACT, "delete") == ErrorCode.NONE
    eventually(lambda: value_is("cleanup.policy", "compact"), what="subtracted")
    assert make("retention.ms", DELETE, None) == ErrorCode.NONE
    eventually(lambda: value_is("retention.ms", "604800000"), what="deleted")
    assert make("retention.ms", APPEND, "1") == ErrorCode.INVALID_CONFIG
    assert make("retention.ms", SET, "many") == ErrorCode.INVALID_CONFIG
    assert make("retention.ms", SET, None) == ErrorCode.INVALID_REQUEST
    assert make("segment.bytes", SET, "1") == ErrorCode.INVALID_CONFIG
    assert make("no.such.key", SET, "1") == ErrorCode.INVALID_CONFIG


@pytest.mark.parametrize("version", APIS[33].versions)
def test_every_version_replaces(version: int, connection: Connection, new_topic: NewTopic) -> None:
    name = new_topic(1, **{"retention.ms": "1234567"})
    resource = k33_alter_configs.ResourceToAlter(
        resource_type=TOPIC,
        resource_name=name,
        configs=[k33_alter_configs.ConfigToSet(name="segment.ms", value="99999")],
    )
    for validate_only in (True, False):
        request = k33_alter_configs.AlterConfigsRequest(
            resources=[resource], validate_only=validate_only
        )
        [response] = connection.ask(request, version).responses
        assert response.error_code == ErrorCode.NONE
        if validate_only:
            assert describe(connection, TOPIC, name)[1]["retention.ms"].value == "1234567"
    eventually(
        lambda: describe(connection, TOPIC, name)[1]["segment.ms"].value == "99999", what="set"
    )
    assert describe(connection, TOPIC, name)[1]["retention.ms"].value == "604800000"


def test_resources_are_listed(connection: Connection, new_topic: NewTopic) -> None:
    name = new_topic()
    response = connection.ask(ListConfigResourcesRequest(resource_types=[TOPIC]), 1)
    listed = {(each.resource_type, each.resource_name) for each in response.config_resources}
    assert (TOPIC, name) in listed
    assert {kind for kind, _ in listed} == {TOPIC}
    # Version 0 knows client metrics only.
    assert connection.ask(ListConfigResourcesRequest(), 0).config_resources == []
