"""Whatever is done to a consumer in the middle of reading, nothing is skipped, nothing doubled."""

from __future__ import annotations

import asyncio
import itertools
import pathlib
import subprocess
import sys
from collections.abc import Callable, Iterator
from random import Random
from typing import Any

import pytest

import ottla
from ottla import KafkaError, TopicPartition
from ottla.aio import Consumer as AsyncConsumer
from ottla.records.batch import HEADER_SIZE_BYTES, iter_headers
from ottla.testing import Broker

NewTopic = Callable[..., str]
Unique = Callable[[str], str]
_PARTITIONS = 4
_RECORDS = 200
_STEPS = 100


def fill(bootstrap: str, topic: str, partitions: int, records: int, codec: str = "none") -> None:
    """Records whose values are their offsets, in several batches."""
    settings = {
        "bootstrap.servers": bootstrap,
        "linger.ms": 0,
        "batch.num.messages": 50,
        "compression.type": codec,
    }
    with ottla.Producer(settings) as producer:
        for offset in range(records):
            for partition in range(partitions):
                producer.produce(topic, b"%d" % offset, partition=partition)
    # Closing waits for the deliveries.


@pytest.fixture
def topic(bootstrap: str, new_topic: NewTopic) -> str:
    name = new_topic(_PARTITIONS)
    fill(bootstrap, name, _PARTITIONS, _RECORDS)
    return name


@pytest.fixture
def settings(bootstrap: str, unique: Unique) -> dict[str, Any]:
    return {
        "bootstrap.servers": bootstrap,
        "group.id": unique("group"),
        "enable.auto.commit": False,
        # Small answers: cursors end all the time.
        "fetch.message.max.bytes": 2000,
    }


class Model:
    """What a consumer has to hand out next, partition by partition."""

    def __init__(self, topic: str) -> None:
        self.topic = topic
        self.next_offset = dict.fromkeys(range(_PARTITIONS), 0)
        self.paused: set[int] = set()
        self.assigned = set(range(_PARTITIONS))

    def take(self, messages: list[Any]) -> None:
        """Compare messages with what had to come."""
        for message in messages:
            assert message.error() is None, message.error()
            partition = message.partition()
            assert partition in self.assigned - self.paused
            assert message.offset() == self.next_offset[partition]
            assert message.value() == b"%d" % message.offset()
            self.next_offset[partition] += 1

    def is_done(self) -> bool:
        return all(self.next_offset[partition] == _RECORDS for partition in self.assigned)

    def steps(self, dice: Random) -> Iterator[tuple[str, Any]]:
        """Calls to make, as (method, argument); the model takes them for made."""
        for _ in range(_STEPS):
            partition = dice.randrange(_PARTITIONS)
            here = TopicPartition(self.topic, partition)
            step = dice.choice(["poll", "poll", "consume", "pause", "resume", "seek", "swap"])
            if step == "pause" and partition in self.assigned:
                self.paused.add(partition)
                yield "pause", [here]
            elif step == "resume" and partition in self.assigned:
                self.paused.discard(partition)
                yield "resume", [here]
            elif step == "seek" and partition in self.assigned:
                self.next_offset[partition] = dice.randrange(_RECORDS)
                yield "seek", self.at(partition)
            elif step == "swap" and partition in self.assigned:
                self.assigned.discard(partition)
                self.paused.discard(partition)
                yield "incremental_unassign", [here]
            elif step == "swap":
                self.assigned.add(partition)
                yield "incremental_assign", [self.at(partition)]
            elif step in ("poll", "consume"):
                yield step, dice.randrange(1, 12)
        # In the end everything is read.
        yield "assign", [self.at(partition) for partition in range(_PARTITIONS)]
        self.assigned = set(range(_PARTITIONS))
        self.paused.clear()
        while not self.is_done():
            yield "consume", 100

    def at(self, partition: int) -> TopicPartition:
        return TopicPartition(self.topic, partition, self.next_offset[partition])


@pytest.mark.parametrize("seed", range(3))
def test_any_order_of_calls(topic: str, settings: dict[str, Any], seed: int) -> None:
    model = Model(topic)
    with ottla.Consumer(settings) as consumer:
        consumer.assign([model.at(partition) for partition in range(_PARTITIONS)])
        for method, argument in model.steps(Random(seed)):
            if method == "poll":
                polled = (consumer.poll(0.01) for _ in range(argument))
                model.take([message for message in polled if message is not None])
            elif method == "consume":
                model.take(consumer.consume(argument, 0.02))
            else:
                getattr(consumer, method)(argument)


@pytest.mark.parametrize("seed", range(2))
def test_any_order_of_calls_with_asyncio(topic: str, settings: dict[str, Any], seed: int) -> None:
    model = Model(topic)

    async def play() -> None:
        async with AsyncConsumer(settings) as consumer:
            await consumer.assign([model.at(partition) for partition in range(_PARTITIONS)])
            for method, argument in model.steps(Random(seed)):
                if method == "poll":
                    polled = [await consumer.poll(0.01) for _ in range(argument)]
                    model.take([message for message in polled if message is not None])
                elif method == "consume":
                    model.take(await consumer.consume(argument, 0.02))
                else:
                    await getattr(consumer, method)(argument)

    asyncio.run(play())


def test_a_cooperative_rebalance_in_the_middle_of_a_partition(
    topic: str, settings: dict[str, Any]
) -> None:
    settings |= {
        "partition.assignment.strategy": "cooperative-sticky",
        "auto.offset.reset": "earliest",
        "enable.auto.commit": True,
        "heartbeat.interval.ms": 100,
    }
    seen: dict[tuple[int, int], int] = {}
    first, second = ottla.Consumer(settings), ottla.Consumer(settings)
    with first, second:
        first.subscribe([topic])
        while not seen:
            note(seen, first.consume(3, 0.1))
        second.subscribe([topic])
        while len(seen) < _PARTITIONS * _RECORDS:
            # A few at a time: what is fetched waits through all steps of the rebalance.
            note(seen, first.consume(3, 0.01))
            note(seen, second.consume(3, 0.01))
        assert {p.partition for c in (first, second) for p in c.assignment()} == set(
            range(_PARTITIONS)
        )
    # Who gives a partition away commits what was read of it.
    assert set(seen.values()) == {1}


def note(seen: dict[tuple[int, int], int], messages: list[Any]) -> None:
    for message in messages:
        key = message.partition(), message.offset()
        seen[key] = seen.get(key, 0) + 1


def test_a_callback_that_raises_costs_no_message(topic: str, settings: dict[str, Any]) -> None:
    def fail(*_: Any) -> None:
        raise RuntimeError("from the callback")

    with ottla.Consumer({**settings, "on_commit": fail}) as consumer:
        consumer.assign([TopicPartition(topic, 0, 0)])
        values = [message.offset() for message in consumer.consume(10, 10)]
        consumer.commit()
        with pytest.raises(RuntimeError, match="from the callback"):
            # More than there is: it is waiting for the rest when the callback comes.
            consumer.consume(_RECORDS, 10)
        assert consumer.position([TopicPartition(topic, 0)])[0].offset == 10
        values += [message.offset() for message in consumer.consume(_RECORDS - 10, 10)]
    assert values == list(range(_RECORDS))


def test_arrow_tables(topic: str, settings: dict[str, Any]) -> None:
    pytest.importorskip("pyarrow")
    with ottla.Consumer({**settings, "enable.partition.eof": True}) as consumer:
        consumer.assign([TopicPartition(topic, number, 0) for number in range(2)])
        consumer.poll(10)
        rows = consumer.consume_arrow(100, 10).to_pylist()
        rows += consumer.consume_arrow(2 * _RECORDS, 1).to_pylist()
        # An error that comes after records waits for the next call.
        consumer.assign([TopicPartition(topic, 0, _RECORDS + 7)])
    with ottla.Consumer({**settings, "auto.offset.reset": "error"}) as consumer:
        consumer.assign([TopicPartition(topic, 0, _RECORDS + 7)])
        with pytest.raises(ottla.KafkaException) as caught:
            consumer.consume_arrow(10, 10)
        assert caught.value.args[0].code() == KafkaError._AUTO_OFFSET_RESET
    assert len(rows) == 2 * _RECORDS - 1
    assert len({(row["partition"], row["offset"]) for row in rows}) == len(rows)
    assert all(row["value"] == b"%d" % row["offset"] for row in rows)


@pytest.fixture
def damaged(tmp_path: pathlib.Path) -> Iterator[Callable[..., dict[str, Any]]]:
    """Damages the second batch of 300 records on the disk; settings for who reads them."""
    with Broker(tmp_path) as broker:

        def damage(codec: str) -> dict[str, Any]:
            fill(broker.bootstrap_servers, "t", 1, 300, codec)
            broker.stop()
            (log,) = tmp_path.rglob("t-0/*.log")
            data = bytearray(log.read_bytes())
            first, second = (header for _, header in itertools.islice(iter_headers(data), 2))
            middle = first.size_bytes + HEADER_SIZE_BYTES + 10
            data[middle : middle + 3] = b"\xffxx"
            broker.start()
            log.write_bytes(data)
            return {
                "bootstrap.servers": broker.bootstrap_servers,
                "group.id": "g",
                "fetch.error.backoff.ms": 50,
                "begin": second.base_offset,
                "end": second.next_offset,
            }

        yield damage


def test_a_batch_with_a_wrong_checksum_is_told_of_and_skipped(
    damaged: Callable[..., dict[str, Any]],
) -> None:
    settings = damaged("none")
    begin, end = settings.pop("begin"), settings.pop("end")
    with ottla.Consumer({**settings, "check.crcs": True}) as consumer:
        consumer.assign([TopicPartition("t", 0, 0)])
        messages = consumer.consume(300 - (end - begin) + 1, 10)
    told = [(m.error().code(), m.offset()) for m in messages if m.error() is not None]
    assert told == [(KafkaError._BAD_MSG, begin)]
    offsets = [m.offset() for m in messages if m.error() is None]
    assert offsets == [*range(begin), *range(end, 300)]


def test_records_that_cannot_be_decompressed_are_told_of_and_not_skipped(
    damaged: Callable[..., dict[str, Any]],
) -> None:
    settings = damaged("zstd")
    begin, end = settings.pop("begin"), settings.pop("end")
    with ottla.Consumer(settings) as consumer:
        consumer.assign([TopicPartition("t", 0, 0)])
        messages = consumer.consume(begin + 3, 10)
        assert [m.offset() for m in messages[:begin]] == list(range(begin))
        # Told with every try, since an application that ignores it would wait in silence.
        told = [(m.error().code(), m.offset()) for m in messages[begin:]]
        assert told == [(KafkaError._BAD_MSG, begin)] * 3
        consumer.seek(TopicPartition("t", 0, end))
        message = consumer.poll(10)
        assert message is not None
        assert message.offset() == end


def test_what_was_fetched_before_a_fork_is_the_parents(
    bootstrap: str, topic: str, unique: Unique
) -> None:
    program = """
import os, sys
import ottla
servers, topic, group = sys.argv[1:]
consumer = ottla.Consumer({"bootstrap.servers": servers, "group.id": group})
consumer.assign([ottla.TopicPartition(topic, 0, 0)])
assert consumer.poll(10).offset() == 0
child = os.fork()
if not child:
    try:
        consumer.poll(0)
    except RuntimeError:
        os._exit(7)
    os._exit(0)
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
assert consumer.poll(10).offset() == 1
consumer.close()
"""
    arguments = [sys.executable, "-c", program, bootstrap, topic, unique("group")]
    done = subprocess.run(arguments, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
