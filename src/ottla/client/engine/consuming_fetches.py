"""Fetches under way: the fetcher's plans go out, answers come in."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ottla.client.core.consuming.fetching import (
    Delivered,
    FetchedRecords,
    Fetcher,
    FetchPlan,
    FetchSettings,
)
from ottla.client.core.consuming.partition import PartitionError
from ottla.client.core.targets import Lane
from ottla.client.errors import KafkaError
from ottla.wire.api.k01_fetch import FetchResponse
from ottla.wire.errors import Malformed, Truncated

if TYPE_CHECKING:
    from ottla.client.configuration.objects import ConsumerConfiguration
    from ottla.client.engine.consuming import Consuming

_FETCH = 1
# Closing sessions is a courtesy: nobody waits for it.
_FAREWELL_MS = 1_000.0


def fetch_settings(configuration: ConsumerConfiguration) -> FetchSettings:
    """The settings that decide on fetching."""
    return FetchSettings(
        max_wait_ms=configuration.fetch_wait_max_ms,
        min_bytes=configuration.fetch_min_bytes,
        max_bytes=max(1, configuration.fetch_max_bytes),
        max_partition_bytes=configuration.max_partition_fetch_bytes,
        queued_min_messages=configuration.queued_min_messages,
        queued_max_bytes=configuration.queued_max_messages_kbytes * 1024,
        is_read_committed=configuration.isolation_level == "read_committed",
        checks_crcs=configuration.check_crcs,
        reports_eof=configuration.enable_partition_eof,
        rack=configuration.client_rack or "",
        error_backoff_ms=configuration.fetch_error_backoff_ms,
    )


class Fetches:
    """Sends what the fetcher plans and gives it the answers."""

    def __init__(self, consuming: Consuming) -> None:
        self._consuming = consuming
        self._engine = consuming.engine
        configuration = consuming.configuration
        self.fetcher = Fetcher(fetch_settings(configuration))
        self._timeout_ms = configuration.socket_timeout_ms + configuration.fetch_wait_max_ms
        self._max_answer_bytes = configuration.receive_message_max_bytes

    def carry_on(self, now_ms: float) -> bool:
        """Fetch what there is room for; returns whether metadata are out of date."""
        fetcher = self.fetcher
        partitions = self._consuming.assignment.values()
        for plan in fetcher.plan(partitions, self._engine.cluster, now_ms, self._newest_version):
            self._send(plan)
        needs_metadata, fetcher.needs_metadata = fetcher.needs_metadata, False
        return needs_metadata

    def _newest_version(self, broker_id: int, at_most: int | None) -> int | None:
        if not self._engine.is_ready(broker_id, Lane.FETCH):
            self._engine.connect(broker_id, Lane.FETCH)
            return None
        versions = self._engine.versions(broker_id)
        return None if versions is None else versions.newest(_FETCH, at_most=at_most)

    def _send(self, plan: FetchPlan) -> None:
        self._engine.send_buffers(
            plan.broker_id,
            _FETCH,
            plan.version,
            [plan.request.encode(plan.version)],
            lambda answer: self._answered(plan, answer),
            timeout_ms=self._timeout_ms,
            lane=Lane.FETCH,
        )

    def _answered(self, plan: FetchPlan, answer: memoryview | KafkaError) -> None:
        if self._consuming.is_closed:
            return
        delivered = self._take_over(plan, answer)
        # The next fetch goes out first: the broker has time for it while records are looked into,
        # and the application for the first partition's while others' are.
        self._consuming.carry_on()
        for each in delivered:
            if isinstance(each, FetchedRecords):
                self.fetcher.prepare(each)
            self._consuming.deliver([each])

    def _take_over(self, plan: FetchPlan, answer: memoryview | KafkaError) -> list[Delivered]:
        broker_id = plan.broker_id
        if isinstance(answer, KafkaError):
            self.fetcher.failed(broker_id, self._engine.now_ms(), has_answered=False)
            return []
        try:
            response = FetchResponse.decode(answer, plan.version)
        except (Malformed, Truncated) as error:
            self.fetcher.failed(broker_id, self._engine.now_ms(), has_answered=True)
            text = f"Broker {broker_id} answered Fetch with what can't be read: {error}"
            self._engine.report(KafkaError(KafkaError._BAD_MSG, text))
            return []
        if response.throttle_time_ms:
            self._engine.throttled(broker_id, response.throttle_time_ms, Lane.FETCH)
        return self.fetcher.answered(
            broker_id, response, len(answer), self._engine.cluster, self._engine.now_ms()
        )

    def damaged(self, records: FetchedRecords) -> None:
        """Fetch again what the application could not read, and tell it why."""
        partition, cursor = records.partition, records.cursor
        partition.refetch()
        partition.fetch_offset = cursor.position
        partition.failed(
            self._engine.now_ms(), self._consuming.configuration.fetch_error_backoff_ms
        )
        error = KafkaError(KafkaError._BAD_MSG, f"Fetched records are damaged: {cursor.error}")
        self._consuming.deliver(
            [PartitionError(partition, partition.version, error, partition.fetch_offset)]
        )

    def close(self) -> None:
        """Tell brokers that the sessions are over."""
        for broker_id, request in self.fetcher.close_sessions():
            version = self._newest_version(broker_id, None)
            if version is not None:
                self._engine.send_buffers(
                    broker_id,
                    _FETCH,
                    version,
                    [request.encode(version)],
                    lambda answer: None,
                    timeout_ms=_FAREWELL_MS,
                    lane=Lane.FETCH,
                )
