"""A log directory that is not there at the start is missed, never replaced by empty logs."""

from __future__ import annotations

import asyncio
import errno
import pathlib
from collections.abc import Callable
from typing import TYPE_CHECKING

from ottla.records.encode import encode_batch
from ottla.records.record import Record
from ottla.testing import Broker
from ottla.testing.protocol import Connection
from ottla.testing.simulation.client import SimulatedClient
from ottla.testing.waiting import eventually
from ottla.wire.api.k00_produce import PartitionToProduce, ProduceRequest, TopicToProduce
from ottla.wire.api.k02_list_offsets import ListOffsetsRequest, PartitionToList, TopicToList
from ottla.wire.api.k03_metadata import DescribedPartition, MetadataRequest, TopicToDescribe
from ottla.wire.api.k35_describe_log_dirs import DescribeLogDirsRequest
from ottla.wire.errors import ErrorCode

if TYPE_CHECKING:
    from conftest import SimulatedBroker

LATEST = -1
PARTITIONS = range(4)


def produce_one_to_each(broker: Broker) -> None:
    batch = encode_batch([Record(0, 1, b"key", b"value")])
    partitions = [PartitionToProduce(index=index, records=batch) for index in PARTITIONS]
    request = ProduceRequest(
        acks=-1,
        timeout_ms=10_000,
        topic_data=[TopicToProduce(name="orders", partition_data=partitions)],
    )
    with Connection(broker.bootstrap_servers) as connection:
        connection.ask(request, 9)


def ends(broker: Broker) -> dict[int, tuple[int, int]]:
    """Error code and end offset of each partition."""
    partitions = [PartitionToList(partition_index=index, timestamp=LATEST) for index in PARTITIONS]
    request = ListOffsetsRequest(
        replica_id=-1, topics=[TopicToList(name="orders", partitions=partitions)]
    )
    with Connection(broker.bootstrap_servers) as connection:
        [topic] = connection.ask(request, 5).topics
    return {each.partition_index: (each.error_code, each.offset) for each in topic.partitions}


def described(broker: Broker) -> list[DescribedPartition]:
    """The partitions as Metadata tells of them, in order."""
    request = MetadataRequest(topics=[TopicToDescribe(name="orders")])
    with Connection(broker.bootstrap_servers) as connection:
        [topic] = connection.ask(request, 9).topics
    return sorted(topic.partitions, key=lambda each: each.partition_index)


def test_partitions_of_a_missing_directory_are_offline_until_it_is_back(
    tmp_path: pathlib.Path,
) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    both = Broker(first, config={"log.dirs": f"{first},{second}"})
    with both:
        both.create_topic("orders", len(PARTITIONS))
        produce_one_to_each(both)
        eventually(lambda: ends(both) == dict.fromkeys(PARTITIONS, (0, 1)), what="all is there")
    in_second = {
        int(path.name.rpartition("-")[2]) for path in second.iterdir() if "orders" in path.name
    }
    assert 0 < len(in_second) < len(PARTITIONS)

    with Broker(first, config={"log.dirs": str(first)}) as without:
        offline = (ErrorCode.KAFKA_STORAGE_ERROR, -1)
        assert ends(without) == {
            index: offline if index in in_second else (0, 1) for index in PARTITIONS
        }

    with Broker(first, config={"log.dirs": f"{first},{second}"}) as again:
        assert ends(again) == dict.fromkeys(PARTITIONS, (0, 1))
        assert [each.leader_id for each in described(again)] == [1] * len(PARTITIONS)


def test_a_disk_that_fails_at_the_start_leaves_the_others_to_be_served(
    tmp_path: pathlib.Path,
) -> None:
    first, second, aside = tmp_path / "first", tmp_path / "second", tmp_path / "aside"
    both = Broker(first, config={"log.dirs": f"{first},{second}"})
    with both:
        both.create_topic("orders", len(PARTITIONS))
        produce_one_to_each(both)
        eventually(lambda: ends(both) == dict.fromkeys(PARTITIONS, (0, 1)), what="all is there")
    in_second = {
        int(path.name.rpartition("-")[2]) for path in second.iterdir() if "orders" in path.name
    }
    epochs = dict.fromkeys(PARTITIONS, 0)
    second.rename(aside)
    second.write_text("a file: whatever is done to the directory, fails")

    with Broker(first, config={"log.dirs": f"{first},{second}"}) as broker:
        offline = (ErrorCode.KAFKA_STORAGE_ERROR, -1)
        assert ends(broker) == {
            index: offline if index in in_second else (0, 1) for index in PARTITIONS
        }
        for each in described(broker):
            is_offline = each.partition_index in in_second
            assert each.leader_id == (-1 if is_offline else 1)
            assert each.error_code == (ErrorCode.LEADER_NOT_AVAILABLE if is_offline else 0)
            assert list(each.offline_replicas) == ([1] if is_offline else [])
            assert each.leader_epoch == epochs[each.partition_index] + is_offline
        with Connection(broker.bootstrap_servers) as connection:
            results = connection.ask(DescribeLogDirsRequest(topics=None), 4).results
        assert {each.log_dir: each.error_code for each in results} == {
            str(first): 0,
            str(second): ErrorCode.KAFKA_STORAGE_ERROR,
        }
        broker.create_topic("more", 2)

    second.unlink()
    aside.rename(second)
    with Broker(first, config={"log.dirs": f"{first},{second}"}) as again:
        assert ends(again) == dict.fromkeys(PARTITIONS, (0, 1))
        assert [each.leader_id for each in described(again)] == [1] * len(PARTITIONS)


def test_a_disk_that_fails_while_serving_leaves_its_partitions_without_a_leader(
    tell: Callable[..., None],
) -> None:
    async def story(broker: SimulatedBroker, client: SimulatedClient) -> None:
        await broker.create_topic(client, "orders", len(PARTITIONS))
        second = broker.node.log_directories[1]
        in_second = {name.partition for name in second.partitions}
        assert 0 < len(in_second) < len(PARTITIONS)
        second.fail(OSError(errno.EIO, "Input/output error"))
        await asyncio.sleep(1)
        request = MetadataRequest(topics=[TopicToDescribe(name="orders")])
        [topic] = (await client.ask(request, 9)).topics
        leaders = {each.partition_index: each.leader_id for each in topic.partitions}
        assert leaders == {index: -1 if index in in_second else 1 for index in PARTITIONS}

    tell(story, settings={"log.dirs": "/first,/second"})


def test_a_damaged_topic_id_costs_no_records(tmp_path: pathlib.Path) -> None:
    with Broker(tmp_path) as broker:
        broker.create_topic("orders", len(PARTITIONS))
        produce_one_to_each(broker)
    damaged = tmp_path / "orders-1" / "partition.metadata"
    text = damaged.read_text()
    swapped = "B" if text[-2] != "B" else "C"
    damaged.write_text(text[:-2] + swapped + text[-1])
    with Broker(tmp_path) as broker:
        assert ends(broker) == dict.fromkeys(PARTITIONS, (0, 1))
    assert damaged.read_text() == text
