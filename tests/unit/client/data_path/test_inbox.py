"""Between the engine and the application: what is still to be handed out, and what not."""

from __future__ import annotations

from collections.abc import Iterable
from types import ModuleType
from typing import Any, cast

import pytest

from ottla.client.core.consuming.fetching import FetchedRecords, Frame
from ottla.client.core.consuming.partition import AssignedPartition, PartitionError, Start
from ottla.client.engine.consuming import Consuming
from ottla.client.engine.inbox import Inbox
from ottla.client.errors import KafkaError
from ottla.records.compression import Codec
from ottla.records.encode import encode_batch
from ottla.records.record import Record


class Engine:
    """Notes what it is told, and does it when the test wants it to."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, Any]] = []

    def release(self, records: FetchedRecords) -> bool:
        self.calls.append(("released", records))
        return False

    def damaged(self, records: FetchedRecords) -> None:
        self.calls.append(("damaged", records))

    def names(self) -> list[str]:
        return [name for name, _ in self.calls]


@pytest.fixture
def engine() -> Engine:
    return Engine()


@pytest.fixture
def inbox(engine: Engine, twin: ModuleType) -> Iterable[Inbox]:
    reader = twin.ConsumerBase()
    made = Inbox(
        lambda: reader,
        notify=lambda: None,
        call_engine=lambda call, *given: call(*given),
        call_user=lambda *_: None,
        rebalance=lambda _: None,
    )
    made.consuming = cast(Consuming, engine)
    return made


def batch(first: int, count: int = 2, codec: Codec = Codec.NONE) -> bytes:
    records = [Record(first + i, 0, None, b"v") for i in range(count)]
    return encode_batch(records, codec=codec)


def unreadable(first: int) -> bytes:
    data = bytearray(batch(first, codec=Codec.ZSTD))
    data[65:] = bytes(len(data) - 65)
    return bytes(data)


def records_of(twin: ModuleType, partition: AssignedPartition, data: bytes) -> FetchedRecords:
    cursor = twin.MessageCursor(partition.topic, partition.number, data, partition.fetch_offset)
    partition.fetch_offset = cursor.end_offset
    return FetchedRecords(partition, cursor, Frame(len(data)))


def test_nothing_comes_after_what_cannot_be_read(
    inbox: Inbox, engine: Engine, twin: ModuleType
) -> None:
    partition, other = AssignedPartition(Start("t", 0, 0)), AssignedPartition(Start("t", 1, 0))
    inbox.deliver([
        records_of(twin, partition, batch(0) + unreadable(2)),
        records_of(twin, partition, batch(4)),
        PartitionError(partition, partition.version, KafkaError(KafkaError._PARTITION_EOF), 6),
        records_of(twin, other, batch(0, 1)),
    ])  # fmt: skip
    found = [(message.partition(), message.offset()) for message in inbox.take(100)]
    assert found == [(0, 0), (0, 1), (1, 0)]
    # The engine hears of it only now, and fetches from there.
    assert engine.names() == ["damaged", "released", "released", "released"]
    assert partition.position.offset == 2
    partition.refetch()
    assert partition.fetch_offset == 2
    inbox.deliver([records_of(twin, partition, batch(2))])
    assert [message.offset() for message in inbox.take(100)] == [2, 3]


def test_what_was_fetched_before_a_seek_is_not_handed_out(
    inbox: Inbox, engine: Engine, twin: ModuleType
) -> None:
    partition = AssignedPartition(Start("t", 0, 0))
    inbox.deliver([records_of(twin, partition, batch(0, 5)), records_of(twin, partition, batch(5))])
    assert [message.offset() for message in inbox.take(2)] == [0, 1]
    partition.begin_at(5)
    inbox.leave_void()
    assert inbox.take(100) == []
    assert engine.names() == ["released", "released"]
