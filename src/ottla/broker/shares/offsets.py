"""The state of whole share groups: begun for new partitions, moved, deleted.

Each takes two coordinators: the group's notes what is about to happen, share coordinators carry it
out, the group's notes that it has happened. A crash in between leaves a note, and the next attempt
goes on from there.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any
from uuid import UUID

from ottla.coordination.share_groups.commands import (
    BeginAlterOffsets,
    BeginDeleteOffsets,
    Begun,
    Found,
    OffsetsDeleted,
    PartitionsInitialized,
    StatePartitions,
    TopicPartitions,
)
from ottla.coordination.share_state.commands import (
    DeleteState,
    FoundSummary,
    InitializeState,
    ReadSummary,
    SharePartitionKey,
)
from ottla.wire.errors import ErrorCode, ProtocolError

if TYPE_CHECKING:
    from ottla.broker.node import BrokerNode
    from ottla.broker.shares.coordinator import ShareCoordinator
    from ottla.broker.shares.partitions import SharePartitions

_UNKNOWN_START_OFFSET = -1
_KEYS_AT_ONCE = 500

#: New start offsets by topic id and partition.
StartOffsets = Mapping[UUID, Mapping[int, int]]


class ShareGroupOffsets:
    """Begins, moves and deletes the state of whole groups."""

    def __init__(
        self, broker: BrokerNode, coordinator: ShareCoordinator, partitions: SharePartitions
    ) -> None:
        self._broker = broker
        self._coordinator = coordinator
        self._partitions = partitions

    async def initialize(
        self, group_id: str, partitions: TopicPartitions, state_epoch: int
    ) -> None:
        """Make state for partitions that members shall read.

        Raises:
            ProtocolError: of the first partition whose state could not be made.
        """
        wanted = {
            topic_id: dict.fromkeys(indexes, _UNKNOWN_START_OFFSET)
            for topic_id, indexes in partitions.items()
        }
        errors = await self._initialize(group_id, wanted, state_epoch)
        for error in errors.values():
            if error is not None:
                raise error

    async def describe(
        self, group_id: str, partitions: TopicPartitions
    ) -> dict[SharePartitionKey, FoundSummary | ProtocolError]:
        """Where share partitions start."""

        async def summary(key: SharePartitionKey) -> FoundSummary | ProtocolError:
            try:
                found: FoundSummary = await self._coordinator.ask(
                    key, lambda token: ReadSummary(token, key, -1)
                )
            except ProtocolError as error:
                return error
            return found

        keys = _keys(group_id, partitions)
        found: dict[SharePartitionKey, FoundSummary | ProtocolError] = {}
        # Some at a time, so that the event loop turns in between.
        for start in range(0, len(keys), _KEYS_AT_ONCE):
            some = keys[start : start + _KEYS_AT_ONCE]
            summaries = await asyncio.gather(*(summary(key) for key in some))
            found.update(zip(some, summaries, strict=True))
        return found

    async def with_state(self, group_id: str) -> TopicPartitions:
        """The partitions that share coordinators keep state of for a group."""
        found: Found = await self._ask_group(
            group_id, lambda token: StatePartitions(token, group_id)
        )
        return found.partitions

    async def alter(
        self, group_id: str, start_offsets: StartOffsets
    ) -> dict[SharePartitionKey, ProtocolError | None]:
        """Let an empty group begin elsewhere; what became of each partition.

        Raises:
            ProtocolError: there is no such share group, or it has members.
        """
        partitions = {topic_id: frozenset(each) for topic_id, each in start_offsets.items()}
        begun: Begun = await self._ask_group(
            group_id, lambda token: BeginAlterOffsets(token, group_id, partitions)
        )
        self._partitions.forget(_keys(group_id, partitions))
        return await self._initialize(group_id, start_offsets, begun.state_epoch)

    async def delete(
        self, group_id: str, topic_ids: Sequence[UUID] | None
    ) -> dict[UUID, ProtocolError | None]:
        """Forget topics, or all of them, for an empty group; what became of those that had state.

        Raises:
            ProtocolError: there is no such share group, or it has members.
        """
        found: Found = await self._ask_group(
            group_id, lambda token: BeginDeleteOffsets(token, group_id, topic_ids)
        )
        self._partitions.forget(_keys(group_id, found.partitions))
        results = {
            topic_id: await self._delete_topic(group_id, topic_id, indexes)
            for topic_id, indexes in found.partitions.items()
        }
        deleted = [topic_id for topic_id, error in results.items() if error is None]
        await self._ask_group(group_id, lambda token: OffsetsDeleted(token, group_id, deleted))
        return results

    async def _delete_topic(
        self, group_id: str, topic_id: UUID, indexes: frozenset[int]
    ) -> ProtocolError | None:
        try:
            await asyncio.gather(
                *(
                    self._coordinator.ask(key, partial(DeleteState, key=key))
                    for key in _keys(group_id, {topic_id: indexes})
                )
            )
        except ProtocolError as error:
            # The state of a deleted topic is gone with it.
            if error.code is not ErrorCode.UNKNOWN_TOPIC_OR_PARTITION:
                return error
        return None

    async def _initialize(
        self, group_id: str, start_offsets: StartOffsets, state_epoch: int
    ) -> dict[SharePartitionKey, ProtocolError | None]:
        async def begin(key: SharePartitionKey, start_offset: int) -> ProtocolError | None:
            try:
                await self._coordinator.ask(
                    key, lambda token: InitializeState(token, key, state_epoch, start_offset)
                )
            except ProtocolError as error:
                return error
            return None

        wanted = {
            SharePartitionKey(group_id, topic_id, index): start_offset
            for topic_id, offsets in start_offsets.items()
            for index, start_offset in offsets.items()
        }
        errors = await asyncio.gather(*(begin(*each) for each in wanted.items()))
        results = dict(zip(wanted, errors, strict=True))
        ready: dict[UUID, set[int]] = {}
        for key, error in results.items():
            if error is None:
                ready.setdefault(key.topic_id, set()).add(key.partition)
        partitions = {topic_id: frozenset(indexes) for topic_id, indexes in ready.items()}
        await self._ask_group(
            group_id, lambda token: PartitionsInitialized(token, group_id, partitions)
        )
        return results

    async def _ask_group(self, group_id: str, make: Any) -> Any:
        answer = await self._broker.groups.submit(group_id, make)
        if isinstance(answer, ErrorCode):
            raise ProtocolError(answer)
        return answer


def _keys(group_id: str, partitions: TopicPartitions) -> list[SharePartitionKey]:
    return [
        SharePartitionKey(group_id, topic_id, index)
        for topic_id, indexes in partitions.items()
        for index in sorted(indexes)
    ]
