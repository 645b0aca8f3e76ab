"""Our client beside confluent_kafka against Apache Kafka 2.1, the oldest broker it speaks to."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import ottla
from ottla.testing.old_kafka import OldKafka, why_unavailable
from ottla.testing.side_by_side import Run, Script, differences, library
from ottla.testing.waiting import eventually

pytestmark = [
    pytest.mark.jvm,
    pytest.mark.slow,
    pytest.mark.skipif(why_unavailable() is not None, reason=why_unavailable() or ""),
]

CODECS = ["none", "gzip", "snappy", "lz4", "zstd"]
LIMIT_S = 20


@pytest.fixture(scope="module")
def servers() -> Iterator[str]:
    with OldKafka() as running:
        yield running.bootstrap_servers


@pytest.fixture
def compare(servers: str) -> Callable[[Script], None]:
    def run_with_both(script: Script) -> None:
        libraries = [library("confluent_kafka"), library("ottla")]
        found = differences(script, libraries, servers)
        assert not found, f"\n{found}"

    return run_with_both


def new_topic(run: Run, partitions: int = 1) -> str:
    """A topic that can be used; the harness's own would be made with requests this broker lacks."""
    name = run.name("topic")
    admin = run.admin_client()
    admin.create_topics([run.admin.NewTopic(name, partitions, 1)])[name].result(LIMIT_S)

    def has_leaders() -> bool:
        found = admin.list_topics(timeout=LIMIT_S).topics.get(name)
        return found is not None and sorted(found.partitions) == list(range(partitions))

    eventually(has_leaders, what="leaders")
    return name


@pytest.mark.parametrize("acks", [0, 1, -1])
def test_messages_of_every_codec(compare: Callable[[Script], None], acks: int) -> None:
    def script(run: Run) -> None:
        topic = new_topic(run)
        consumer = run.consumer({"check.crcs": True})
        partition = run.kafka.TopicPartition(topic, 0, 0)
        consumer.assign([partition])
        for codec in CODECS:
            producer = run.producer({"acks": acks, "compression.type": codec, "linger.ms": 50})
            for number in range(3):
                value = codec.encode() * 1000
                producer.produce(topic, value, "k", 0, headers=[("n", str(number))])
            run.call(codec, producer.flush, LIMIT_S)
            # Without acknowledgements nobody knows when they are there.
            for _ in range(3):
                message = consumer.poll(LIMIT_S)
                run.note("headers", message.offset(), message.headers(), message.value() == value)
        run.call("range", consumer.get_watermark_offsets, partition)

    compare(script)


def test_idempotent_messages(compare: Callable[[Script], None]) -> None:
    def script(run: Run) -> None:
        topic = new_topic(run)
        producer = run.producer({"enable.idempotence": True, "linger.ms": 0})
        for number in range(50):
            producer.produce(
                topic, str(number), partition=0, on_delivery=run.callback("report", only=[0])
            )
            producer.poll(0)
        run.call("flush", producer.flush, LIMIT_S)
        consumer = run.consumer()
        consumer.assign([run.kafka.TopicPartition(topic, 0, 0)])
        run.messages(consumer, 50)

    compare(script)


def test_transactions(compare: Callable[[Script], None]) -> None:
    def script(run: Run) -> None:
        source, target, group = new_topic(run), new_topic(run), run.name("group")
        run.fill(source, [b"in"])
        reader = run.consumer({"group.id": group, "isolation.level": "read_committed"})
        reader.subscribe([source])
        [message] = run.messages(reader, 1)
        producer = run.producer({"transactional.id": run.name("producer")})
        run.call("init", producer.init_transactions, LIMIT_S)
        for outcome in ("abort", "commit"):
            run.call("begin", producer.begin_transaction)
            producer.produce(target, outcome, on_delivery=run.callback("report", only=[0]))
            run.call("flush", producer.flush, LIMIT_S)
            offsets = [run.kafka.TopicPartition(source, 0, message.offset() + 1)]
            metadata = reader.consumer_group_metadata()
            run.call("offsets", producer.send_offsets_to_transaction, offsets, metadata, LIMIT_S)
            run.call(outcome, getattr(producer, f"{outcome}_transaction"), LIMIT_S)
            run.call("committed", reader.committed, offsets, LIMIT_S)
        for isolation in ("read_committed", "read_uncommitted"):
            seen = run.consumer({"isolation.level": isolation})
            seen.assign([run.kafka.TopicPartition(target, 0, 0)])
            run.messages(seen, 1 if isolation == "read_committed" else 2, isolation)

    compare(script)


@pytest.mark.parametrize("strategy", ["range", "roundrobin", "cooperative-sticky"])
def test_groups(compare: Callable[[Script], None], strategy: str) -> None:
    def script(run: Run) -> None:
        topic, group = new_topic(run, 4), run.name("group")
        for partition in range(4):
            run.fill(topic, [f"{partition}".encode()], partition, timestamp=1_600_000_000_000)
        settings = {
            "group.id": group,
            "partition.assignment.strategy": strategy,
            "session.timeout.ms": 6000,
            "heartbeat.interval.ms": 100,
        }
        first, second = run.consumer(settings), run.consumer(settings)
        first.subscribe([topic])

        def has_all() -> bool:
            first.poll(0.05)
            return len(first.assignment()) == 4

        eventually(has_all, timeout_seconds=60, what="an assignment")
        first.close()
        second.subscribe([f"^{topic}$"])
        run.messages_in_any_order(second, 4)
        run.call("commit", second.commit, asynchronous=False)
        third = run.consumer(settings)
        third.subscribe([topic])

        def shared() -> bool:
            second.poll(0.05)
            third.poll(0.05)
            return len(second.assignment()) == len(third.assignment()) == 2

        eventually(shared, timeout_seconds=60, what="two partitions each")
        partitions = [run.kafka.TopicPartition(topic, number) for number in range(4)]
        run.call("committed", second.committed, partitions, LIMIT_S)
        early = [run.kafka.TopicPartition(topic, number, 1_500_000_000_000) for number in range(4)]
        run.call("for times", second.offsets_for_times, early, LIMIT_S)
        run.call("close", second.close)

    compare(script)


def test_static_members_need_a_younger_broker(compare: Callable[[Script], None]) -> None:
    def script(run: Run) -> None:
        topic = new_topic(run)
        run.fill(topic, [b"x"])
        consumer = run.consumer({"group.instance.id": "static", "session.timeout.ms": 6000})
        consumer.subscribe([topic])
        run.call("poll", consumer.poll, LIMIT_S)

    compare(script)


def test_the_new_protocol_of_groups_is_missed_at_once(servers: str) -> None:
    # confluent_kafka goes on asking, and tells nobody.
    settings = {"bootstrap.servers": servers, "group.id": "g", "group.protocol": "consumer"}
    consumer = ottla.Consumer({**settings, "log_level": 0})
    consumer.subscribe(["t"])
    message = consumer.poll(LIMIT_S)
    consumer.close()
    assert message is not None
    error = message.error()
    assert error is not None
    assert error == ottla.KafkaError._FATAL
    assert "ConsumerGroupHeartbeat" in error.str()


class Administration:
    """Calls of an admin client about a topic and a group, each with what is noted of its answer."""

    def __init__(self, run: Run, topic: str, group: str) -> None:
        self._run, self._admin = run, run.admin_client()
        self._topic, self._group = topic, group

    def make(self, name: str) -> None:
        """Make a call and note its outcome."""
        try:
            told = getattr(self, name)()
        except self._run.kafka.KafkaException as error:
            # Which version is missed may be said in other words.
            self._run.note(f"{name} raised", error.args[0].name())
        else:
            self._run.note(name, told)

    def _only(self, futures: Any) -> Any:
        [future] = futures.values()
        return future.result(LIMIT_S)

    def _partition(self, offset: int = -1001) -> Any:
        return self._run.kafka.TopicPartition(self._topic, 0, offset)

    def create_partitions(self) -> Any:
        wanted = self._run.admin.NewPartitions(self._topic, 2)
        return self._only(self._admin.create_partitions([wanted]))

    def alter_configs(self) -> Any:
        changed = self._run.admin.ConfigResource("topic", self._topic, {"retention.ms": "5000000"})
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            return self._only(self._admin.alter_configs([changed]))

    def incremental_alter_configs(self) -> Any:
        names = self._run.admin
        operation = names.AlterConfigOpType.SET
        entry = names.ConfigEntry("retention.ms", "1", incremental_operation=operation)
        changed = names.ConfigResource("topic", self._topic, incremental_configs=[entry])
        return self._only(self._admin.incremental_alter_configs([changed]))

    def describe_configs(self) -> Any:
        resource = self._run.admin.ConfigResource("topic", self._topic)
        found = self._only(self._admin.describe_configs([resource]))
        return {
            name: (each.value, each.is_default, each.source, each.is_read_only)
            for name, each in sorted(found.items())
        }

    def describe_cluster(self) -> Any:
        found = self._admin.describe_cluster().result(LIMIT_S)
        return len(found.cluster_id), found.controller.id, [each.id for each in found.nodes]

    def describe_cluster_and_rights(self) -> Any:
        future = self._admin.describe_cluster(include_authorized_operations=True)
        return future.result(LIMIT_S).authorized_operations

    def describe_topics(self) -> Any:
        topics = self._run.kafka.TopicCollection([self._topic])
        found = self._only(self._admin.describe_topics(topics))
        return found.name, found.is_internal, [each.id for each in found.partitions]

    def list_consumer_groups(self) -> Any:
        found = self._admin.list_consumer_groups().result(LIMIT_S)
        return [
            (each.group_id, each.is_simple_consumer_group, each.state, each.type)
            for each in found.valid
            if each.group_id == self._group
        ], found.errors

    def describe_consumer_groups(self) -> Any:
        found = self._only(self._admin.describe_consumer_groups([self._group]))
        return found.group_id, found.state, found.type, found.members, found.coordinator.id

    def list_consumer_group_offsets(self) -> Any:
        wanted = self._run.kafka.ConsumerGroupTopicPartitions(self._group)
        return self._only(self._admin.list_consumer_group_offsets([wanted])).topic_partitions

    def alter_consumer_group_offsets(self) -> Any:
        partitions = [self._partition(2)]
        wanted = self._run.kafka.ConsumerGroupTopicPartitions(self._group, partitions)
        return self._only(self._admin.alter_consumer_group_offsets([wanted])).topic_partitions

    def list_offsets(self) -> Any:
        latest = {self._partition(): self._run.admin.OffsetSpec.latest()}
        return self._only(self._admin.list_offsets(latest)).offset

    def delete_records(self) -> Any:
        return self._only(self._admin.delete_records([self._partition(1)])).low_watermark

    def elect_leaders(self) -> Any:
        preferred = self._run.kafka.ElectionType.PREFERRED
        return self._admin.elect_leaders(preferred, [self._partition()]).result(LIMIT_S)

    def describe_user_scram_credentials(self) -> Any:
        return self._admin.describe_user_scram_credentials().result(LIMIT_S)

    def delete_consumer_groups(self) -> Any:
        return self._only(self._admin.delete_consumer_groups([self._group]))

    def delete_topics(self) -> Any:
        return self._only(self._admin.delete_topics([self._topic]))


def test_administration(compare: Callable[[Script], None]) -> None:
    def script(run: Run) -> None:
        topic, group = new_topic(run), run.name("group")
        run.fill(topic, [b"0", b"1"])
        consumer = run.consumer({"group.id": group})
        first = run.kafka.TopicPartition(topic, 0, 1)
        run.call("commit", consumer.commit, offsets=[first], asynchronous=False)
        consumer.close()
        administration = Administration(run, topic, group)
        for name in vars(Administration):
            if not name.startswith("_") and name != "make":
                administration.make(name)

    compare(script)
