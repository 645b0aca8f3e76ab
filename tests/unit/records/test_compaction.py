"""What compaction does with a batch, in both twins."""

from __future__ import annotations

import random
from array import array

import pytest

from ottla.records import backend, compaction
from ottla.records.batch import iter_headers, read_header
from ottla.records.compression import Codec
from ottla.records.decode import decode_records
from ottla.records.encode import encode_batch
from ottla.records.errors import CorruptBatch, RecordsError
from ottla.records.record import Record

SEED = bytes(range(16))
LIMIT_BYTES = 1 << 20
NOW_MS = 5_000_000
RETENTION_MS = 1000
MEMORY_BYTES = 1 << 20


def new_map(memory_bytes: int = MEMORY_BYTES) -> compaction.OffsetMap:
    return compaction.new_offset_map(memory_bytes, 0.9, SEED)


def latest(**offsets: int) -> compaction.OffsetMap:
    made = new_map()
    for key, offset in offsets.items():
        assert made.put(key.encode(), offset)
    return made


def batch_of(*pairs: tuple[str | None, str | None], **fields: object) -> bytes:
    records = [
        Record(
            100 + number,
            1000 * (number + 1),
            None if key is None else key.encode(),
            None if value is None else value.encode(),
            (("h", b"1"), ("n", None)),
        )
        for number, (key, value) in enumerate(pairs)
    ]
    return encode_batch(records, **fields)  # type: ignore[arg-type]


def clean(offsets: compaction.OffsetMap, batch: bytes, now_ms: int = NOW_MS) -> bytes | None:
    found = compaction.clean_batch(
        offsets,
        batch,
        read_header(batch),
        now_ms=now_ms,
        delete_retention_ms=RETENTION_MS,
        max_decompressed_bytes=LIMIT_BYTES,
    )
    return None if found is None else bytes(found)


def test_a_map_returns_the_last_offset_of_every_key() -> None:
    offsets = new_map(memory_bytes=8 << 20)
    for number in range(30_000):
        assert offsets.put(b"%d" % (number % 20_000), number)
    assert offsets.count == 20_000
    for number in range(20_000):
        expected = number + 20_000 if number < 10_000 else number
        assert offsets.get(b"%d" % number) == expected
    assert offsets.get(b"unknown") == -1
    offsets.clear()
    assert (offsets.count, offsets.get(b"1")) == (0, -1)


def test_a_full_map_refuses_new_keys_only() -> None:
    offsets = new_map(memory_bytes=24_000)
    for number in range(offsets.capacity):
        assert offsets.put(b"%d" % number, number)
    assert not offsets.put(b"one too many", 1)
    assert offsets.put(b"0", 77)
    assert (offsets.get(b"0"), offsets.count) == (77, offsets.capacity)
    assert offsets.get(b"one too many") == -1


def test_a_map_needs_room_for_a_key_and_a_seed() -> None:
    with pytest.raises(ValueError, match="hold no key"):
        compaction.new_offset_map(3, 0.9, SEED)
    with pytest.raises(ValueError, match="16 bytes"):
        compaction.new_offset_map(MEMORY_BYTES, 0.9, b"short")


@pytest.mark.parametrize("codec", list(Codec))
def test_only_the_latest_record_of_a_key_stays(codec: Codec) -> None:
    batch = batch_of(
        ("a", "1"), ("b", "2"), ("a", "3"), ("c", "4"),
        codec=codec, producer_id=7, producer_epoch=2, base_sequence=40, leader_epoch=3,
    )  # fmt: skip
    cleaned = clean(latest(a=102, b=500, c=103), batch)
    assert cleaned is not None
    before, after = read_header(batch), read_header(cleaned)
    assert [record.offset for record in decode_records(cleaned)] == [102, 103]
    assert decode_records(cleaned) == decode_records(batch)[2:]
    assert (after.base_offset, after.last_offset, after.last_sequence) == (100, 103, 43)
    assert after[2:4] + after[9:12] == before[2:4] + before[9:12]
    assert (after.codec, after.max_timestamp_ms) == (codec, 4000)


def test_a_batch_of_latest_records_stays_byte_by_byte() -> None:
    batch = batch_of(("a", "1"), ("b", "2"))
    assert clean(latest(a=100, b=101), batch) == batch
    # Keys that the map doesn't know have not been written again.
    assert clean(new_map(), batch) == batch


def test_nothing_stays_of_a_superseded_batch() -> None:
    batch = batch_of(("a", "1"), (None, "without a key"))
    assert clean(latest(a=200), batch) is None


def test_a_tombstone_gets_a_horizon_and_goes_when_it_has_passed() -> None:
    batch = batch_of(("a", "1"), ("b", None))
    offsets = latest(a=100, b=101)
    marked = clean(offsets, batch)
    assert marked is not None
    assert read_header(marked).delete_horizon_ms == NOW_MS + RETENTION_MS
    assert decode_records(marked) == decode_records(batch)
    assert clean(offsets, marked, NOW_MS + RETENTION_MS - 1) == marked
    later = clean(offsets, marked, NOW_MS + RETENTION_MS)
    assert later is not None
    assert decode_records(later) == decode_records(batch)[:1]
    assert read_header(later).delete_horizon_ms == NOW_MS + RETENTION_MS


def test_a_batch_with_the_time_of_append_keeps_it() -> None:
    batch = batch_of(("a", "1"), ("b", None), log_append_time_ms=9_999)
    marked = clean(latest(a=300), batch)
    assert marked is not None
    assert [(r.key, r.timestamp_ms) for r in decode_records(marked)] == [(b"b", 9_999)]


def test_an_emptied_batch_keeps_offsets_and_sequence() -> None:
    batch = batch_of(
        ("a", "1"), ("b", None),
        codec=Codec.ZSTD, producer_id=7, producer_epoch=2, base_sequence=40, is_transactional=True,
    )  # fmt: skip
    emptied = compaction.empty_batch(batch, read_header(batch))
    before, after = read_header(batch), read_header(emptied)
    assert decode_records(emptied) == []
    assert len(emptied) == 61
    assert (after.base_offset, after.last_offset) == (100, 101)
    assert (after.base_sequence, after.last_sequence) == (40, 41)
    assert (after.is_transactional, after.codec) == (True, Codec.NONE)
    assert after.max_timestamp_ms == before.max_timestamp_ms


def test_a_damaged_batch_is_neither_indexed_nor_rewritten() -> None:
    damaged = bytearray(batch_of(("a", "1")))
    damaged[-3] ^= 1
    header = read_header(damaged)
    with pytest.raises(CorruptBatch):
        clean(new_map(), bytes(damaged))
    with pytest.raises(CorruptBatch):
        compaction.index_batch(new_map(), damaged, header, 0, LIMIT_BYTES)
    functions = compaction.twin()
    assert functions.index_batches(new_map(), damaged, 0, 0) == (0, -1)
    assert functions.clean_batches(new_map(), damaged, 0, 1, 1, 1, array("q")) == (0, b"")


def test_records_that_lie_about_their_size_are_refused() -> None:
    batch = batch_of(("a", "1"), ("b", "2"))
    header = read_header(batch)
    functions = compaction.twin()
    for count in (1, 3, -1, 2**31 - 1):
        lying = header._replace(record_count=count)
        with pytest.raises(RecordsError):
            functions.index_records(new_map(), batch, 61, len(batch), lying, 0)
        with pytest.raises(RecordsError):
            functions.filter_records(new_map(), batch, 61, len(batch), lying, 1, 1)


def test_keys_before_the_start_are_not_indexed() -> None:
    offsets = new_map()
    batch = batch_of(("a", "1"), ("b", "2"), ("c", None))
    assert compaction.index_batch(offsets, batch, read_header(batch), 101, LIMIT_BYTES)
    assert [offsets.get(key) for key in (b"a", b"b", b"c")] == [-1, 101, 102]


def random_batches(seed: int) -> bytes:
    pick = random.Random(seed)
    made = bytearray()
    offset = 0
    for _ in range(40):
        records = [
            Record(
                offset + each,
                pick.randrange(-1, 10**6),
                pick.choice([None, b"", b"k%d" % pick.randrange(30), pick.randbytes(200)]),
                pick.choice([None, b"", pick.randbytes(pick.randrange(400))]),
                tuple((f"h{n}", pick.choice([None, b"x"])) for n in range(pick.randrange(3))),
            )
            for each in range(pick.randrange(1, 20))
        ]
        made += encode_batch(
            records,
            producer_id=pick.choice([-1, 5]),
            base_sequence=pick.choice([-1, 3]),
            delete_horizon_ms=pick.choice([None, None, NOW_MS, NOW_MS + 1]),
            log_append_time_ms=pick.choice([None, None, 123]),
        )
        offset += len(records)
    return bytes(made)


@pytest.mark.parametrize("seed", range(30))
def test_many_at_once_are_cleaned_as_one_by_one(seed: int) -> None:
    data = random_batches(seed)
    functions = compaction.twin()
    together, alone = new_map(), new_map()
    headers = list(iter_headers(data))
    last_offset = headers[-1][1].last_offset
    indexed = functions.index_batches(together, data, 0, 7)
    # The pure twin leaves every batch to its caller.
    if backend.active.NAME == "python":
        assert indexed == (0, -1)
        return
    assert indexed == (len(data), last_offset)
    latest_offset = headers[35][1].last_offset
    kept_ends = array("q", [headers[number][1].last_offset for number in (2, 9, 20)])
    expected = bytearray()
    for position, header in headers:
        batch = data[position : position + header.size_bytes]
        assert compaction.index_batch(alone, batch, header, 7, LIMIT_BYTES)
    for position, header in headers:
        batch = data[position : position + header.size_bytes]
        cleaned: bytes | None = batch
        if header.base_offset <= latest_offset:
            cleaned = clean(alone, batch)
        if cleaned is not None:
            expected += cleaned
        elif header.last_offset in kept_ends:
            expected += compaction.empty_batch(batch, header)
    end, found = functions.clean_batches(
        together, data, 0, latest_offset, NOW_MS, RETENTION_MS, kept_ends
    )
    assert end == len(data)
    assert found == bytes(expected)


@pytest.mark.parametrize("seed", range(10))
def test_both_twins_make_the_same_bytes(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    from ottla.records import _reference

    _native = pytest.importorskip("ottla.records._native")

    data = random_batches(seed)
    found = []
    for active in (_native, _reference):
        monkeypatch.setattr(backend, "active", active)
        offsets = new_map()
        batches = [
            (header, data[position : position + header.size_bytes])
            for position, header in iter_headers(data)
        ]
        for header, batch in batches:
            assert compaction.index_batch(offsets, batch, header, 0, LIMIT_BYTES)
        found.append([clean(offsets, batch) for _, batch in batches])
    assert found[0] == found[1]
