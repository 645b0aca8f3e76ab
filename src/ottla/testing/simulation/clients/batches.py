"""Records as clients write and read them: a value names its record, also a tombstone's."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from ottla.records.batch import iter_complete_headers
from ottla.records.control import ControlType, decode_control_key
from ottla.records.decode import decode_records
from ottla.records.encode import encode_batch
from ottla.records.record import Record
from ottla.testing.history import Send

# Where a tombstone, which has no value, carries its name.
_NAME_HEADER = "name"
_PARTITION = re.compile(r"(.+)-(\d+)")


def split(partition: str) -> tuple[str, int]:
    """Topic and number of a partition's name."""
    found = _PARTITION.fullmatch(partition)
    assert found is not None, partition
    return found[1], int(found[2])


class ProducerIdentity(NamedTuple):
    """What InitProducerId gave."""

    producer_id: int
    epoch: int


def encode(
    sends: Sequence[Send],
    now_ms: int,
    identity: ProducerIdentity,
    base_sequence: int,
    *,
    is_transactional: bool = False,
) -> bytes:
    """One batch of records."""
    records = []
    for index, send in enumerate(sends):
        name = send.value.encode()
        key = None if send.key is None else send.key.encode()
        if send.is_tombstone:
            records.append(Record(index, now_ms, key, None, ((_NAME_HEADER, name),)))
        else:
            records.append(Record(index, now_ms, key, name))
    return encode_batch(
        records,
        producer_id=identity.producer_id,
        producer_epoch=identity.epoch,
        base_sequence=base_sequence,
        is_transactional=is_transactional,
    )


class Decoded(NamedTuple):
    """What a consumer makes of the bytes of a fetch."""

    records: list[tuple[int, str]]
    next_offset: int


def decode(data: bytes, position: int, aborted: Sequence[tuple[int, int]]) -> Decoded:
    """Read complete batches from a position on, without control records.

    Args:
        aborted: producer ids and first offsets of aborted transactions whose records are left out,
            as ``read_committed`` consumers do.
    """
    waiting = sorted(aborted, key=lambda each: each[1])
    aborting: set[int] = set()
    records: list[tuple[int, str]] = []
    next_offset = position
    for start, header in iter_complete_headers(data):
        next_offset = header.next_offset
        while waiting and waiting[0][1] <= header.last_offset:
            aborting.add(waiting.pop(0)[0])
        if header.is_control:
            control = next(iter(decode_records(data, start)), None)
            if control is not None and decode_control_key(control.key) is ControlType.ABORT:
                aborting.discard(header.producer_id)
            continue
        if header.is_transactional and header.producer_id in aborting:
            continue
        records += _named(decode_records(data, start), position)
    return Decoded(records, next_offset)


def _named(records: Sequence[Record], position: int) -> Iterator[tuple[int, str]]:
    for record in records:
        if record.offset >= position:
            name = dict(record.headers).get(_NAME_HEADER) if record.value is None else record.value
            yield record.offset, (name or b"").decode()
