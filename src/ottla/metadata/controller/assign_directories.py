"""Which log directory of a broker holds its replica of a partition (KIP-858)."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from typing import NamedTuple

from ottla.metadata.controller.decision import Decision
from ottla.metadata.image import ClusterImage
from ottla.metadata.records import PartitionChanged


class DirectoryAssignment(NamedTuple):
    """A replica's log lies in this directory."""

    topic_id: uuid.UUID
    partition_index: int
    directory_id: uuid.UUID


def decide_assign_directories(
    image: ClusterImage, broker_id: int, assignments: Sequence[DirectoryAssignment]
) -> Decision[None]:
    """Write down where a broker put its replicas; topics deleted meanwhile are passed over."""
    records = []
    for assignment in assignments:
        topic = image.topic_by_id(assignment.topic_id)
        if topic is None:
            continue
        partition = topic.partitions[assignment.partition_index]
        directories = tuple(
            assignment.directory_id if replica == broker_id else directory
            for replica, directory in zip(partition.replicas, partition.directories, strict=True)
        )
        if directories != partition.directories:
            changed = partition._replace(directories=directories)
            records.append(
                PartitionChanged(assignment.topic_id, assignment.partition_index, changed)
            )
    return Decision(tuple(records), None)
