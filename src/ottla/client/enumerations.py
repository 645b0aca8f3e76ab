"""The client's public enumerations; their members are ordered and their values Kafka's."""

from __future__ import annotations

from enum import Enum, IntEnum
from typing import TypeVar


class OrderedEnum(Enum):
    """An enumeration whose members are ordered by their values."""

    def __lt__(self, other: object) -> bool:
        if not isinstance(other, type(self)):
            return NotImplemented
        return bool(self.value < other.value)


Member = TypeVar("Member", bound=OrderedEnum)


def as_member(value: Member | str | int, enumeration: type[Member]) -> Member:
    """The member that is meant by its value, by its name in any case, or by itself.

    Raises:
        ValueError: there is no such member.
        TypeError: the value is of another type.
    """
    if isinstance(value, str):
        try:
            return enumeration[value.upper()]
        except KeyError:
            message = f'Unknown value "{value}": should be a {enumeration.__name__}'
            raise ValueError(message) from None
    if isinstance(value, int):
        return enumeration(value)
    if not isinstance(value, enumeration):
        raise TypeError(f'Unknown value "{value}": should be a {enumeration.__name__}')
    return value


class ConsumerGroupState(OrderedEnum):
    """What a consumer group is doing."""

    UNKNOWN = 0
    UNKOWN = 0  # confluent_kafka's misspelling, kept for the programs that use it
    PREPARING_REBALANCING = 1
    COMPLETING_REBALANCING = 2
    STABLE = 3
    DEAD = 4
    EMPTY = 5


class ConsumerGroupType(OrderedEnum):
    """Which protocol a consumer group uses: the new one (KIP-848) or the classic one."""

    UNKNOWN = 0
    CONSUMER = 1
    CLASSIC = 2


class IsolationLevel(OrderedEnum):
    """Whether records of aborted and open transactions are visible."""

    READ_UNCOMMITTED = 0
    READ_COMMITTED = 1


class ElectionType(OrderedEnum):
    """Which replicas may be elected: the preferred one, or also one out of sync."""

    PREFERRED = 0
    UNCLEAN = 1


class AcknowledgeType(IntEnum):
    """What a share consumer did with a record: processed it, gives it back, or refuses it."""

    ACCEPT = 1
    RELEASE = 2
    REJECT = 3
    # Further than confluent_kafka goes: it needs more time for the record (KIP-1222).
    RENEW = 4


class ResourceType(OrderedEnum):
    """The kinds of things that have a configuration or access rules."""

    UNKNOWN = 0
    ANY = 1
    TOPIC = 2
    GROUP = 3
    BROKER = 4
    CLUSTER = 4  # what access rules have instead of brokers
    TRANSACTIONAL_ID = 5
    # Further than confluent_kafka goes: two with access rules, two with a configuration.
    DELEGATION_TOKEN = 6
    USER = 7
    BROKER_LOGGER = 8
    CLIENT_METRICS = 16


class ResourcePatternType(OrderedEnum):
    """How the name of an access rule is compared with names of resources."""

    UNKNOWN = 0
    ANY = 1
    MATCH = 2
    LITERAL = 3
    PREFIXED = 4


class AclOperation(OrderedEnum):
    """What an access rule allows or denies."""

    UNKNOWN = 0
    ANY = 1
    ALL = 2
    READ = 3
    WRITE = 4
    CREATE = 5
    DELETE = 6
    ALTER = 7
    DESCRIBE = 8
    CLUSTER_ACTION = 9
    DESCRIBE_CONFIGS = 10
    ALTER_CONFIGS = 11
    IDEMPOTENT_WRITE = 12
    # Further than confluent_kafka goes (KIP-373, KIP-939).
    CREATE_TOKENS = 13
    DESCRIBE_TOKENS = 14
    TWO_PHASE_COMMIT = 15


class AclPermissionType(OrderedEnum):
    """Whether an access rule allows or denies."""

    UNKNOWN = 0
    ANY = 1
    DENY = 2
    ALLOW = 3


class AlterConfigOpType(Enum):
    """What an incremental change does to one configuration entry."""

    SET = 0
    DELETE = 1
    APPEND = 2
    SUBTRACT = 3


class ConfigSource(Enum):
    """Where a configuration value comes from."""

    UNKNOWN_CONFIG = 0
    DYNAMIC_TOPIC_CONFIG = 1
    DYNAMIC_BROKER_CONFIG = 2
    DYNAMIC_DEFAULT_BROKER_CONFIG = 3
    STATIC_BROKER_CONFIG = 4
    DEFAULT_CONFIG = 5
    DYNAMIC_BROKER_LOGGER_CONFIG = 6
    DYNAMIC_CLIENT_METRICS_CONFIG = 7
    GROUP_CONFIG = 8


class ScramMechanism(OrderedEnum):
    """The SASL/SCRAM mechanisms."""

    UNKNOWN = 0
    SCRAM_SHA_256 = 1
    SCRAM_SHA_512 = 2
