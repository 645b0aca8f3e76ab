"""Producer snapshots: what ``Producers`` knew at an offset, in Kafka's ``.snapshot`` format."""

from __future__ import annotations

import logging
import struct
from collections.abc import Iterable

from ottla.log.errors import MalformedFile
from ottla.log.files import read_file_if_any, remove_if_any, write_file
from ottla.log.names import SNAPSHOT_SUFFIX, offset_name
from ottla.log.producers import NO_OFFSET, KeptBatch, Producer, Producers
from ottla.ports.disk import Disk
from ottla.records.batch import MAX_SEQUENCE
from ottla.records.crc import crc32c

_logger = logging.getLogger(__name__)

_VERSION = 1
_HEAD = struct.Struct(">hI")
_COUNT = struct.Struct(">i")
_ENTRY = struct.Struct(">qhiqiqiq")


def encode_snapshot(producers: Iterable[Producer]) -> bytes:
    """The file's content. Only each producer's last batch is kept, as in Kafka."""
    entries = []
    for producer in producers:
        last = producer.batches[-1] if producer.batches else None
        entries.append(
            _ENTRY.pack(
                producer.producer_id,
                producer.producer_epoch,
                producer.last_sequence,
                producer.last_offset,
                0 if last is None else last.last_offset - last.first_offset,
                producer.last_timestamp_ms,
                producer.coordinator_epoch,
                producer.current_txn_first_offset,
            )
        )
    body = _COUNT.pack(len(entries)) + b"".join(entries)
    return _HEAD.pack(_VERSION, crc32c(body)) + body


def decode_snapshot(data: bytes) -> list[Producer]:
    """Read a snapshot.

    Raises:
        MalformedFile: it is torn, corrupt or of an unknown version.
    """
    if len(data) < _HEAD.size + _COUNT.size:
        raise MalformedFile("a producer snapshot that is too short")
    version, crc = _HEAD.unpack_from(data)
    if version != _VERSION:
        raise MalformedFile(f"a producer snapshot of version {version}")
    body = memoryview(data)[_HEAD.size :]
    if crc32c(body) != crc:
        raise MalformedFile("a producer snapshot with a wrong checksum")
    (count,) = _COUNT.unpack_from(body)
    if len(body) != _COUNT.size + count * _ENTRY.size:
        raise MalformedFile("a producer snapshot whose size and count don't match")
    return [_producer(*fields) for fields in _ENTRY.iter_unpack(body[_COUNT.size :])]


def _producer(
    producer_id: int,
    producer_epoch: int,
    last_sequence: int,
    last_offset: int,
    offset_delta: int,
    timestamp_ms: int,
    coordinator_epoch: int,
    current_txn_first_offset: int,
) -> Producer:
    batches = []
    if last_offset > NO_OFFSET:
        first_sequence = (last_sequence - offset_delta) & MAX_SEQUENCE
        batches = [
            KeptBatch(
                first_sequence, last_sequence, last_offset - offset_delta, last_offset, timestamp_ms
            )
        ]
    return Producer(
        producer_id,
        producer_epoch,
        batches,
        last_timestamp_ms=timestamp_ms,
        coordinator_epoch=coordinator_epoch,
        current_txn_first_offset=max(current_txn_first_offset, -1),
    )


class SnapshotFiles:
    """The snapshots in a partition's directory, by the offset in their names."""

    __slots__ = ("_directory", "_disk", "_offsets")

    def __init__(self, disk: Disk, directory: str, offsets: Iterable[int]) -> None:
        self._disk = disk
        self._directory = directory
        self._offsets = sorted(offsets)

    def _path(self, offset: int) -> str:
        return f"{self._directory}/{offset_name(offset, SNAPSHOT_SUFFIX)}"

    def take(self, producers: Producers, offset: int, *, sync: bool) -> str | None:
        """Write what the producers are at ``offset``; the path, or ``None`` when it was there."""
        if self._offsets and self._offsets[-1] >= offset:
            return None
        path = self._path(offset)
        write_file(self._disk, path, encode_snapshot(producers), sync=sync)
        self._offsets.append(offset)
        return path

    def load_latest(self, start_offset: int, end_offset: int) -> tuple[int, list[Producer]] | None:
        """The last good snapshot after ``start_offset``, up to ``end_offset``; bad ones go."""
        for offset in reversed(self._offsets.copy()):
            if not start_offset < offset <= end_offset:
                continue
            data = read_file_if_any(self._disk, self._path(offset))
            try:
                return offset, decode_snapshot(data or b"")
            except MalformedFile as error:
                _logger.warning("%s: ignoring it, it is %s", self._path(offset), error)
                self.remove(offset)
        return None

    def remove(self, offset: int) -> None:
        """Remove the snapshot at an offset, if there is one."""
        if offset in self._offsets:
            self._offsets.remove(offset)
            remove_if_any(self._disk, self._path(offset))

    def remove_after(self, end_offset: int) -> None:
        """Remove snapshots of offsets the log doesn't reach."""
        for offset in [each for each in self._offsets if each > end_offset]:
            self.remove(offset)

    def remove_strays(self, base_offsets: Iterable[int]) -> None:
        """Keep the snapshots at segments' starts, and the last one."""
        kept = {*base_offsets, *self._offsets[-1:]}
        for offset in [each for each in self._offsets if each not in kept]:
            self.remove(offset)
