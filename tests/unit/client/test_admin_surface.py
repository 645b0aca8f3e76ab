"""The admin client takes what confluent_kafka's takes, by position and by keyword."""

from __future__ import annotations

import inspect
from typing import Any

import confluent_kafka.admin
import pytest

import ottla.admin

# Of the keywords that confluent_kafka parses in C its signatures say nothing.
KEYWORDS = {
    "create_topics": {"operation_timeout", "request_timeout", "validate_only"},
    "delete_topics": {"operation_timeout", "request_timeout"},
    "create_partitions": {"operation_timeout", "request_timeout", "validate_only"},
    "describe_configs": {"request_timeout", "broker"},
    "alter_configs": {"request_timeout", "broker", "validate_only"},
    "incremental_alter_configs": {"request_timeout", "broker", "validate_only"},
    "create_acls": {"request_timeout"},
    "describe_acls": {"request_timeout"},
    "delete_acls": {"request_timeout"},
    "list_consumer_groups": {"request_timeout", "states", "types"},
    "describe_consumer_groups": {"request_timeout", "include_authorized_operations"},
    "describe_topics": {"request_timeout", "include_authorized_operations"},
    "describe_cluster": {"request_timeout", "include_authorized_operations"},
    "delete_consumer_groups": {"request_timeout"},
    "list_consumer_group_offsets": {"request_timeout", "require_stable"},
    "alter_consumer_group_offsets": {"request_timeout"},
    "describe_user_scram_credentials": {"request_timeout"},
    "alter_user_scram_credentials": {"request_timeout"},
    "list_offsets": {"request_timeout", "isolation_level"},
    "delete_records": {"operation_timeout", "request_timeout"},
    "elect_leaders": {"operation_timeout", "request_timeout"},
    "list_topics": {"topic", "timeout"},
    "list_groups": {"group", "timeout"},
    "cluster_id": {"timeout"},
    "poll": {"timeout"},
    "set_sasl_credentials": {"username", "password"},
}


def positional(function: Any) -> list[str]:
    """The names of parameters that may be given by position."""
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    parameters = inspect.signature(function).parameters.values()
    return [each.name for each in parameters if each.kind in kinds]


def test_every_method_is_known() -> None:
    theirs = {name for name in dir(confluent_kafka.admin.AdminClient) if not name.startswith("_")}
    assert theirs == set(KEYWORDS)


@pytest.mark.parametrize("name", KEYWORDS)
def test_methods_take_the_same(name: str) -> None:
    ours = getattr(ottla.admin.AdminClient, name)
    assert set(inspect.signature(ours).parameters) >= KEYWORDS[name]
    if name != "poll":  # it is written in C and tells nothing
        named = positional(getattr(confluent_kafka.admin.AdminClient, name))
        assert positional(ours)[: len(named)] == named


def test_every_name_of_the_module_is_known() -> None:
    modules = {"Any", "Dict", "List", "Optional", "Set", "Tuple", "Union", "concurrent", "warnings"}
    theirs = {name for name in dir(confluent_kafka.admin) if not name.startswith("_")}
    assert theirs - modules - {"string_type"} <= set(ottla.admin.__all__)
