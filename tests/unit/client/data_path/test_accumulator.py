"""From produce() to batches and deliveries."""

from __future__ import annotations

from itertools import pairwise
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from ottla.client import appended
from ottla.client.errors import KafkaError, KafkaException
from ottla.records.compression import Codec
from ottla.records.decode import decode_records
from ottla.records.validate import validate_batch

Headers = list[tuple[str, bytes]]


def accumulator(twin: ModuleType, clock: Any, partitions: int = 1, **limits: Any) -> Any:
    made = twin.Accumulator(clock=clock, **limits)
    if partitions:
        made.set_partition_count("t", partitions)
    return made


def sent(batch: Any, **sealing: Any) -> list[Any]:
    batch.seal(**sealing)
    return decode_records(bytes(batch.wire()))


def test_a_sealed_batch_is_what_a_broker_accepts(twin: ModuleType, clock: Any) -> None:
    records = accumulator(twin, clock)
    records.append("t", 0, b"key", b"value", [("h", b"1"), ("null", None), ("é", "é")])
    clock.now_ms += 70_000
    records.append("t", 0, "ké", "vé", {"d": "x"})
    records.append("t", 0, None, None, timestamp_ms=5)
    records.append("t", 0, b"", b"")
    batch = records.take("t", 0)
    found = sent(batch, producer_id=7, producer_epoch=3, base_sequence=11, is_transactional=True)
    header = validate_batch(bytes(batch.wire()), max_decompressed_bytes=10_000).header
    assert (header.producer_id, header.producer_epoch, header.base_sequence) == (7, 3, 11)
    assert header.is_transactional
    assert (header.record_count, header.last_offset_delta) == (4, 3)
    assert header.size_bytes == batch.size_bytes == batch.plain_size_bytes
    first = 1_700_000_001_000
    assert [tuple(record) for record in found] == [
        (0, first, b"key", b"value", (("h", b"1"), ("null", None), ("é", "é".encode()))),
        (1, first + 70_000, "ké".encode(), "vé".encode(), (("d", b"x"),)),
        (2, 5, None, None, ()),
        (3, first + 70_000, b"", b"", ()),
    ]


def test_both_twins_encode_the_same_bytes(clock: Any) -> None:
    native = pytest.importorskip("ottla.client._native")
    from ottla.client import _reference

    wires = []
    for twin in (native, _reference):
        records = accumulator(twin, clock)
        for number in range(300):
            headers = [(f"h{i}", b"x" * i) for i in range(number % 40)]
            key = None if number % 3 else str(number)
            records.append("t", 0, key, b"v" * number * 7, headers, 10**12 - number * 99_999)
        batch = records.take("t", 0)
        batch.seal(1, 2, 3)
        wires.append(bytes(batch.wire()))
    assert wires[0] == wires[1]


@pytest.mark.parametrize("codec", [codec for codec in Codec if codec is not Codec.NONE])
def test_batches_are_compressed_when_that_makes_them_smaller(
    twin: ModuleType, clock: Any, codec: Codec
) -> None:
    records = accumulator(twin, clock)
    records.append("t", 0, None, b"v" * 5000)
    batch = records.take("t", 0)
    assert sent(batch, codec=int(codec))[0].value == b"v" * 5000
    assert batch.size_bytes < 2000 < batch.plain_size_bytes
    records.append("t", 0, None, b"v")
    small = records.take("t", 0)
    assert sent(small, codec=int(codec))[0].value == b"v"
    assert small.size_bytes == small.plain_size_bytes


def test_sealing_again_leaves_what_is_being_sent(twin: ModuleType, clock: Any) -> None:
    for codec in (0, 4):
        records = accumulator(twin, clock)
        records.append("t", 0, None, b"v" * 500)
        batch = records.take("t", 0)
        batch.seal(1, 1, 1, codec=codec)
        first = batch.wire()
        before = bytes(first)
        batch.seal(2, 2, 2, codec=codec)
        assert bytes(first) == before != bytes(batch.wire())
        assert (
            validate_batch(bytes(batch.wire()), max_decompressed_bytes=9999).header.producer_id == 2
        )


def test_an_open_batch_has_no_bytes_to_send(twin: ModuleType, clock: Any) -> None:
    records = accumulator(twin, clock)
    records.append("t", 0, None, b"v")
    with pytest.raises(BufferError):
        records.take("t", 0).wire()


def test_a_batch_lingers_and_the_engine_is_woken_once(twin: ModuleType, clock: Any) -> None:
    records = accumulator(twin, clock, linger_ms=5)
    assert records.append("t", 0, None, b"1") == appended.WAKE
    assert records.append("t", 0, None, b"2") == appended.APPENDED
    assert records.ready(clock.now_ms) == ([], clock.now_ms + 5)
    assert records.append("t", 0, None, b"3") == appended.APPENDED
    assert records.ready(clock.now_ms + 5) == ([("t", 0)], None)
    assert [r.value for r in sent(records.take("t", 0))] == [b"1", b"2", b"3"]
    assert records.take("t", 0) is None
    assert records.ready(clock.now_ms) == ([], None)
    assert records.append("t", 0, None, b"4") == appended.WAKE
    records.is_flushing = True
    assert records.ready(clock.now_ms) == ([("t", 0)], None)


def test_the_engine_is_woken_again_for_what_follows_a_batch(twin: ModuleType, clock: Any) -> None:
    records = accumulator(twin, clock, linger_ms=0)
    for _ in range(3):
        assert not records.has_batches
        assert records.append("t", 0, None, b"v") == appended.WAKE
        assert records.has_batches
        assert records.ready(clock.now_ms)[0] == [("t", 0)]
        assert len(records.take("t", 0)) == 1
        assert records.take("t", 0) is None


def test_a_full_batch_is_closed_and_ready_at_once(twin: ModuleType, clock: Any) -> None:
    by_size = accumulator(twin, clock, batch_size_bytes=300)
    by_count = accumulator(twin, clock, batch_max_records=2)
    for records in (by_size, by_count):
        for number in range(5):
            records.append("t", 0, None, b"%d" % number * 80)
        assert records.ready(clock.now_ms)[0] == [("t", 0)]
        sizes = []
        while (batch := records.take("t", 0)) is not None:
            sizes.append(batch.record_count)
            assert batch.plain_size_bytes <= 300
        assert sizes == [2, 2, 1]


def test_limits_of_the_queue_hold_until_release(twin: ModuleType, clock: Any) -> None:
    by_count = accumulator(twin, clock, max_messages=2)
    by_bytes = accumulator(twin, clock, max_bytes=200)
    for records in (by_count, by_bytes):
        answers = [records.append("t", 0, None, b"v" * 80) for _ in range(3)]
        assert answers == [appended.WAKE, appended.APPENDED, appended.QUEUE_FULL]
        assert len(records) == 2
        batch = records.take("t", 0)
        assert len(records) == 2
        batch.release()
        batch.release()
        assert (len(records), records.byte_count) == (0, 0)
        assert records.append("t", 0, None, b"v") == appended.APPENDED


def test_refusals_are_reported_and_change_nothing(twin: ModuleType, clock: Any) -> None:
    records = accumulator(twin, clock, partitions=2, max_message_bytes=200)
    assert records.append("t", 0, None, b"v" * 200) == appended.TOO_LARGE
    assert records.append("t", 2, None, b"v") == appended.UNKNOWN_PARTITION
    assert records.append("t", -2, None, b"v") == appended.UNKNOWN_PARTITION
    assert records.refuse_topic("gone") == []
    assert records.append("gone", 0, None, b"v") == appended.UNKNOWN_TOPIC
    for bad in ({"key": 1}, {"value": bytearray(b"x")}, {"headers": 1}, {"headers": [("a",)]},
                {"headers": [("a", 1)]}, {"headers": (("a", b"b"),)}):  # fmt: skip
        with pytest.raises(TypeError):
            records.append("t", 0, **bad)
    assert (len(records), records.ready(clock.now_ms)) == (0, ([], None))


def test_records_wait_for_their_topic(twin: ModuleType, clock: Any) -> None:
    records = accumulator(twin, clock, partitions=0)
    delivered: list[Any] = []
    for number in range(20):
        records.append("t", -1, b"%d" % number, b"v", [("h", b"x")], callback=delivered.append)
    records.append("t", 1, None, b"explicit")
    records.append("t", 9, None, b"nowhere")
    assert records.ready(clock.now_ms + 99) == ([], None)
    assert records.unassigned_topics() == ["t"]
    orphans = records.set_partition_count("t", 3)
    assert [(batch.partition, batch.record_count) for batch in orphans] == [(9, 1)]
    assert len(records) == 22
    found = {}
    for topic, partition in records.ready(clock.now_ms + 99)[0]:
        batch = records.take(topic, partition)
        found[partition] = [(record.key, record.headers) for record in sent(batch)]
        batch.release()
    assert sum(map(len, found.values())) == 21
    for partition, keys in found.items():
        for key, _ in keys:
            assert key is None or twin.consistent(key, 3) == partition
    orphans[0].release()
    assert (len(records), records.byte_count) == (0, 0)


@pytest.mark.parametrize("name", appended.PARTITIONERS)
def test_partitioners(twin: ModuleType, clock: Any, name: str) -> None:
    records = accumulator(twin, clock, 16, partitioner=name, sticky_linger_ms=0)
    for key in (b"a", b"", None):
        for _ in range(50):
            records.append("t", -1, key, key)
    records.is_flushing = True
    used: dict[bytes | None, set[int]] = {b"a": set(), b"": set(), None: set()}
    for topic, partition in records.ready(0)[0]:
        for record in sent(records.take(topic, partition)):
            used[record.value].add(partition)
    spreads = {key for key, partitions in used.items() if len(partitions) > 1}
    expected: dict[str, set[bytes | None]] = {
        "random": {b"a", b"", None}, "consistent_random": {b"", None},
        "murmur2_random": {None}, "fnv1a_random": {None},
    }  # fmt: skip
    assert spreads == expected.get(name, set())
    if name != "random":
        hashed = getattr(twin, name.removesuffix("_random"))
        assert used[b"a"] == {hashed(b"a", 16)}


def test_records_without_a_key_stick_to_a_partition(twin: ModuleType, clock: Any) -> None:
    records = accumulator(twin, clock, 8, sticky_linger_ms=10)
    used = []
    for _ in range(30):
        for _ in range(5):
            records.append("t", -1, None, b"v")
        ((_, partition),) = records.ready(clock.now_ms + 5)[0]
        assert records.take("t", partition).record_count == 5
        used.append(partition)
        clock.now_ms += 10
    assert len(set(used)) > 3
    assert all(a != b for a, b in pairwise(used))


def test_deliveries_decode_the_records_that_have_callbacks(twin: ModuleType, clock: Any) -> None:
    records = accumulator(twin, clock)
    calls: list[tuple[Any, Any]] = []

    def callback(error: Any, message: Any) -> None:
        calls.append((error, message))

    records.append("t", 0, None, b"silent")
    records.append("t", 0, b"k", b"v", [("h", b"1")], callback=callback)
    clock.now_ms += 500
    records.append("t", 0, None, b"w", callback=callback)
    batch = records.take("t", 0)
    assert batch.has_callbacks
    deliveries = batch.deliveries(100, now=clock.monotonic() + 1)
    assert deliveries.serve(1) == 1
    assert len(records) == 2
    assert deliveries.serve() == 1
    assert (len(records), records.byte_count, deliveries.serve()) == (0, 0, 0)
    first, second = (message for _, message in calls)
    assert (first.offset(), first.key(), first.value(), first.headers()) == (
        101, b"k", b"v", [("h", b"1")])  # fmt: skip
    assert first.timestamp() == (1, 1_700_000_001_000)
    assert (first.latency(), second.latency()) == (1.5, 1.0)
    assert (second.offset(), second.headers(), second.error()) == (102, None, None)


def test_failed_deliveries_and_a_callback_that_raises(twin: ModuleType, clock: Any) -> None:
    records = accumulator(twin, clock)
    seen = []

    def callback(error: Any, message: Any) -> None:
        seen.append((error, message.error(), message.offset(), message.timestamp()))
        raise RuntimeError("bug")

    for _ in range(2):
        records.append("t", 0, None, b"v", timestamp_ms=7, callback=callback)
    error = KafkaError(KafkaError._MSG_TIMED_OUT)
    deliveries = records.take("t", 0).deliveries(error=error)
    for _ in range(2):
        with pytest.raises(RuntimeError):
            deliveries.serve()
    assert deliveries.serve() == 0
    assert seen == [(error, error, None, (0, -1))] * 2
    assert len(records) == 0


def test_log_append_time_and_iteration(twin: ModuleType, clock: Any) -> None:
    records = accumulator(twin, clock)
    records.append("t", 0, None, b"v", callback="future")
    ((callback, message),) = records.take("t", 0).deliveries(5, log_append_time_ms=99)
    assert (callback, message.timestamp(), message.offset()) == ("future", (2, 99), 5)
    assert len(records) == 0


def test_a_batch_that_is_too_large_is_split(twin: ModuleType, clock: Any) -> None:
    records = accumulator(twin, clock)
    for number in range(10):
        callback = number if number % 2 else None
        records.append("t", 0, b"k", b"%d" % number * 50, [("h", b"x")], number + 1, callback)
    parts = records.take("t", 0).split(250)
    assert len(records) == 10
    assert all(part.plain_size_bytes <= 250 for part in parts)
    assert len(parts) > 2
    values = [record for part in parts for record in sent(part)]
    assert [(r.value, r.timestamp_ms) for r in values] == [
        (b"%d" % n * 50, n + 1) for n in range(10)
    ]
    assert [c for part in parts for c, _ in part.deliveries(0)] == [1, 3, 5, 7, 9]
    assert (len(records), records.byte_count) == (0, 0)


def test_purging_and_expiring_take_what_waits(twin: ModuleType, clock: Any) -> None:
    records = accumulator(twin, clock, batch_max_records=1)
    records.append("t", 0, None, b"old")
    clock.now_ms += 10
    records.append("t", 0, None, b"new")
    records.append("unknown", -1, None, b"waiting")
    expired = records.take_created_before(clock.now_ms)
    assert [r.value for batch in expired for r in sent(batch)] == [b"old"]
    assert sorted(r.value for batch in records.take_all() for r in sent(batch)) == [
        b"new", b"waiting"]  # fmt: skip
    assert records.take_all() == []


def test_full_batches_run_ahead_until_their_outcome(twin: ModuleType, clock: Any) -> None:
    records = accumulator(twin, clock, batch_size_bytes=1_000)
    for _ in range(7):
        records.append("t", 0, None, b"v" * 400, callback="mine")
    batches = [records.take("t", 0) for _ in range(4)]
    full_bytes = sum(batch.plain_size_bytes for batch in batches[:3])
    assert records.ahead_bytes == full_bytes
    batches[0].deliveries(0)
    assert records.ahead_bytes == full_bytes - batches[0].plain_size_bytes
    for batch in batches:
        batch.release()
    assert (records.ahead_bytes, len(records)) == (0, 0)


def test_who_is_far_ahead_pauses_and_goes_on(twin: ModuleType, clock: Any) -> None:
    mebibyte = 1 << 20
    records = accumulator(twin, clock, batch_size_bytes=100_000, most_ahead_bytes=mebibyte)
    producer = twin.ProducerBase(records, lambda: None)
    for _ in range(25):
        producer.produce("t", b"v" * 90_000)
    # Nothing came back, and all was accepted.
    assert (records.pause_count, len(records)) == (2, 25)
    while (batch := records.take("t", 0)) is not None:
        batch.release()
    for _ in range(8):
        producer.produce("t", b"v" * 90_000)
    assert records.pause_count == 2


def test_produce_raises_what_confluent_kafka_raises(twin: ModuleType, clock: Any) -> None:
    state = SimpleNamespace(wakes=0)

    def wake() -> None:
        state.wakes += 1

    records = accumulator(twin, clock, max_messages=2, max_message_bytes=500)
    producer = twin.ProducerBase(records, wake, "default")
    assert producer.produce("t", b"v", b"k", 0, "mine", "other", 5, [("h", "x")]) is None
    producer.produce(topic="t", value="v")
    assert (len(producer), state.wakes) == (2, 1)
    with pytest.raises(BufferError, match="Local: Queue full"):
        producer.produce("t", b"v")
    batch = records.take("t", 0)
    assert [callback for callback, _ in batch.deliveries(0)] == ["mine", "default"]
    with pytest.raises(KafkaException) as raised:
        producer.produce("t", b"v" * 1000)
    assert raised.value.args[0].code() == KafkaError.MSG_SIZE_TOO_LARGE
    with pytest.raises(KafkaException) as raised:
        producer.produce("t", b"v", partition=5)
    assert raised.value.args[0].code() == KafkaError._UNKNOWN_PARTITION
    for bad in ({"topic": 1}, {"topic": None}, {"partition": None}, {"timestamp": None},
                {"partition": 1.5}, {"value": memoryview(b"x")}, {"nonsense": 1}):  # fmt: skip
        with pytest.raises(TypeError):
            producer.produce(**{"topic": "t", **bad})
    producer._refuse(RuntimeError("Producer has been closed"))
    with pytest.raises(RuntimeError, match="closed"):
        producer.produce("t", b"v")
