"""What acknowledgements mean for the records in flight, once they are found to be in order."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from ottla.coordination.share_partitions.commands import Acknowledgement
from ottla.coordination.share_partitions.in_flight import Span
from ottla.coordination.share_partitions.states import AcknowledgeType, RecordState
from ottla.wire.errors import ErrorCode, ProtocolError

if TYPE_CHECKING:
    from ottla.coordination.share_partitions.share_partition import SharePartition

_KNOWN_TYPES = frozenset(AcknowledgeType)


def check(acknowledgements: Sequence[Acknowledgement], *, allows_renewal: bool = True) -> None:
    """Refuses what makes no sense, whatever is in flight.

    Raises:
        ProtocolError: INVALID_REQUEST.
    """
    end_offset = -1
    for each in acknowledgements:
        if each.first_offset > each.last_offset or each.first_offset <= end_offset:
            raise ProtocolError(ErrorCode.INVALID_REQUEST, "offsets out of order")
        end_offset = each.last_offset
        count = len(each.types)
        if count != 1 and count != each.last_offset - each.first_offset + 1:
            raise ProtocolError(ErrorCode.INVALID_REQUEST, f"{count} acknowledge types")
        if not _KNOWN_TYPES.issuperset(each.types):
            raise ProtocolError(ErrorCode.INVALID_REQUEST, "unknown acknowledge type")
        if not allows_renewal and AcknowledgeType.RENEW in each.types:
            raise ProtocolError(ErrorCode.INVALID_REQUEST, "a renewal is not announced")


def resolve(
    partition: SharePartition, member_id: str, acknowledgements: Sequence[Acknowledgement]
) -> tuple[list[Span], list[tuple[Span, RecordState]]]:
    """The spans whose locks are renewed, and the others with the states they shall have.

    Raises:
        ProtocolError: as `SharePartition.acknowledge`.
    """
    for each in acknowledgements:
        _check_held(partition, member_id, each)
    renewed: list[Span] = []
    targets: list[tuple[Span, RecordState]] = []
    for each in acknowledgements:
        for first, last, kind in _runs(each, partition.start_offset):
            for span in partition.in_flight.within(first, last):
                if kind is AcknowledgeType.RENEW:
                    renewed.append(span)
                else:
                    targets.append((span, _target(partition, span, kind)))
    return renewed, targets


def _check_held(partition: SharePartition, member_id: str, each: Acknowledgement) -> None:
    first, last = max(each.first_offset, partition.start_offset), each.last_offset
    if first > last:
        # Done with already: an acknowledgement that comes twice, or after retention.
        return
    if last >= partition.end_offset:
        raise ProtocolError(ErrorCode.INVALID_REQUEST, "offsets that were never delivered")
    if partition.in_flight.unseen(first, last):
        raise ProtocolError(ErrorCode.INVALID_RECORD_STATE, "records not in delivery")
    for span in partition.in_flight.overlapping(first, last):
        if not span.is_locked:
            raise ProtocolError(ErrorCode.INVALID_RECORD_STATE, "the record is not acquired")
        if span.member_id != member_id:
            raise ProtocolError(ErrorCode.INVALID_RECORD_STATE, "another member holds the record")
    if AcknowledgeType.RENEW in each.types and not partition.settings.is_renew_enabled:
        raise ProtocolError(
            ErrorCode.INVALID_RECORD_STATE, "the group's configuration forbids to renew locks"
        )


def _runs(each: Acknowledgement, start_offset: int) -> Iterator[tuple[int, int, AcknowledgeType]]:
    """The ranges from the start offset on that have one type."""
    if len(each.types) == 1:
        if each.last_offset >= start_offset:
            first = max(each.first_offset, start_offset)
            yield first, each.last_offset, AcknowledgeType(each.types[0])
        return
    first = max(each.first_offset, start_offset)
    while first <= each.last_offset:
        kind = each.types[first - each.first_offset]
        last = first
        while last < each.last_offset and each.types[last + 1 - each.first_offset] == kind:
            last += 1
        yield first, last, AcknowledgeType(kind)
        first = last + 1


def _target(partition: SharePartition, span: Span, kind: AcknowledgeType) -> RecordState:
    if kind is AcknowledgeType.ACCEPT:
        return RecordState.ACKNOWLEDGED
    if kind is AcknowledgeType.RELEASE:
        return partition.state_after_release(span)
    return RecordState.ARCHIVED
