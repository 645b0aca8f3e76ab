"""The same script with kafka-python and with Ottla under its names: the same results.

A script tells what it sees to ``see``; what differs from run to run (ids, times, names of topics)
it leaves out or replaces.
"""

from __future__ import annotations

import importlib
import json
import time
import warnings
from collections.abc import Callable
from typing import Any

import pytest

from ottla.testing.waiting import eventually

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning")

Unique = Callable[[str], str]
NewTopic = Callable[..., str]
See = Callable[..., None]


class Library:
    """One of the two, with what its scripts saw."""

    def __init__(self, name: str, bootstrap: str) -> None:
        self.seen: list[Any] = []
        self.bootstrap = bootstrap
        self._name = name
        self._open: list[Any] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(importlib.import_module(self._name), name)

    def module(self, name: str) -> Any:
        return importlib.import_module(f"{self._name}.{name}")

    def producer(self, **settings: Any) -> Any:
        return self._keep(self.KafkaProducer, settings)

    def consumer(self, *topics: str, **settings: Any) -> Any:
        return self._keep(self.KafkaConsumer, {"auto_offset_reset": "earliest", **settings}, topics)

    def admin(self) -> Any:
        return self._keep(self.KafkaAdminClient, {})

    def _keep(self, make: Any, settings: dict[str, Any], arguments: tuple[str, ...] = ()) -> Any:
        client = make(*arguments, **{"bootstrap_servers": self.bootstrap, **settings})
        self._open.append(client)
        return client

    def see(self, *what: Any) -> None:
        self.seen.append(tuple(_plain(each) for each in what))

    def refused(self, call: Callable[[], Any]) -> None:
        """Notes the exception that the call raises, and those that it is one of."""
        with pytest.raises(Exception) as raised:
            call()
        kinds = [kind.__name__ for kind in type(raised.value).__mro__]
        self.see(kinds, getattr(raised.value, "errno", None), _retriable(raised.value))

    def close(self) -> None:
        for client in self._open:
            client.close()


def _retriable(error: BaseException) -> bool:
    return bool(getattr(error, "retriable", False))


def _key(key: Any) -> str:
    return key if isinstance(key, str) else repr(_plain(key))


def _plain(value: Any) -> Any:
    """Named tuples of either library are equal when their fields are."""
    if isinstance(value, tuple) and hasattr(value, "_asdict"):
        return {name: _plain(each) for name, each in value._asdict().items()}
    if isinstance(value, set | frozenset):
        return sorted(map(repr, map(_plain, value)))
    if isinstance(value, dict):
        return {_key(key): _plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    return value


@pytest.fixture
def both(bootstrap: str) -> Callable[[Callable[[Library], None]], list[Any]]:
    """Runs a script with both libraries and returns what was seen, which must be the same."""

    def run(script: Callable[[Library], None]) -> list[Any]:
        seen = []
        for name in ("kafka", "ottla.kafka_python"):
            library = Library(name, bootstrap)
            try:
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")
                    script(library)
            finally:
                library.close()
            seen.append(library.seen)
        theirs, ours = seen
        assert theirs
        assert ours == theirs
        return theirs

    return run


Both = Callable[[Callable[[Library], None]], list[Any]]


def _without(record: Any, topic: str, *names: str) -> dict[str, Any]:
    fields = {name: value for name, value in record._asdict().items() if name not in names}
    assert fields.pop("topic") == topic
    fields.pop("topic_partition", None)
    return fields


def test_what_is_sent_comes_back(both: Both, new_topic: NewTopic) -> None:
    def script(kafka: Library) -> None:
        topic = new_topic(3)
        producer = kafka.producer(
            key_serializer=lambda key: None if key is None else key.encode(),
            value_serializer=lambda value: json.dumps(value).encode(),
        )
        for number in range(12):
            future = producer.send(
                topic,
                {"n": number},
                key=f"user-{number}",
                headers=[("n", b"%d" % number), ("empty", b"")],
                timestamp_ms=1_700_000_000_000 + number,
            )
            kafka.see(_without(future.get(timeout=10), topic))
            kafka.see(future.is_done, future.succeeded(), future.failed(), future.exception)
        kafka.see(_without(producer.send(topic, 1, partition=2).get(10), topic, "timestamp"))
        kafka.see(producer.partitions_for(topic))
        consumer = kafka.consumer(topic, value_deserializer=json.loads, consumer_timeout_ms=5_000)
        records = sorted(next(consumer) for _ in range(13))
        kafka.see([_without(record, topic, "timestamp") for record in records])
        kafka.see({record.timestamp for record in records if record.partition != 2})
        kafka.see(len(consumer.assignment()), consumer.subscription() == {topic})

    seen = both(script)
    assert {entry[0]["partition"] for entry in seen[:24:2]} == {0, 1, 2}


def test_callbacks_of_futures(both: Both, new_topic: NewTopic) -> None:
    def script(kafka: Library) -> None:
        topic = new_topic(1)
        producer = kafka.producer(max_request_size=1000)
        called: list[Any] = []
        future = producer.send(topic, b"x")
        future.add_callback(lambda *arguments: called.append(arguments), "given")
        future.add_errback(called.append)
        producer.flush(timeout=10)
        producer.close()
        ((given, metadata),) = called
        kafka.see(given, _without(metadata, topic, "timestamp"))

    both(script)


def test_what_is_refused(both: Both, new_topic: NewTopic, unique: Unique) -> None:
    def script(kafka: Library) -> None:
        topic = new_topic(1)
        producer = kafka.producer(max_block_ms=300, max_request_size=1000)
        for call in (
            lambda: producer.send(topic),
            lambda: producer.send(topic, "text"),
            lambda: producer.send(topic, b"x", key=5),
            lambda: producer.send(5, b"x"),
            lambda: producer.send(topic, b"x", partition=7),
            lambda: producer.send(topic, b"x", partition=-1),
            lambda: producer.send(topic, b"x", headers={"a": b"b"}),
            lambda: producer.send(topic, b"x", headers=[("a", "b")]),
            producer.init_transactions,
            producer.begin_transaction,
            lambda: kafka.producer(no_such_setting=1),
            lambda: kafka.producer(compression_type="zip"),
        ):
            kafka.refused(call)
        producer.close()
        kafka.refused(lambda: producer.send(topic, b"x"))
        consumer = kafka.consumer(topic)
        partition = kafka.TopicPartition(topic, 0)
        consumer.poll(1000)
        for call in (
            lambda: consumer.commit(),
            lambda: consumer.committed(partition),
            lambda: consumer.seek(partition, -1),
            lambda: consumer.seek(kafka.TopicPartition("other", 0), 1),
            lambda: consumer.pause(kafka.TopicPartition("other", 0)),
            lambda: consumer.position(kafka.TopicPartition("other", 0)),
            lambda: consumer.subscribe("topic"),
            lambda: consumer.subscribe(),
            lambda: consumer.subscribe([topic], pattern="x"),
            lambda: consumer.assign([partition]),
            lambda: kafka.consumer(no_such_setting=1),
        ):
            kafka.refused(call)
        consumer.close()
        kafka.refused(lambda: consumer.poll(0))
        kafka.refused(lambda: next(consumer))

    both(script)


def test_positions_and_commits(both: Both, new_topic: NewTopic, unique: Unique) -> None:
    def script(kafka: Library) -> None:
        topic, group = new_topic(1), unique("group")
        partition = kafka.TopicPartition(topic, 0)
        producer = kafka.producer()
        for number in range(10):
            producer.send(topic, b"%d" % number, timestamp_ms=1_000 + number)
        producer.flush()

        def consumer() -> Any:
            made = kafka.consumer(group_id=group, enable_auto_commit=False)
            made.assign([partition])
            return made

        def read(client: Any, count: int) -> list[bytes]:
            values: list[bytes] = []
            while len(values) < count:
                for records in client.poll(1000, max_records=count - len(values)).values():
                    values += [record.value for record in records]
            return values

        first = consumer()
        kafka.see(first.committed(partition), first.position(partition))
        kafka.see(read(first, 4), first.position(partition), first.highwater(partition))
        first.commit()
        kafka.see(first.committed(partition), first.committed(partition, metadata=True))
        first.commit({partition: kafka.OffsetAndMetadata(3, "text", -1)})
        kafka.see(first.committed(partition, metadata=True))
        first.seek(partition, 8)
        kafka.see(first.position(partition), read(first, 2))
        first.seek_to_beginning()
        kafka.see(first.position(partition), read(first, 1))
        first.seek_to_end(partition)
        kafka.see(first.position(partition))
        kafka.see([end[partition] for end in (first.beginning_offsets([partition]),
                                              first.end_offsets([partition]))])  # fmt: skip
        times = first.offsets_for_times({partition: 1_005})
        kafka.see(times[partition].offset, times[partition].timestamp)
        kafka.see(first.offsets_for_times({partition: 5_000})[partition])
        first.pause(partition)
        kafka.see(len(first.paused()), first.poll(200))
        first.resume(partition)
        kafka.see(len(first.paused()))
        first.close()
        second = consumer()
        kafka.see(second.position(partition), read(second, 1), second.position(partition))
        told: list[Any] = []
        second.commit_async(callback=lambda offsets, error: told.append((offsets, error)))
        deadline = time.monotonic() + 10
        while not told and time.monotonic() < deadline:
            second.poll(50)
        ((offsets, error),) = told
        kafka.see([each.offset for each in offsets.values()], error)

    both(script)


def test_groups_and_listeners(both: Both, new_topic: NewTopic, unique: Unique) -> None:
    def script(kafka: Library) -> None:
        topic, group = new_topic(2), unique("group")
        told: list[Any] = []

        class Listener(kafka.ConsumerRebalanceListener):  # type: ignore[misc, name-defined]
            def on_partitions_revoked(self, revoked: set[Any]) -> None:
                if revoked:
                    told.append(("revoked", sorted(each.partition for each in revoked)))

            def on_partitions_assigned(self, assigned: set[Any]) -> None:
                if assigned:
                    told.append(("assigned", sorted(each.partition for each in assigned)))

        producer = kafka.producer()
        for number in range(4):
            producer.send(topic, b"%d" % number, partition=number % 2)
        producer.flush()
        consumer = kafka.consumer(group_id=group)
        consumer.subscribe([topic], listener=Listener())
        values: list[bytes] = []
        while len(values) < 4:
            for records in consumer.poll(1000).values():
                values += [record.value for record in records]
        kafka.see(sorted(values), told, sorted(each.partition for each in consumer.assignment()))
        metadata = consumer.group_metadata()
        kafka.see(metadata.group_id == group, metadata.generation_id > 0, metadata.state)
        consumer.close()
        kafka.see(told)
        # Closing committed what had been read.
        again = kafka.consumer(group_id=group)
        kafka.see([again.committed(kafka.TopicPartition(topic, number)) for number in (0, 1)])

    both(script)


def test_a_consumer_without_a_place_to_begin(
    both: Both, new_topic: NewTopic, unique: Unique
) -> None:
    def script(kafka: Library) -> None:
        consumer = kafka.consumer(group_id=unique("group"), auto_offset_reset="none")
        consumer.assign([kafka.TopicPartition(new_topic(1), 0)])
        kafka.refused(lambda: consumer.poll(5_000))

    both(script)


def test_a_transaction(both: Both, new_topic: NewTopic, unique: Unique) -> None:
    def script(kafka: Library) -> None:
        topic, group = new_topic(1), unique("group")
        partition = kafka.TopicPartition(topic, 0)
        producer = kafka.producer(transactional_id=unique("transaction"))
        producer.init_transactions()
        producer.begin_transaction()
        producer.send(topic, b"given up")
        producer.abort_transaction()
        producer.begin_transaction()
        producer.send(topic, b"kept")
        offsets = {partition: kafka.OffsetAndMetadata(7, "", -1)}
        producer.send_offsets_to_transaction(offsets, group)
        producer.commit_transaction()
        reader = kafka.consumer(topic, isolation_level="read_committed")
        kafka.see(next(reader).value)
        other = kafka.consumer(group_id=group)
        kafka.see(other.committed(partition))

    both(script)


def test_administration(both: Both, unique: Unique) -> None:
    def script(kafka: Library) -> None:
        values = kafka.module("admin")
        admin, topic = kafka.admin(), unique("topic")
        (made,) = admin.create_topics(
            [values.NewTopic(topic, 2, 1, topic_configs={"retention.ms": "60000"})]
        )["topics"]
        kafka.see(made["error_code"], made["num_partitions"], made["replication_factor"])
        kafka.refused(lambda: admin.create_topics([values.NewTopic(topic, 1, 1)]))
        again = admin.create_topics([topic], raise_errors=False)["topics"]
        kafka.see([each["error_code"] for each in again])
        eventually(lambda: topic in admin.list_topics(), what="the topic")
        (described,) = admin.describe_topics([topic])
        kafka.see(described["error_code"], described["is_internal"], described["partitions"])
        kafka.see(described["topic_id"] == made["topic_id"])
        admin.create_partitions({topic: values.NewPartitions(3)})
        eventually(
            lambda: len(admin.describe_topics([topic])[0]["partitions"]) == 3, what="3 partitions"
        )
        resource = values.ConfigResource(values.ConfigResourceType.TOPIC, topic)
        entry = admin.describe_configs([resource])["topic"][topic]["retention.ms"]
        kafka.see(entry["value"], entry["config_source"], entry["read_only"])
        change = values.ConfigResource("topic", topic, {"retention.ms": "70000"})
        kafka.see(admin.alter_configs([change])["topic"][topic])
        eventually(lambda: "70000" in str(admin.describe_configs([resource])), what="the new value")
        cluster = admin.describe_cluster()
        kafka.see(sorted(cluster), [broker["broker_id"] for broker in cluster["brokers"]])
        kafka.see([each["error_code"] for each in admin.delete_topics([topic])["topics"]])
        kafka.refused(lambda: admin.delete_topics([topic]))

    both(script)


def test_administration_of_groups(both: Both, new_topic: NewTopic, unique: Unique) -> None:
    def script(kafka: Library) -> None:
        admin, topic, group = kafka.admin(), new_topic(1), unique("group")
        partition = kafka.TopicPartition(topic, 0)
        producer = kafka.producer()
        producer.send(topic, b"x")
        producer.send(topic, b"y")
        producer.flush()
        consumer = kafka.consumer(group_id=group)
        consumer.assign([partition])
        consumer.commit({partition: kafka.OffsetAndMetadata(2, "m", -1)})
        consumer.close()
        (listed,) = [each for each in admin.list_groups() if each["group_id"] == group]
        kafka.see(listed["group_state"], listed["group_type"], listed["protocol_type"])
        found = admin.describe_groups([group])[group]
        kafka.see(found["group_state"], found["members"], found["error"])
        kafka.see(admin.list_group_offsets(group)[group][partition])
        deleted = admin.delete_records({partition: 1})[partition]
        kafka.see(deleted["low_watermark"], deleted["error_code"])
        kafka.see(admin.delete_groups([group])[group], admin.delete_groups(["none"])["none"])

    both(script)


def test_log_directories(both: Both, new_topic: NewTopic) -> None:
    def script(kafka: Library) -> None:
        admin, topic = kafka.admin(), new_topic(2)
        for wanted in ([topic], {topic: [1]}, {topic: [0, 1]}):
            for broker in admin.describe_log_dirs(wanted):
                for each in broker["log_dirs"]:
                    kafka.see(broker["broker"], sorted(each), each["error_code"])
                    kafka.see(each["total_bytes"] > each["usable_bytes"] > 0)
                    for found in each["topics"]:
                        assert found.pop("name") == topic
                        kafka.see(sorted(found["partitions"], key=str))
        everything = admin.describe_log_dirs(brokers=[1])
        kafka.see(topic in str(everything))

    both(script)


# kafka-python leaves sockets open in these cases, so its part is written down.


def test_no_broker() -> None:
    ours = Library("ottla.kafka_python", "127.0.0.1:1")
    for make in (ours.KafkaProducer, ours.KafkaConsumer, ours.KafkaAdminClient):
        with pytest.raises(ours.module("errors").KafkaTimeoutError, match="Unable to bootstrap"):
            make(bootstrap_servers=ours.bootstrap, bootstrap_timeout_ms=300)


@pytest.mark.parametrize(
    "settings",
    [
        {"acks": 1, "enable_idempotence": True},
        {"retries": 0, "transactional_id": "t"},
        {"transactional_id": "t", "enable_idempotence": False},
    ],
)
def test_settings_that_exclude_each_other(settings: dict[str, Any]) -> None:
    ours = Library("ottla.kafka_python", "127.0.0.1:1")
    with pytest.raises(ours.module("errors").KafkaConfigurationError):
        ours.producer(**settings)


def test_the_errors_are_those_of_kafka_python() -> None:
    theirs = importlib.import_module("kafka.errors")
    ours = importlib.import_module("ottla.kafka_python.errors")
    codes = [code for code in theirs.kafka_errors if code is not None]
    assert len(codes) > 120
    for code in codes:
        wanted, made = theirs.for_code(code), ours.for_code(code)
        # Where kafka-python has two names for a code, either will do.
        names = {
            name
            for name, each in vars(theirs).items()
            if isinstance(each, type) and getattr(each, "errno", None) == code
        }
        assert made.__name__ in names
        assert (made.retriable, made.invalid_metadata) == (
            wanted.retriable,
            wanted.invalid_metadata,
        )
        assert getattr(ours, made.__name__) is made
        assert str(made("text")).startswith(f"[Error {code}] {made.__name__}: text")
    assert ours.for_code(9999).errno == 9999
