"""Bringing producer state up to an offset: the last good snapshot, and the headers after it."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from ottla.log.names import LOG_SUFFIX
from ottla.log.producers import BATCHES_KEPT, KeptBatch, Producers
from ottla.log.scan import iter_file_headers, parse_end_marker, read_batch
from ottla.log.segment import Segment
from ottla.log.snapshots import SnapshotFiles
from ottla.log.transactions import AbortedTransaction
from ottla.records.batch import BatchHeader
from ottla.records.errors import RecordsError

_logger = logging.getLogger(__name__)

# Some 64 KiB of small batches, or as many large ones: a start must not read much.
_RECALLED_INDEX_ENTRIES = 16
_NO_LIMIT = 2**63 - 1


def restore_producers(
    snapshots: SnapshotFiles,
    segments: Sequence[Segment],
    *,
    start_offset: int,
    end_offset: int,
    high_watermark: int,
    trust_missing: bool = False,
) -> Producers:
    """The producers at ``end_offset``.

    Args:
        segments: those that hold the offsets up to ``end_offset``.
        trust_missing: as Kafka does after a clean stop, take the lack of a snapshot for a lack of
            producers, rather than reading the log from its start.
    """
    producers = Producers(high_watermark)
    latest = snapshots.load_latest(start_offset, end_offset)
    if latest is not None:
        producers.end_offset, known = latest
        producers.load(known)
        _recall_earlier_batches(producers, segments)
    else:
        producers.end_offset = end_offset if trust_missing else start_offset
    for number, segment in enumerate(segments):
        is_before = (
            number + 1 < len(segments) and segments[number + 1].base_offset <= producers.end_offset
        )
        if not is_before and producers.end_offset < end_offset:
            _replay_segment(producers, segment, end_offset)
    producers.end_offset = end_offset
    return producers


def _recall_earlier_batches(producers: Producers, segments: Sequence[Segment]) -> None:
    """Look up at the end of the log what a snapshot has no room for.

    It keeps one batch of each producer, who may have five in flight: whose connection ended before
    the acknowledgements were read repeats all of them, the oldest first.
    """
    if not len(producers):
        return
    end_offset = producers.end_offset
    recalled: dict[int, list[KeptBatch]] = {}
    # They may lie on both sides of the last roll.
    for segment in [each for each in segments if each.base_offset < end_offset][-2:]:
        segment.open_indexes()
        position = segment.offset_index.position_from_end(_RECALLED_INDEX_ENTRIES)
        try:
            for _, header in iter_file_headers(segment.file, position, segment.size_bytes):
                if header.base_offset >= end_offset:
                    break
                _recall(producers, header, recalled)
        except RecordsError:
            # Damaged below the recovery point: whoever reads these records finds that out.
            recalled.clear()
    for producer_id, batches in recalled.items():
        producer = producers.get(producer_id)
        if producer is not None:
            producer.batches[:0] = batches[-(BATCHES_KEPT - 1) :]


def _recall(
    producers: Producers, header: BatchHeader, recalled: dict[int, list[KeptBatch]]
) -> None:
    if not header.is_idempotent or header.is_control:
        return
    producer = producers.get(header.producer_id)
    if producer is None or producer.producer_epoch != header.producer_epoch:
        return
    if producer.batches and header.last_offset < producer.batches[0].first_offset:
        batch = KeptBatch(
            header.base_sequence,
            header.last_sequence,
            header.base_offset,
            header.last_offset,
            header.max_timestamp_ms,
        )
        recalled.setdefault(header.producer_id, []).append(batch)


def _replay_segment(producers: Producers, segment: Segment, end_offset: int) -> None:
    found = segment.find(producers.end_offset)
    if found is None:
        return
    for position, header in iter_file_headers(segment.file, found[0], segment.size_bytes):
        if header.base_offset >= end_offset:
            return
        # The first batch may begin before the log does.
        if header.producer_id >= 0 and header.last_offset >= producers.end_offset:
            replay_batch(producers, segment, position, header)


def replay_batch(
    producers: Producers, segment: Segment, position: int, header: BatchHeader
) -> AbortedTransaction | None:
    """Take note of one batch that is in the log; returns what the transaction index has of it."""
    marker = None
    if header.is_control:
        marker = parse_end_marker(read_batch(segment.file, position, header))
    return producers.replay(header, marker)


def rebuild_transaction_index(
    snapshots: SnapshotFiles, segments: Sequence[Segment], *, start_offset: int
) -> None:
    """Make the last segment's transaction index anew from the batches of all.

    Raises:
        OSError: the disk failed.
    """
    *earlier, segment = segments
    base_offset = segment.base_offset
    producers = restore_producers(
        snapshots,
        earlier,
        start_offset=start_offset,
        end_offset=base_offset,
        # Only the index is wanted: what has ended is of no interest.
        high_watermark=_NO_LIMIT,
    )
    entries = []
    try:
        for position, header in iter_file_headers(segment.file, 0, segment.size_bytes):
            if header.producer_id >= 0:
                entry = replay_batch(producers, segment, position, header)
                if entry is not None:
                    entries.append(entry)
    except RecordsError as error:
        # Damaged below the recovery point: whoever reads these records finds that out.
        _logger.warning("%s: %s", segment.path(LOG_SUFFIX), error)
    segment.transaction_index.replace(entries)
