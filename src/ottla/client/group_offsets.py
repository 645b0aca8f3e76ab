"""The offsets that ``send_offsets_to_transaction`` is given."""

from __future__ import annotations

from ottla.client.core.producing.transaction_requests import GroupOffset
from ottla.client.values import TopicPartition


def group_offsets(offsets: object) -> list[GroupOffset]:
    """The offsets of ``send_offsets_to_transaction`` that say something.

    Raises:
        TypeError: it is no list of ``TopicPartition``.
    """
    if not isinstance(offsets, list):
        raise TypeError("requires list of TopicPartition")
    found = []
    for each in offsets:
        if not isinstance(each, TopicPartition):
            raise TypeError(f"expected TopicPartition, not {type(each).__name__}")
        if each.offset >= 0:
            leader_epoch = -1 if each.leader_epoch is None else each.leader_epoch
            found.append(
                GroupOffset(each.topic, each.partition, each.offset, leader_epoch, each.metadata)
            )
    return found
