"""Bringing producer state up to an offset: the last good snapshot, and the headers after it."""

from __future__ import annotations

from collections.abc import Sequence

from ottla.log.producers import Producers
from ottla.log.scan import iter_file_headers, parse_end_marker, read_batch
from ottla.log.segment import Segment
from ottla.log.snapshots import SnapshotFiles
from ottla.records.batch import BatchHeader


def restore_producers(
    snapshots: SnapshotFiles,
    segments: Sequence[Segment],
    *,
    start_offset: int,
    end_offset: int,
    trust_missing: bool = False,
) -> Producers:
    """The producers at ``end_offset``.

    Args:
        segments: those that hold the offsets up to ``end_offset``.
        trust_missing: as Kafka does after a clean stop, take the lack of a snapshot for a lack of
            producers, rather than reading the log from its start.
    """
    producers = Producers()
    latest = snapshots.load_latest(start_offset, end_offset)
    if latest is not None:
        producers.end_offset, known = latest
        for producer in known:
            producers.put(producer)
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


def _replay_segment(producers: Producers, segment: Segment, end_offset: int) -> None:
    found = segment.find(producers.end_offset)
    if found is None:
        return
    for position, header in iter_file_headers(segment.file, found[0], segment.size_bytes):
        if header.base_offset >= end_offset:
            return
        if header.producer_id >= 0 and header.base_offset >= producers.end_offset:
            replay_batch(producers, segment, position, header)


def replay_batch(
    producers: Producers, segment: Segment, position: int, header: BatchHeader
) -> None:
    """Take note of one batch that is in the log."""
    marker = None
    if header.is_control:
        marker = parse_end_marker(read_batch(segment.file, position, header))
    producers.replay(header, marker)
