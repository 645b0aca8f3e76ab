"""What a share coordinator can be asked, and its answers."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from typing import NamedTuple

from ottla.coordination.share_state.batches import StateBatch
from ottla.wire.errors import ErrorCode


class SharePartitionKey(NamedTuple):
    """A partition as a share group knows it."""

    group_id: str
    topic_id: uuid.UUID
    partition: int


class InitializeState(NamedTuple):
    """Begin to remember a share partition, or begin anew with a higher state epoch."""

    token: object
    key: SharePartitionKey
    state_epoch: int
    start_offset: int  # -1: the reader will find out


class ReadState(NamedTuple):
    """What is remembered, for a new leader of the partition."""

    token: object
    key: SharePartitionKey
    leader_epoch: int  # -1: not a leader


class WriteState(NamedTuple):
    """What changed. The epochs and the start offset may be -1, which means unchanged."""

    token: object
    key: SharePartitionKey
    state_epoch: int
    leader_epoch: int
    start_offset: int
    delivery_complete_count: int
    state_batches: Sequence[StateBatch]


class DeleteState(NamedTuple):
    """Forget a share partition."""

    token: object
    key: SharePartitionKey


class ReadSummary(NamedTuple):
    """Where a share partition starts."""

    token: object
    key: SharePartitionKey
    leader_epoch: int


class TopicsDeleted(NamedTuple):
    """Topics that are gone: forget their share partitions. Nobody waits for an answer."""

    topic_ids: frozenset[uuid.UUID]


class CountNeeded(NamedTuple):
    """How many of the newest records in the log are still needed; those before can go."""

    token: object


Command = (
    InitializeState
    | ReadState
    | WriteState
    | DeleteState
    | ReadSummary
    | TopicsDeleted
    | CountNeeded
)


class Refused(NamedTuple):
    """The answer to a command that is not carried out."""

    code: ErrorCode
    message: str


class Done(NamedTuple):
    """The answer to a command that is carried out and has nothing to tell."""


class FoundState(NamedTuple):
    """The answer to `ReadState`."""

    state_epoch: int
    start_offset: int
    state_batches: Sequence[StateBatch]


class FoundSummary(NamedTuple):
    """The answer to `ReadSummary`."""

    state_epoch: int
    leader_epoch: int
    start_offset: int
    delivery_complete_count: int


class NeededCount(NamedTuple):
    """The answer to `CountNeeded`."""

    records: int
