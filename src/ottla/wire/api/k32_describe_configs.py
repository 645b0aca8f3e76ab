"""DescribeConfigs (key 32): configuration of topics, brokers, groups and client metrics.

Version 1 adds sources and synonyms (KIP-226), 3 types and documentation (KIP-569).
"""

from __future__ import annotations

from ottla.wire.declare import Array, Bool, Int8, Int16, Int32, Message, String, at, message, struct


@struct
class ResourceToDescribe:
    """A resource, and which of its keys."""

    resource_type: Int8
    resource_name: String
    configuration_keys: Array[String] | None  # null: all


@message(key=32, versions="1-4", flexible=4)
class DescribeConfigsRequest(Message):
    """The resources to describe."""

    resources: Array[ResourceToDescribe]
    include_synonyms: Bool = at(default=False)
    include_documentation: Bool = at("3+", default=False)


@struct
class ConfigSynonym:
    """A value the key would fall back to, strongest first."""

    name: String
    value: String | None
    source: Int8


@struct
class DescribedConfig:
    """One key, its value and where that comes from."""

    name: String
    value: String | None  # null when sensitive
    read_only: Bool
    config_source: Int8 = at(default=-1)
    is_sensitive: Bool
    synonyms: Array[ConfigSynonym] = at(default=list)
    config_type: Int8 = at("3+", default=0, ignorable=True)
    documentation: String | None = at("3+", default="", ignorable=True)


@struct
class DescribedResource:
    """One resource's configuration."""

    error_code: Int16
    error_message: String | None
    resource_type: Int8
    resource_name: String
    configs: Array[DescribedConfig]


@message(key=32, versions="1-4", flexible=4)
class DescribeConfigsResponse(Message):
    """The configuration found."""

    throttle_time_ms: Int32 = at(default=0)
    results: Array[DescribedResource]
