"""Whether a resource may have a set of values: each alone, and together."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from ottla.metadata.config.broker_keys import BROKER_KEYS, find_broker_key, without_listener
from ottla.metadata.config.group_keys import GROUP_KEYS, GROUP_SYNONYMS
from ottla.metadata.config.keys import ConfigKey, ConfigValue, ConfigValueError, UpdateMode
from ottla.metadata.config.resolve import BrokerConfig, BrokerLayers, default_topic_value
from ottla.metadata.config.topic_keys import TOPIC_KEYS
from ottla.wire.errors import ErrorCode, ProtocolError

# A listener's own limits may be set for all brokers at once; everything else of a listener belongs
# to one broker, whose files and addresses it names.
_CLUSTER_WIDE_LISTENER_KEYS = frozenset(
    {"max.connections", "max.connection.creation.rate", "num.network.threads"}
)
# Some keys can be set at run time only below a listener's prefix: KIP-226.
_SECURITY_KEYS = frozenset(
    name
    for name, key in BROKER_KEYS.items()
    if name.startswith("ssl.") and key.update_mode is UpdateMode.PER_BROKER
)


def check_topic_config(layers: BrokerLayers, values: Mapping[str, str]) -> None:
    """Refuse what a topic can't have.

    Raises:
        ProtocolError: INVALID_CONFIG, in Kafka's words.
    """
    parsed = _parsed(TOPIC_KEYS, values, "topic")

    def effective(name: str) -> ConfigValue:
        return parsed[name] if name in parsed else default_topic_value(layers, name)

    shortest, longest = effective("min.compaction.lag.ms"), effective("max.compaction.lag.ms")
    if isinstance(shortest, int) and isinstance(longest, int) and shortest > longest:
        raise _invalid(
            f"conflict topic config setting min.compaction.lag.ms ({shortest}) > "
            f"max.compaction.lag.ms ({longest})"
        )
    if parsed.get("remote.storage.enable"):
        raise _invalid(
            "Tiered Storage functionality is disabled in the broker. Topic cannot be configured "
            "with remote log storage."
        )


def check_group_config(layers: BrokerLayers, values: Mapping[str, str]) -> None:
    """Refuse what a group can't have, or may not have by the broker's bounds.

    Raises:
        ProtocolError: INVALID_CONFIG, in Kafka's words.
    """
    broker = BrokerConfig(layers)
    parsed = _parsed(GROUP_KEYS, values, "group")
    for name, value in parsed.items():
        kind, _, rest = name.partition(".")
        lowest, highest = f"group.{kind}.min.{rest}", f"group.{kind}.max.{rest}"
        if not isinstance(value, int):
            continue
        if lowest in BROKER_KEYS and value < broker.integer(lowest):
            raise _invalid(f"{name} must be greater than or equal to {lowest}")
        if highest in BROKER_KEYS and value > broker.integer(highest):
            raise _invalid(f"{name} must be less than or equal to {highest}")
    for kind in ("consumer", "share", "streams"):
        session, heartbeat = f"{kind}.session.timeout.ms", f"{kind}.heartbeat.interval.ms"
        if session not in parsed and heartbeat not in parsed:
            continue
        values_ms = [
            parsed[name] if name in parsed else broker.value(GROUP_SYNONYMS[name])
            for name in (session, heartbeat)
        ]
        session_ms, heartbeat_ms = values_ms
        assert isinstance(session_ms, int)
        assert isinstance(heartbeat_ms, int)
        if session_ms <= heartbeat_ms:
            raise _invalid(f"{session} must be greater than {heartbeat}")


def check_broker_config(values: Mapping[str, str], *, is_cluster_default: bool) -> None:
    """Refuse what can't be set for a running broker, or not for all of them.

    Raises:
        ProtocolError: INVALID_REQUEST, which is what Kafka answers here, in its words.
    """
    _refuse(
        "Cannot update these configs dynamically",
        (
            name
            for name in values
            if name in BROKER_KEYS and BROKER_KEYS[name].update_mode is UpdateMode.READ_ONLY
        ),
    )
    _refuse(
        "These security configs can be dynamically updated only per-listener using the listener "
        "prefix",
        (name for name in values if name in _SECURITY_KEYS),
    )
    for name, text in values.items():
        key = find_broker_key(name)
        if key is None:
            continue
        try:
            key.parse(text)
        except ConfigValueError as error:
            raise ProtocolError(ErrorCode.INVALID_REQUEST, str(error)) from error
    if is_cluster_default:
        _refuse(
            "Cannot update these configs at default cluster level, broker id must be specified",
            (name for name in values if _is_per_broker(name)),
        )


def _is_per_broker(name: str) -> bool:
    base = without_listener(name)
    if base is not None:
        return base not in _CLUSTER_WIDE_LISTENER_KEYS
    key = BROKER_KEYS.get(name)
    return key is not None and key.update_mode is UpdateMode.PER_BROKER


def _refuse(problem: str, names: Iterable[str]) -> None:
    refused = sorted(names)
    if refused:
        raise ProtocolError(ErrorCode.INVALID_REQUEST, f"{problem}: [{', '.join(refused)}]")


def _parsed(
    keys: Mapping[str, ConfigKey], values: Mapping[str, str], kind: str
) -> dict[str, ConfigValue]:
    parsed = {}
    for name, text in values.items():
        if name not in keys:
            raise _invalid(f"Unknown {kind} config name: {name[:200]}")
        try:
            parsed[name] = keys[name].parse(text)
        except ConfigValueError as error:
            raise _invalid(str(error)) from error
    return parsed


def _invalid(message: str) -> ProtocolError:
    return ProtocolError(ErrorCode.INVALID_CONFIG, message)
