"""Questions about where to read, under way to leaders and to the group's coordinator."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, cast

from ottla.client.core.consuming.partition import PartitionError
from ottla.client.core.consuming.positions import Asked, Positions, ResetPolicy
from ottla.client.errors import KafkaError, KafkaException
from ottla.wire.api.k02_list_offsets import ListOffsetsRequest, ListOffsetsResponse
from ottla.wire.api.k23_offset_for_leader_epoch import (
    OffsetForLeaderEpochRequest,
    OffsetForLeaderEpochResponse,
)

if TYPE_CHECKING:
    from ottla.client.engine.consuming import Consuming

Outcome = Literal["done", "failed"]


class ConsumingPositions:
    """Asks what the positions' core plans, and gives it the answers."""

    def __init__(self, consuming: Consuming) -> None:
        self._consuming = consuming
        self._engine = consuming.engine
        configuration = consuming.configuration
        self.core = Positions(
            cast("ResetPolicy", configuration.auto_offset_reset),
            is_read_committed=configuration.isolation_level == "read_committed",
            first_backoff_ms=configuration.retry_backoff_ms,
            max_backoff_ms=configuration.retry_backoff_max_ms,
        )

    def carry_on(self, now_ms: float) -> bool:
        """Ask what there is to ask; returns whether metadata are out of date."""
        consuming = self._consuming
        plan = self.core.plan(consuming.assignment.values(), self._engine.cluster, now_ms)
        if plan.committed is not None:
            consuming.spawn(self._look_up_committed(plan.committed))
        for leader, (asked, listing) in plan.listed.items():
            consuming.spawn(self._list(leader, asked, listing))
        for leader, (asked, checking) in plan.validated.items():
            consuming.spawn(self._check(leader, asked, checking))
        self._tell_of_void()
        consuming.deliver(plan.errors)
        needs_metadata, self.core.needs_metadata = self.core.needs_metadata, False
        return needs_metadata

    def _tell_of_void(self) -> None:
        if self.core.has_voided:
            self.core.has_voided = False
            self._consuming.application.look_again()

    def next_deadline_ms(self, now_ms: float) -> float | None:
        """When to carry on, if nothing happens before."""
        return self.core.next_deadline_ms(self._consuming.assignment.values(), now_ms)

    async def _look_up_committed(self, asked: Asked) -> None:
        offsets = self._consuming.offsets
        try:
            found = await offsets.look_up([p.key for p, _ in asked.partitions])
        except KafkaException as exception:
            self._failed(asked)
            offsets.report_lookup(exception.args[0])
            return
        errors = []
        for partition in asked.current().values():
            outcome = found[partition.key]
            if outcome.error is not None:
                self.core.failed(
                    Asked(((partition, partition.version),)),
                    self._engine.now_ms(),
                    self._engine.randomness(),
                )
                error = PartitionError(partition, partition.version, outcome.error, -1)
                errors.append(error)
            else:
                self.core.committed_found(partition, outcome.offset, outcome.leader_epoch)
        self._consuming.deliver(errors)
        self._consuming.wake()

    async def _list(self, leader: int, asked: Asked, request: ListOffsetsRequest) -> None:
        try:
            answer = await self._engine.ask(leader, request, ListOffsetsResponse)
        except KafkaException:
            self._failed(asked)
            self._engine.refresh_metadata()
            return
        errors = self.core.listed(asked, answer, self._engine.now_ms(), self._engine.randomness())
        self._consuming.deliver(errors)
        self._consuming.wake()

    async def _check(self, leader: int, asked: Asked, request: OffsetForLeaderEpochRequest) -> None:
        try:
            answer = await self._engine.ask(leader, request, OffsetForLeaderEpochResponse)
        except KafkaException as exception:
            if exception.args[0] == KafkaError._UNSUPPORTED_FEATURE:
                self.core.cannot_check(asked)
                self._consuming.wake()
            else:
                self._failed(asked)
                self._engine.refresh_metadata()
            return
        errors = self.core.checked(asked, answer, self._engine.now_ms(), self._engine.randomness())
        self._tell_of_void()
        self._consuming.deliver(errors)
        self._consuming.wake()

    def _failed(self, asked: Asked) -> None:
        self.core.failed(asked, self._engine.now_ms(), self._engine.randomness())
        self._consuming.wake()
