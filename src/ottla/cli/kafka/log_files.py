"""The files beside a log segment as ``kafka-dump-log`` shows them, and what is wrong with them."""

from __future__ import annotations

import os
import struct
from itertools import pairwise

from ottla.cli.kafka.log_segments import base_offset, read
from ottla.log.errors import MalformedFile
from ottla.log.snapshots import decode_snapshot
from ottla.records.batch import BatchHeader, iter_complete_headers, read_header
from ottla.records.decode import decode_records
from ottla.records.errors import RecordsError

_OFFSET_ENTRY = struct.Struct(">ii")
_TIME_ENTRY = struct.Struct(">qi")
_TRANSACTION_ENTRY = struct.Struct(">hqqqq")


def _beside(path: str, suffix: str) -> str:
    return os.path.join(os.path.dirname(path), os.path.basename(path).split(".")[0] + suffix)


def _entries(path: str, entry: struct.Struct) -> list[tuple[int, int]]:
    """The entries of an index in use: what follows the last one is zeros set aside."""
    data = bytes(read(path))
    found = list(entry.iter_unpack(data[: len(data) - len(data) % entry.size]))
    while found and found[-1] == (0, 0):
        found.pop()
    return [(first, second) for first, second in found]


def _insane(path: str, entry: struct.Struct) -> str | None:
    """Why an index can't be one, None if it can."""
    size = os.path.getsize(path)
    if size % entry.size:
        return f"Index file {path} is corrupt, its {size} bytes are no multiple of {entry.size}."
    entries = _entries(path, entry)
    if any(later < earlier for earlier, later in pairwise(entries)):
        return f"Corrupt index found, index file ({path}) does not ascend."
    return None


def dump_offset_index(path: str, largest: int, *, verifies: bool, checks: bool) -> list[str]:
    """Print an offset index; returns where it and the log differ."""
    base = base_offset(path)
    entries = _entries(path, _OFFSET_ENTRY)
    if not entries:
        print(f"{path} is empty.")
        return []
    if checks:
        problem = _insane(path, _OFFSET_ENTRY)
        print(problem or f"{path} passed sanity check.")
        return []
    log = memoryview(read(_beside(path, ".log")))
    mismatches = []
    for relative, position in entries:
        header = _header_at(log, position, largest)
        if header is None or header.last_offset != base + relative:
            found = -1 if header is None else header.last_offset
            mismatches.append(f"  Index offset: {base + relative}, log offset: {found}")
        if not verifies:
            print(f"offset: {base + relative} position: {position}")
    if not mismatches:
        return []
    return [f"Mismatches in :{os.path.abspath(path)}", *reversed(mismatches)]


def _header_at(log: memoryview, position: int, largest: int) -> BatchHeader | None:
    try:
        header = read_header(log[position : position + largest])
    except RecordsError:
        return None
    return header


def dump_time_index(path: str, *, verifies: bool, checks: bool) -> list[str]:
    """Print a time index; returns where it and the log differ."""
    if checks:
        problem = _insane(path, _TIME_ENTRY)
        print(problem or f"{path} passed sanity check.")
        return []
    base = base_offset(path)
    log = memoryview(read(_beside(path, ".log")))
    newest: dict[int, int] = {}
    try:
        for position, header in iter_complete_headers(log):
            times = [record.timestamp_ms for record in decode_records(log, position)]
            newest[header.last_offset] = max(times, default=-1)
    except RecordsError:
        pass  # what follows can't be compared; dumping the segment says why
    wrong: dict[str, list[str]] = {}
    before = -1
    for timestamp, relative in _entries(path, _TIME_ENTRY):
        offset = base + relative
        if offset not in newest:
            ends = [last for last in newest if last >= offset]
            wrong.setdefault("The following indexed offsets are not found in the log.", []).append(
                f"Indexed offset: {offset}, found log offset: {min(ends, default=-1)}"
            )
        elif newest[offset] != timestamp:
            where = f"Found timestamp mismatch in :{os.path.abspath(path)}"
            wrong.setdefault(where, []).append(
                f"  Index timestamp: {timestamp}, log timestamp: {newest[offset]}"
            )
        if before >= timestamp:
            where = f"Found out of order timestamp in :{os.path.abspath(path)}"
            wrong.setdefault(where, []).append(
                f"  Index timestamp: {timestamp}, Previously indexed timestamp: {before}"
            )
        before = timestamp
        if not verifies:
            print(f"timestamp: {timestamp} offset: {offset}")
    return [line for where, lines in wrong.items() for line in (where, *lines)]


def dump_producer_snapshot(path: str) -> list[str]:
    """Print the producers a snapshot holds; returns what is wrong with it."""
    try:
        producers = decode_snapshot(bytes(read(path)))
    except MalformedFile as error:
        return [str(error)]
    for producer in producers:
        line = (
            f"producerId: {producer.producer_id} producerEpoch: {producer.producer_epoch} "
            f"coordinatorEpoch: {producer.coordinator_epoch} currentTxnFirstOffset: "
            f"{_optional(producer.current_txn_first_offset)} "
            f"lastTimestamp: {producer.last_timestamp_ms} "
        )
        for batch in producer.batches[:1]:
            line += (
                f"firstSequence: {batch.first_sequence} lastSequence: {batch.last_sequence} "
                f"lastOffset: {batch.last_offset} "
                f"offsetDelta: {batch.last_offset - batch.first_offset} "
                f"timestamp: {batch.timestamp_ms}"
            )
        print(line)
    return []


def _optional(offset: int) -> str:
    return f"OptionalLong[{offset}]" if offset >= 0 else "OptionalLong.empty"


def dump_transaction_index(path: str) -> list[str]:
    """Print the aborted transactions of a segment."""
    data = bytes(read(path))
    whole = len(data) - len(data) % _TRANSACTION_ENTRY.size
    for version, producer, first, last, stable in _TRANSACTION_ENTRY.iter_unpack(data[:whole]):
        print(
            f"version: {version} producerId: {producer} firstOffset: {first} lastOffset: {last} "
            f"lastStableOffset: {stable}"
        )
    if len(data) > whole:
        return [f"{path} ends in {len(data) - whole} bytes of no entry"]
    return []
