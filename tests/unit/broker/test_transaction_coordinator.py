"""The transaction coordinator within a broker: its topic, its markers, restarts, failing disks."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from types import SimpleNamespace
from typing import Any

import pytest

from ottla.broker.api import k27_write_txn_markers as write_txn_markers
from ottla.broker.transaction_markers import TransactionMarkers
from ottla.coordination.transactions.commands import ProducerIdAndEpoch, WriteMarkers
from ottla.log.errors import LogDirectoryFailed
from ottla.metadata.controller.update_features import FeatureLevel, decide_update_features
from ottla.metadata.image import ResourceType
from ottla.metadata.topic_names import TRANSACTION_STATE_TOPIC
from ottla.records.batch import iter_headers
from ottla.wire.api.k10_find_coordinator import FindCoordinatorRequest
from ottla.wire.api.k18_api_versions import ApiVersionsRequest
from ottla.wire.api.k20_delete_topics import DeleteTopicsRequest, TopicToDelete
from ottla.wire.api.k22_init_producer_id import InitProducerIdRequest
from ottla.wire.api.k24_add_partitions_to_txn import AddPartitionsToTxnRequest, TopicToAdd
from ottla.wire.api.k26_end_txn import EndTxnRequest
from ottla.wire.api.k27_write_txn_markers import (
    TopicToMark,
    TxnMarker,
    WriteTxnMarkersRequest,
)
from ottla.wire.api.k65_describe_transactions import DescribeTransactionsRequest
from ottla.wire.declare import ZERO_UUID
from ottla.wire.errors import ErrorCode, ProtocolError

Tell = Callable[..., None]
ID = "mover"


def fail_test(*_: object) -> None:
    raise AssertionError("no disk fails here")


async def begin(client: Any, *partitions: int, timeout_ms: int = 60_000) -> ProducerIdAndEpoch:
    """A producer with an open transaction in partitions of ``t``."""
    found = await client.ask(FindCoordinatorRequest(key=ID, key_type=1), 3)
    assert found.error_code == 0
    init = InitProducerIdRequest(transactional_id=ID, transaction_timeout_ms=timeout_ms)
    granted = await client.ask(init, 5)
    assert granted.error_code == 0
    producer = ProducerIdAndEpoch(granted.producer_id, granted.producer_epoch)
    if partitions:
        assert await add(client, producer, *partitions) == {0}
    return producer


async def add(client: Any, producer: ProducerIdAndEpoch, *partitions: int) -> set[int]:
    request = AddPartitionsToTxnRequest(
        v3_and_below_transactional_id=ID,
        v3_and_below_producer_id=producer.producer_id,
        v3_and_below_producer_epoch=producer.producer_epoch,
        v3_and_below_topics=[TopicToAdd(name="t", partitions=list(partitions))],
    )
    [topic] = (await client.ask(request, 3)).results_by_topic_v3_and_below
    return {each.partition_error_code for each in topic.results_by_partition}


async def end(client: Any, producer: ProducerIdAndEpoch, *, version: int = 5) -> Any:
    request = EndTxnRequest(
        transactional_id=ID,
        producer_id=producer.producer_id,
        producer_epoch=producer.producer_epoch,
        committed=True,
    )
    return await client.ask(request, version)


async def state(client: Any) -> str:
    request = DescribeTransactionsRequest(transactional_ids=[ID])
    [described] = (await client.ask(request, 0)).transaction_states
    assert described.error_code == 0
    name: str = described.transaction_state
    return name


async def until(client: Any, wanted: str) -> None:
    for _ in range(200):
        if await state(client) == wanted:
            return
        await asyncio.sleep(0.1)
    raise AssertionError(f"{await state(client)} instead of {wanted}")


def markers(broker: Any, partition: int) -> list[int]:
    """The producer epochs of the end markers in a partition of ``t``."""
    log = broker.node.partitions.get("t", partition).log
    piece = log.read(0, 1 << 20, end_offset=log.log_end_offset).read()
    return [each.producer_epoch for _, each in iter_headers(piece) if each.is_control]


def test_the_topic_is_as_kafka_makes_it(tell: Tell) -> None:
    async def story(broker: Any, client: Any) -> None:
        await begin(client)
        node = broker.node
        topic = node.cluster.image.topics[TRANSACTION_STATE_TOPIC]
        assert len(topic.partitions) == 7
        values = node.cluster.image.config(ResourceType.TOPIC, TRANSACTION_STATE_TOPIC)
        assert values["segment.bytes"] == "2000000"
        assert values["min.insync.replicas"] == "1", "no more than there are replicas"
        assert values["compression.type"] == "uncompressed"
        assert node.partitions.get(TRANSACTION_STATE_TOPIC, 0).settings.is_compacted

    settings = {
        "transaction.state.log.num.partitions": "7",
        "transaction.state.log.segment.bytes": "2000000",
    }
    tell(story, settings=settings)


def test_a_commit_writes_a_marker_into_every_partition(tell: Tell) -> None:
    async def story(broker: Any, client: Any) -> None:
        await broker.create_topic(client, "t", 3)
        producer = await begin(client, 0, 2)
        ended = await end(client, producer)
        assert (ended.error_code, ended.producer_epoch) == (0, producer.producer_epoch + 1)
        await until(client, "CompleteCommit")
        assert [markers(broker, index) for index in range(3)] == [[1], [], [1]]

    tell(story)


def test_markers_that_are_asked_for_twice_are_written_once(tell: Tell) -> None:
    async def story(broker: Any, client: Any) -> None:
        await broker.create_topic(client, "t", 2)
        node = broker.node
        written = TransactionMarkers(
            node.partitions, lambda: node.cluster.image, node.transactions._time, fail_test
        )
        partitions = frozenset({("t", 0), ("t", 1)})
        request = WriteMarkers(ID, ProducerIdAndEpoch(7, 0), 0, True, partitions, 1)
        done: list[str] = []
        written.write(request, lambda: done.append("first"))
        written.write(request, lambda: done.append("second"))
        await asyncio.sleep(1)
        assert done == ["first"]
        assert [markers(broker, index) for index in range(2)] == [[0], [0]]
        written.write(request, lambda: done.append("next"))
        await asyncio.sleep(1)
        assert done == ["first", "next"]

    tell(story)


def test_many_markers_of_one_request_leave_turns_to_others(tell: Tell) -> None:
    async def story(broker: Any, client: Any) -> None:
        await broker.create_topic(client, "t")
        log = broker.node.partitions.get("t", 0).log
        ends: list[int] = []

        async def look() -> None:
            while log.log_end_offset < 450:
                ends.append(log.log_end_offset)
                await asyncio.sleep(0)

        marker = TxnMarker(
            producer_id=1,
            producer_epoch=0,
            transaction_result=True,
            topics=[TopicToMark(name="t", partition_indexes=[0] * 450)],
            coordinator_epoch=0,
        )
        context: Any = SimpleNamespace(broker=broker.node)
        answer = write_txn_markers.handle(context, WriteTxnMarkersRequest(markers=[marker]))
        assert isinstance(answer, Awaitable)
        response, _ = await asyncio.gather(answer, look())
        [result] = response.markers
        assert {each.error_code for each in result.topics[0].partitions} == {0}
        assert sorted(set(ends)) == [100, 200, 300, 400]

    tell(story)


def test_the_next_transaction_waits_for_the_markers_of_the_last(tell: Tell) -> None:
    async def story(broker: Any, client: Any) -> None:
        await broker.create_topic(client, "t")
        producer = await begin(client, 0)
        ended = await end(client, producer)
        following = ProducerIdAndEpoch(ended.producer_id, ended.producer_epoch)
        began = asyncio.get_running_loop().time()
        assert await add(client, following, 0) == {0}, "without CONCURRENT_TRANSACTIONS"
        assert asyncio.get_running_loop().time() - began < 0.1, "as soon as they are written"
        assert await state(client) == "Ongoing"

    tell(story)


def test_a_deleted_partition_needs_no_marker(tell: Tell) -> None:
    async def story(broker: Any, client: Any) -> None:
        await broker.create_topic(client, "t", 2)
        producer = await begin(client, 0, 1)
        gone = DeleteTopicsRequest(
            topics=[TopicToDelete(name="t", topic_id=ZERO_UUID)], timeout_ms=1000
        )
        await client.ask(gone, 6)
        assert (await end(client, producer)).error_code == 0
        await until(client, "CompleteCommit")

    tell(story)


def test_an_offline_partition_keeps_only_its_own_transaction_waiting(tell: Tell) -> None:
    async def story(broker: Any, client: Any) -> None:
        await broker.create_topic(client, "t", 2)
        producer = await begin(client, 0, 1)
        broken = broker.node.partitions.get("t", 1)
        broken.failure = LogDirectoryFailed("the disk is gone")
        assert (await end(client, producer)).error_code == 0
        await asyncio.sleep(5)
        assert markers(broker, 0) == [1]
        assert await state(client) == "PrepareCommit"
        broken.failure = None
        await until(client, "CompleteCommit")
        assert markers(broker, 1) == [1]

    tell(story)


def test_a_transaction_times_out_though_nobody_asks(tell: Tell) -> None:
    async def story(broker: Any, client: Any) -> None:
        await broker.create_topic(client, "t")
        producer = await begin(client, 0, timeout_ms=1000)
        await asyncio.sleep(3)
        assert markers(broker, 0) == [1]
        assert (await end(client, producer, version=1)).error_code == (
            ErrorCode.INVALID_PRODUCER_EPOCH
        )
        assert (await end(client, producer, version=2)).error_code == ErrorCode.PRODUCER_FENCED

    interval = "transaction.abort.timed.out.transaction.cleanup.interval.ms"
    tell(story, settings={interval: "500"})


def test_what_is_asked_before_there_is_a_coordinator(tell: Tell) -> None:
    async def story(broker: Any, client: Any) -> None:
        nobody = ProducerIdAndEpoch(5, 0)
        assert (await end(client, nobody)).error_code == ErrorCode.NOT_COORDINATOR
        assert TRANSACTION_STATE_TOPIC not in broker.node.cluster.image.topics

    tell(story)


def test_verifying_does_not_suspend_its_caller(tell: Tell) -> None:
    async def story(broker: Any, client: Any) -> None:
        await broker.create_topic(client, "t", 2)
        producer = await begin(client, 0)
        wanted = frozenset({("t", 0), ("t", 1)})
        asked = broker.node.transactions.verify(ID, *producer, wanted)
        with pytest.raises(StopIteration) as answered:
            asked.send(None)
        assert answered.value.value == {
            ("t", 0): ErrorCode.NONE,
            ("t", 1): ErrorCode.TRANSACTION_ABORTABLE,
        }
        added = await broker.node.transactions.verify(ID, *producer, wanted, adds=True)
        assert set(added.values()) == {ErrorCode.NONE}
        assert await broker.node.transactions.verify(ID, *producer, wanted) == added

    tell(story)


def test_verification_can_be_switched_off(tell: Tell) -> None:
    async def story(broker: Any, client: Any) -> None:
        await broker.create_topic(client, "t")
        producer = await begin(client)
        wanted = frozenset({("t", 0)})
        verified = await broker.node.transactions.verify(ID, *producer, wanted)
        assert verified == {("t", 0): ErrorCode.NONE}

    tell(story, settings={"transaction.partition.verification.enable": "false"})


def test_another_level_of_the_feature_is_seen_by_clients_and_shards(tell: Tell) -> None:
    async def levels(client: Any) -> tuple[dict[str, int], int]:
        request = ApiVersionsRequest(client_software_name="t", client_software_version="1")
        answer = await client.ask(request, 4)
        finalized = {each.name: each.max_version_level for each in answer.finalized_features}
        return finalized, answer.finalized_features_epoch

    async def story(broker: Any, client: Any) -> None:
        await begin(client)
        finalized, epoch = await levels(client)
        assert finalized["transaction.version"] == 2
        off = FeatureLevel("transaction.version", 0, 2)
        await broker.node.cluster.submit(lambda image: decide_update_features(image, [off]))
        later, later_epoch = await levels(client)
        assert "transaction.version" not in later
        assert later_epoch > epoch, "clients believe the larger epoch"
        [shard] = [each for each in broker.node.transactions._shards.opened() if each.is_ready][:1]
        assert shard._core.transaction_version == 0

    tell(story)


def test_a_shard_that_is_offline_refuses(tell: Tell) -> None:
    async def story(broker: Any, client: Any) -> None:
        producer = await begin(client)
        for index in range(50):
            partition = broker.node.partitions.get(TRANSACTION_STATE_TOPIC, index)
            partition.failure = LogDirectoryFailed("the disk is gone")
        assert (await end(client, producer)).error_code == ErrorCode.COORDINATOR_NOT_AVAILABLE
        with pytest.raises(ProtocolError):
            await broker.node.transactions.transactions()

    tell(story)
