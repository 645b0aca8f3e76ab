"""Share sessions, and share partitions whose coordinator fails or whose members vanish."""

from __future__ import annotations

import asyncio
import uuid
from typing import Any

import pytest

from ottla.broker.shares.acknowledgements import acknowledge_all
from ottla.broker.shares.configuration import ShareConfigurations
from ottla.broker.shares.live_partition import LivePartition
from ottla.broker.shares.sessions import MemberKey, ShareSessions
from ottla.broker.steady_time import SteadyTime
from ottla.coordination.share_partitions.commands import (
    Acknowledgement,
    AcquireLimits,
    LogBatch,
)
from ottla.coordination.share_partitions.settings import ShareSettings
from ottla.coordination.share_partitions.share_partition import SharePartition
from ottla.coordination.share_state.commands import SharePartitionKey
from ottla.metadata.config.resolve import ConfigResolver
from ottla.metadata.image import EMPTY_IMAGE, ConfigResource, ResourceType
from ottla.metadata.records import ConfigChanged
from ottla.wire.errors import ErrorCode, ProtocolError

TOPIC = uuid.UUID(int=1)
KEY = SharePartitionKey("g", TOPIC, 0)
ACCEPT, RELEASE = 1, 2
A, B = MemberKey("g", "a"), MemberKey("g", "b")


class Connections:
    """Connections that end when told to."""

    def __init__(self) -> None:
        self.listeners: dict[Any, Any] = {}

    def when_closed(self, session: Any, tell: Any) -> None:
        assert session not in self.listeners
        if session == "closed":
            tell()
        else:
            self.listeners[session] = tell


def sessions(limit: int = 10) -> tuple[ShareSessions, Connections, list[MemberKey]]:
    connections, left = Connections(), []
    made = ShareSessions(limit, connections, left.append)  # type: ignore[arg-type]
    return made, connections, left


def refused(code: ErrorCode, call: Any, *arguments: Any) -> None:
    with pytest.raises(ProtocolError) as refusal:
        call(*arguments)
    assert refusal.value.code is code


class TestSessions:
    def test_partitions_are_told_once_and_then_as_they_change(self) -> None:
        known, _, _ = sessions()
        known.begin(A, 0, "connection", [(TOPIC, 0), (TOPIC, 1)], [])
        session = known.begin(A, 1, "connection", [(TOPIC, 2)], [(TOPIC, 0)])
        assert list(session.partitions) == [(TOPIC, 1), (TOPIC, 2)]
        session.served((TOPIC, 1))
        assert list(known.begin(A, 2, "connection", [], []).partitions) == [(TOPIC, 2), (TOPIC, 1)]

    def test_each_request_counts_whether_it_fetches_or_acknowledges(self) -> None:
        known, _, _ = sessions()
        known.begin(A, 0, "connection", [], [])
        known.acknowledge(A, 1)
        refused(ErrorCode.INVALID_SHARE_SESSION_EPOCH, known.acknowledge, A, 1)
        known.begin(A, 2, "connection", [], [])

    def test_a_session_cannot_be_opened_by_acknowledging_nor_used_after_its_end(self) -> None:
        known, _, _ = sessions()
        refused(ErrorCode.INVALID_SHARE_SESSION_EPOCH, known.acknowledge, A, 0)
        refused(ErrorCode.SHARE_SESSION_NOT_FOUND, known.begin, A, 1, "connection", [], [])
        known.begin(A, 0, "connection", [], [])
        known.acknowledge(A, -1)
        refused(ErrorCode.SHARE_SESSION_NOT_FOUND, known.acknowledge, A, 1)

    def test_there_are_no_more_than_allowed(self) -> None:
        known, _, _ = sessions(1)
        known.begin(A, 0, "connection", [], [])
        refused(ErrorCode.SHARE_SESSION_LIMIT_REACHED, known.begin, B, 0, "connection", [], [])
        known.begin(A, 0, "connection", [], [])
        known.acknowledge(A, -1)
        known.begin(B, 0, "connection", [], [])

    def test_a_session_ends_with_its_connection_and_only_with_its_own(self) -> None:
        known, connections, left = sessions()
        known.begin(A, 0, "old", [], [])
        known.begin(A, 0, "new", [], [])
        connections.listeners["old"]()
        assert (left, len(known)) == ([], 1)
        connections.listeners["new"]()
        assert (left, len(known)) == ([A], 0)

    def test_reopening_sessions_on_one_connection_costs_nothing(self) -> None:
        known, connections, left = sessions()
        for _ in range(3):
            known.begin(A, 0, "connection", [], [])
            known.begin(B, 0, "connection", [], [])
        known.acknowledge(B, -1)
        connections.listeners["connection"]()
        assert (left, len(known)) == ([A], 0)

    def test_a_session_on_a_connection_that_is_closed_is_over_at_once(self) -> None:
        known, _, left = sessions()
        known.begin(A, 0, "closed", [], [])
        assert (left, len(known)) == ([A], 0)


class Coordinator:
    """A share coordinator that answers when told to, or fails."""

    def __init__(self) -> None:
        self.error: ProtocolError | None = None
        self.asked: list[Any] = []

    async def ask(self, key: SharePartitionKey, make: Any) -> None:
        self.asked.append(make(None))
        await asyncio.sleep(0)
        if self.error is not None:
            raise self.error


class Partition:
    leader_epoch = 3
    is_offline = False


async def live_partition(coordinator: Coordinator, **settings: int) -> LivePartition:
    """Records 0 to 9 are held by a."""
    time = SteadyTime(asyncio.get_running_loop(), 0)
    core = SharePartition(0, settings=ShareSettings(**settings))
    core.acquire("a", 0, [LogBatch(0, 9)], AcquireLimits(100, 100), time.now_ms())
    return LivePartition(KEY, Partition(), core, 7, coordinator, time)  # type: ignore[arg-type]


class TestLivePartitions:
    def test_an_acknowledgement_is_answered_when_it_is_durable(self) -> None:
        async def main() -> None:
            coordinator = Coordinator()
            live = await live_partition(coordinator)
            task = asyncio.create_task(live.acknowledge("a", [Acknowledgement(0, 9, [ACCEPT])]))
            await asyncio.sleep(0)
            assert live.core.start_offset == 0
            await task
            assert live.core.start_offset == 10
            [written] = coordinator.asked
            assert (written.state_epoch, written.leader_epoch) == (7, 3)

        asyncio.run(main())

    def test_one_that_cannot_be_written_has_not_happened(self) -> None:
        async def main() -> None:
            coordinator = Coordinator()
            live = await live_partition(coordinator)
            coordinator.error = ProtocolError(ErrorCode.COORDINATOR_NOT_AVAILABLE)
            with pytest.raises(ProtocolError):
                await live.acknowledge("a", [Acknowledgement(0, 9, [ACCEPT])])
            assert (live.core.start_offset, live.is_fenced) == (0, False)
            coordinator.error = None
            await live.acknowledge("a", [Acknowledgement(0, 9, [ACCEPT])])
            assert live.core.start_offset == 10

        asyncio.run(main())

    def test_who_is_fenced_is_of_no_use_any_more(self) -> None:
        async def main() -> None:
            coordinator = Coordinator()
            live = await live_partition(coordinator)
            coordinator.error = ProtocolError(ErrorCode.FENCED_LEADER_EPOCH)
            with pytest.raises(ProtocolError) as refusal:
                await live.release("a")
            assert refusal.value.code is ErrorCode.NOT_LEADER_OR_FOLLOWER
            assert live.is_fenced

        asyncio.run(main())

    def test_a_client_that_goes_away_does_not_undo_what_it_asked_for(self) -> None:
        async def main() -> None:
            live = await live_partition(Coordinator())
            task = asyncio.create_task(live.acknowledge("a", [Acknowledgement(0, 9, [ACCEPT])]))
            await asyncio.sleep(0)
            task.cancel()
            for _ in range(5):
                await asyncio.sleep(0)
            assert live.core.start_offset == 10

        asyncio.run(main())

    def test_locks_run_out_and_who_waits_is_told(self) -> None:
        async def main() -> None:
            coordinator = Coordinator()
            live = await live_partition(coordinator, record_lock_duration_ms=20)
            freed = asyncio.Event()
            live.observe(freed.set)
            live._set_timer()
            await asyncio.wait_for(freed.wait(), 10)
            assert live.core.next_fetch_offset == 0
            assert not live.core.has_locks("a")

        asyncio.run(main())

    def test_acknowledgements_of_what_nobody_gave_out_are_refused(self) -> None:
        class Nothing:
            def known(self, key: SharePartitionKey) -> None:
                return None

            def find_partition(self, topic_id: uuid.UUID, index: int) -> None:
                if index:
                    raise ProtocolError(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION)

        async def main() -> None:
            outcomes = await acknowledge_all(
                Nothing(),  # type: ignore[arg-type]
                A,
                {(TOPIC, index): [Acknowledgement(0, 0, [ACCEPT])] for index in (0, 1)},
                allows_renewal=False,
            )
            assert [outcome.code for outcome in outcomes.values()] == [
                ErrorCode.INVALID_RECORD_STATE,
                ErrorCode.UNKNOWN_TOPIC_OR_PARTITION,
            ]

        asyncio.run(main())


class TestConfiguration:
    def configured(self, **values: str) -> Any:
        changed = {name.replace("_", "."): value for name, value in values.items()}
        resource = ConfigResource(ResourceType.GROUP, "g")
        image = EMPTY_IMAGE.apply([ConfigChanged(resource, changed)])
        return ShareConfigurations(ConfigResolver({}, 1)).of(image, "g")

    def test_a_groups_own_values_count_within_the_brokers_limits(self) -> None:
        found = self.configured(
            share_record_lock_duration_ms="3600000", share_delivery_count_limit="3"
        )
        assert found.partitions == ShareSettings(60_000, 3, 2_000, is_renew_enabled=True)

    def test_without_any_the_defaults_are_kafkas(self) -> None:
        found = self.configured()
        assert found == (ShareSettings(), False, "latest")

    @pytest.mark.parametrize(
        ("text", "expected"),
        [
            ("earliest", "earliest"),
            ("by_duration:P1DT2H3M4.5S", ((26 * 60 + 3) * 60 + 4) * 1000 + 500),
            ("by_duration:PT0S", 0),
        ],
    )
    def test_where_to_begin_may_be_a_time_ago(self, text: str, expected: str | int) -> None:
        assert self.configured(share_auto_offset_reset=text).auto_offset_reset == expected
