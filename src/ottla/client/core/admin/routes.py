"""Who is asked about which item: the controller, any broker, a leader, a coordinator.

Leaders and coordinators are looked up first, and anew when an answer shows that they have moved.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Generic, NamedTuple, TypeAlias, TypeVar

from ottla.client.core.admin.outcomes import error_of
from ottla.client.core.targets import ANY, CONTROLLER, KeyType, Target
from ottla.client.errors import KafkaError
from ottla.client.values import Node, TopicPartition
from ottla.wire.api.k03_metadata import MetadataRequest, MetadataResponse, TopicToDescribe
from ottla.wire.api.k10_find_coordinator import (
    FindCoordinatorRequest,
    FindCoordinatorResponse,
)
from ottla.wire.declare import Message
from ottla.wire.errors import ErrorCode

K = TypeVar("K")
# A message, or what makes it once the version is known.
Request: TypeAlias = Message | Callable[[int], Message]

_FIRST_WITH_MANY_KEYS = 4


def _timed_out(waiting_for: str) -> KafkaError:
    # The texts are confluent_kafka's.
    return KafkaError(KafkaError._TIMED_OUT, f"{waiting_for}: Local: Timed out")


# What is said of items that nobody could be asked about in time.
NO_CONTROLLER = _timed_out("Failed while waiting for controller")
NO_BROKER = _timed_out("Failed while waiting for broker")
NO_RESPONSE = _timed_out("Failed while waiting for response from broker")
NO_LEADERS = _timed_out("Failed to query partition leaders")
TIMED_OUT = KafkaError(KafkaError._TIMED_OUT)
NO_TRANSPORT = KafkaError(KafkaError._TRANSPORT)
_UNANSWERED = (
    (NO_CONTROLLER, NO_RESPONSE),
    (NO_BROKER, NO_RESPONSE),
    (NO_TRANSPORT, TIMED_OUT),
)


class Lookup(NamedTuple):
    """A request that tells who is to be asked about some items."""

    target: Target
    keys: tuple[Any, ...]
    request: Request
    answer: type[Message]
    at_least: int = 0


class Route(Generic[K]):
    """Who is asked: this one always the same, subclasses whoever is responsible for the item.

    Attributes:
        timed_out: the error when nobody could be asked in time.
        is_batched: whether one request may be about several items.
    """

    timed_out: KafkaError
    is_batched: bool = True

    def __init__(self, target: Target, timed_out: KafkaError) -> None:
        self._target = target
        self.timed_out = timed_out

    @property
    def unanswered(self) -> KafkaError:
        """The error when somebody was asked and did not answer in time."""
        for nobody_asked, not_answered in _UNANSWERED:
            # By identity: errors of one code are equal.
            if self.timed_out is nobody_asked:
                return not_answered
        return self.timed_out

    def target(self, key: K) -> Target | None:
        """Who is asked about an item, None if that has to be looked up."""
        return self._target

    def lookups(self, keys: Sequence[K]) -> Iterable[Lookup]:
        """The requests that tell who is to be asked about these items."""
        return ()

    def learn(self, keys: Sequence[K], answer: Message) -> Iterable[tuple[K, KafkaError | None]]:
        """Take over a lookup's answer; with each item, why nobody can be asked about it."""
        return ()

    def forget(self, key: K) -> None:
        """Whoever was asked is not, or no longer, the one to ask."""

    def has_simpler_lookup(self) -> bool:
        """The broker does not understand the lookup: whether the next one will be simpler."""
        return False


def controller() -> Route[Any]:
    """The controller, whatever the item."""
    return Route(CONTROLLER, NO_CONTROLLER)


def any_broker(timed_out: KafkaError = NO_CONTROLLER) -> Route[Any]:
    """Any broker, whatever the item."""
    return Route(ANY, timed_out)


def broker(broker_id: int) -> Route[Any]:
    """One broker, whatever the item."""
    return Route(broker_id, NO_BROKER)


class Each(Route[K]):
    """Whoever a function says.

    Args:
        target_of: whom to ask about an item.
        timed_out: the error when it could not be asked in time.
    """

    def __init__(self, target_of: Callable[[K], Target], timed_out: KafkaError = NO_BROKER) -> None:
        self.timed_out = timed_out
        self._target_of = target_of

    def target(self, key: K) -> Target:
        return self._target_of(key)


class Leaders(Route[K]):
    """The leader of the item's partition.

    Args:
        partition_of: the topic's name and the partition's number.
    """

    timed_out = NO_LEADERS

    def __init__(self, partition_of: Callable[[K], tuple[str, int]]) -> None:
        self._partition_of = partition_of
        self._leaders: dict[K, int] = {}

    def target(self, key: K) -> Target | None:
        return self._leaders.get(key)

    def lookups(self, keys: Sequence[K]) -> Iterable[Lookup]:
        topics = dict.fromkeys(self._partition_of(key)[0] for key in keys)
        if not topics:
            return
        request = MetadataRequest(
            topics=[TopicToDescribe(name=topic) for topic in topics],
            allow_auto_topic_creation=False,
        )
        yield Lookup(ANY, tuple(keys), request, MetadataResponse)

    def learn(self, keys: Sequence[K], answer: Message) -> Iterable[tuple[K, KafkaError | None]]:
        assert isinstance(answer, MetadataResponse)
        topics = {topic.name: topic for topic in answer.topics}
        for key in keys:
            name, number = self._partition_of(key)
            topic = topics.get(name)
            code: int = ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
            if topic is not None and topic.error_code != ErrorCode.NONE:
                code = topic.error_code
            elif topic is not None:
                for partition in topic.partitions:
                    if partition.partition_index != number:
                        continue
                    code = partition.error_code
                    if partition.leader_id >= 0:
                        self._leaders[key] = partition.leader_id
                        code = ErrorCode.NONE
                    elif code == ErrorCode.NONE:
                        code = ErrorCode.LEADER_NOT_AVAILABLE
            yield key, error_of(code)

    def forget(self, key: K) -> None:
        self._leaders.pop(key, None)


class Coordinators(Route[str]):
    """The coordinator of the group or transactional id that the item is.

    Args:
        key_type: what is coordinated.
        timed_out: the error when it could not be asked in time.
        is_batched: whether a request may be about several items.
    """

    def __init__(
        self,
        key_type: KeyType = KeyType.GROUP,
        timed_out: KafkaError = TIMED_OUT,
        *,
        is_batched: bool = True,
    ) -> None:
        self.timed_out = timed_out
        self.is_batched = is_batched
        self._nodes: dict[str, Node] = {}
        self._key_type = key_type
        self._asks_for_many = True

    def target(self, key: str) -> Target | None:
        node = self._nodes.get(key)
        return None if node is None else node.id

    def node(self, key: str) -> Node:
        """The coordinator that was asked about an item; without an address if none was."""
        return self._nodes.get(key) or Node(-1, "", -1)

    def lookups(self, keys: Sequence[str]) -> Iterable[Lookup]:
        if len(keys) > 1 and self._asks_for_many:
            request = FindCoordinatorRequest(coordinator_keys=list(keys), key_type=self._key_type)
            yield Lookup(ANY, tuple(keys), request, FindCoordinatorResponse, _FIRST_WITH_MANY_KEYS)
            return
        for key in keys:
            yield Lookup(ANY, (key,), self._request(key), FindCoordinatorResponse)

    def has_simpler_lookup(self) -> bool:
        asked_for_many, self._asks_for_many = self._asks_for_many, False
        return asked_for_many

    def _request(self, key: str) -> Callable[[int], Message]:
        def make(version: int) -> Message:
            if version >= _FIRST_WITH_MANY_KEYS:
                return FindCoordinatorRequest(coordinator_keys=[key], key_type=self._key_type)
            return FindCoordinatorRequest(key=key, key_type=self._key_type)

        return make

    def learn(
        self, keys: Sequence[str], answer: Message
    ) -> Iterable[tuple[str, KafkaError | None]]:
        assert isinstance(answer, FindCoordinatorResponse)
        found = {coordinator.key: coordinator for coordinator in answer.coordinators}
        for key in keys:
            # Up to version 3 the answer is about one key, and says so by not naming it.
            coordinator = found.get(key) if found else answer
            if coordinator is None:
                yield key, KafkaError(ErrorCode.COORDINATOR_NOT_AVAILABLE)
                continue
            error = error_of(coordinator.error_code, coordinator.error_message)
            if error is None:
                self._nodes[key] = Node(coordinator.node_id, coordinator.host, coordinator.port)
            yield key, error

    def forget(self, key: str) -> None:
        self._nodes.pop(key, None)


def leaders_of_partitions() -> Leaders[TopicPartition]:
    """The leaders of partitions."""
    return Leaders(lambda partition: (partition.topic, partition.partition))
