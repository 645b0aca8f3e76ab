"""What comes at the wrong moment: leaders that move, logs that are cut, answers that are late."""

from __future__ import annotations

import struct
import uuid

from ottla.client.core.cluster import ClusterView
from ottla.client.core.consuming.partition import AssignedPartition, Stage, Stored
from ottla.client.core.consuming.positions import Positions
from ottla.client.errors import KafkaError
from ottla.wire.api.k01_fetch import FetchResponse
from ottla.wire.errors import ErrorCode

from .conftest import assigned, metadata
from .test_fetching import Reader, asked, batch, errors, fetched, offsets, response
from .test_positions import checked, positions

# Leaders move while they are asked


def moved_while_asked(cluster: ClusterView) -> Reader:
    """Broker 1 is asked about partition 0 from 10 on, which moves to broker 2, which is asked."""
    reader = Reader(cluster, assigned(0, 10))
    (first,) = reader.plan()
    cluster.update(metadata([2, 1, 2], epoch=4))
    (second,) = reader.plan()
    assert [(p.broker_id, asked(p)) for p in (first, second)] == [(1, {0: 10}), (2, {0: 10})]
    return reader


def test_what_two_leaders_send_is_handed_out_once(cluster: ClusterView) -> None:
    reader = moved_while_asked(cluster)
    assert offsets(reader.answer(response(fetched(0, batch(10, 3))), 1)) == [(0, [10, 11, 12])]
    again = reader.answer(response(fetched(0, batch(10, 3) + batch(13, 2))), 2)
    assert offsets(again) == [(0, [13, 14])]


def test_what_a_former_leader_lacks_resets_nothing(cluster: ClusterView) -> None:
    reader = moved_while_asked(cluster)
    behind = response(fetched(0, error_code=ErrorCode.OFFSET_OUT_OF_RANGE))
    assert reader.answer(behind, 1) == []
    assert reader.partitions[0].stage is Stage.FETCHED
    assert offsets(reader.answer(response(fetched(0, batch(10, 1))), 2)) == [(0, [10])]


def test_records_of_a_former_leader_are_not_taken_while_the_position_is_reset(
    cluster: ClusterView,
) -> None:
    reader = moved_while_asked(cluster)
    partition = reader.partitions[0]
    reader.answer(response(fetched(0, error_code=ErrorCode.OFFSET_OUT_OF_RANGE)), 2)
    assert partition.stage is Stage.RESET
    assert reader.answer(response(fetched(0, batch(10, 3))), 1) == []
    assert partition.fetch_offset == 10


# Brokers that answer nonsense


def test_a_broker_whose_answers_are_errors_is_left_alone_for_a_while(cluster: ClusterView) -> None:
    reader = Reader(cluster, assigned(0))
    waits_ms = []
    for _ in range(6):
        assert len(reader.plan()) == 1
        failed = FetchResponse(error_code=ErrorCode.INCONSISTENT_TOPIC_ID, responses=[])
        assert reader.answer(failed) == []
        deadline_ms = reader.fetcher.next_deadline_ms(reader.now_ms)
        assert deadline_ms is not None
        assert reader.plan() == []
        waits_ms.append(deadline_ms - reader.now_ms)
        reader.now_ms = deadline_ms
    assert waits_ms == [20, 40, 80, 160, 320, 500]
    reader.fetch(response())
    assert reader.fetcher.next_deadline_ms(reader.now_ms) is None
    assert len(reader.plan()) == 1


def test_a_session_that_is_gone_costs_no_time_unless_it_goes_on(cluster: ClusterView) -> None:
    reader = Reader(cluster, assigned(0))
    gone = FetchResponse(error_code=ErrorCode.FETCH_SESSION_ID_NOT_FOUND, responses=[])
    reader.fetch(gone)
    reader.fetch(gone)
    assert reader.plan() == []


def test_an_answer_that_cannot_be_read_is_not_asked_for_again_at_once(
    cluster: ClusterView,
) -> None:
    reader = Reader(cluster, assigned(0))
    reader.plan()
    reader.fetcher.failed(1, reader.now_ms, has_answered=True)
    assert reader.plan() == []
    reader.now_ms += 20
    assert len(reader.plan()) == 1
    # One that could not be reached is its connection's business.
    reader.fetcher.failed(1, reader.now_ms, has_answered=False)
    assert len(reader.plan()) == 1


# Logs that are cut, and made anew


def consumed(offset: int, epoch: int = 1, committed: Stored | None = None) -> AssignedPartition:
    """A partition that the application has read up to an offset."""
    partition = assigned(0)
    partition.rewind(offset, epoch)
    if committed is not None:
        partition.committed = committed
    return partition


def truncated(core: Positions, partition: AssignedPartition, cluster: ClusterView) -> None:
    core.plan([partition], cluster, 0)
    cluster.update(metadata([2], epoch=9))
    ((asked_of_leader, _),) = core.plan([partition], cluster, 0).validated.values()
    core.checked(asked_of_leader, checked(0, 100), 0, 0.5)


def test_offsets_of_records_that_were_cut_off_are_not_committed(cluster: ClusterView) -> None:
    partition = consumed(120)
    truncated(positions(), partition, cluster)
    assert (partition.stage, partition.fetch_offset) == (Stage.FETCHED, 100)
    assert partition.uncommitted == Stored(100, 2)


def test_offsets_that_the_application_stored_are_cut_with_the_log(cluster: ClusterView) -> None:
    partition = assigned(0, 120, stores_offsets=False)
    partition.fetch_epoch = 1
    partition.store(Stored(90, 1, "kept"))
    core = positions()
    truncated(core, partition, cluster)
    assert partition.uncommitted == Stored(90, 1, "kept")


def test_after_a_cut_less_can_be_more(cluster: ClusterView) -> None:
    partition = consumed(101, 5, committed=Stored(120, 4))
    assert partition.uncommitted == Stored(101, 5)
    # Without epochs, or in the same one, it is the application that went back.
    assert consumed(101, 4, committed=Stored(120, 4)).uncommitted is None
    assert consumed(101, -1, committed=Stored(120, 4)).uncommitted is None


def test_offsets_of_a_topic_made_anew_are_not_those_of_the_old_one(cluster: ClusterView) -> None:
    partition = consumed(1000)
    core = positions()
    core.plan([partition], cluster, 0)
    cluster.update(metadata([1, 1, 2], topic_id=uuid.UUID(int=8)))
    core.plan([partition], cluster, 0)
    assert partition.uncommitted is None
    assert partition.position.offset < 0


# Damage


def damaged_second(count: int = 3) -> bytes:
    """Batches of two records each; the second one's last byte is wrong."""
    data = bytearray(b"".join(batch(2 * number, 2) for number in range(count)))
    data[2 * len(batch(0, 2)) - 2] ^= 1
    return bytes(data)


def test_a_batch_whose_sum_is_wrong_is_fetched_again_and_then_skipped(
    cluster: ClusterView,
) -> None:
    reader = Reader(cluster, assigned(0), checks_crcs=True)
    first = reader.fetch(response(fetched(0, damaged_second())))
    # It may have been damaged on its way.
    assert (offsets(first), errors(first)) == ([(0, [0, 1])], [])
    reader.now_ms += 1000
    (plan,) = reader.plan()
    assert asked(plan) == {0: 2}
    second = reader.answer(response(fetched(0, damaged_second())))
    assert errors(second) == [(0, KafkaError._BAD_MSG, 2)]
    reader.now_ms += 1000
    (plan,) = reader.plan()
    assert asked(plan) == {0: 4}
    assert offsets(reader.answer(response(fetched(0, batch(4, 2))))) == [(0, [4, 5])]


def test_a_batch_that_comes_whole_the_second_time_is_no_error(cluster: ClusterView) -> None:
    reader = Reader(cluster, assigned(0), checks_crcs=True)
    reader.fetch(response(fetched(0, damaged_second())))
    reader.now_ms += 1000
    delivered = reader.fetch(response(fetched(0, batch(2, 2) + batch(4, 2))))
    assert (offsets(delivered), errors(delivered)) == ([(0, [2, 3, 4, 5])], [])


def test_how_far_a_damaged_batch_goes_is_told_by_the_next(cluster: ClusterView) -> None:
    reader = Reader(cluster, assigned(0, 2), checks_crcs=True)
    data = bytearray(batch(2, 2) + batch(4, 2))
    struct.pack_into(">i", data, 23, 2**31 - 1)
    for _ in range(2):
        reader.now_ms += 1000
        reader.fetch(response(fetched(0, bytes(data))))
    assert reader.partitions[0].fetch_offset == 4


def test_a_damaged_batch_of_unknown_length_is_not_skipped(cluster: ClusterView) -> None:
    reader = Reader(cluster, assigned(0, 2), checks_crcs=True)
    data = bytearray(batch(2, 2))
    struct.pack_into(">i", data, 23, 2**31 - 1)
    told = []
    for _ in range(3):
        reader.now_ms += 1000
        told += errors(reader.fetch(response(fetched(0, bytes(data)))))
    assert told == [(0, KafkaError._BAD_MSG, 2)] * 2
    assert reader.partitions[0].fetch_offset == 2
