"""Offsets committed within transactions: pending until the end marker (KIP-98, KIP-447)."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ottla.coordination.groups import commands
from ottla.coordination.groups.committed import CommittedOffset
from ottla.coordination.groups.pending_offsets import OffsetKey, PendingOffsets
from ottla.coordination.groups.settings import GroupSettings
from ottla.coordination.outcome import TransactionalProducer
from ottla.wire.api.k09_offset_fetch import (
    GroupToLookUp,
    GroupTopicToLookUp,
    OffsetFetchRequest,
    TopicToLookUp,
)
from ottla.wire.api.k28_txn_offset_commit import (
    PartitionToCommit,
    TopicToCommit,
    TxnOffsetCommitRequest,
)
from ottla.wire.errors import ErrorCode

PRODUCER, OTHER = 7, 8
DAY_MS = 24 * 3600 * 1000


def commit(
    desk: Any,
    offset: int,
    *,
    producer_id: int = PRODUCER,
    member_id: str = "",
    generation_id: int = -1,
    instance_id: str | None = None,
    metadata: str = "",
    guard: object = None,
) -> ErrorCode:
    partition = PartitionToCommit(
        partition_index=0, committed_offset=offset, committed_metadata=metadata
    )
    request = TxnOffsetCommitRequest(
        transactional_id="copier",
        group_id="orders",
        producer_id=producer_id,
        producer_epoch=0,
        generation_id=generation_id,
        member_id=member_id,
        group_instance_id=instance_id,
        topics=[TopicToCommit(name="t", partitions=[partition])],
    )
    token = object()
    desk.runtime.submit(commands.TxnOffsetCommit(token, request, 3, guard))
    return ErrorCode(desk.answer(token).topics[0].partitions[0].error_code)


def end(desk: Any, *, is_committed: bool, producer_id: int = PRODUCER) -> None:
    desk.runtime.end_transaction(producer_id, 0, is_committed=is_committed)


def fetch_stable(desk: Any, version: int = 9) -> tuple[int, int]:
    """The error and the offset for those who ask for stable offsets only."""
    if version < 8:
        request = OffsetFetchRequest(
            group_id="orders",
            topics=[TopicToLookUp(name="t", partition_indexes=[0])],
            require_stable=True,
        )
        [topic] = desk.ask(commands.OffsetFetch, request, version).topics
    else:
        topics = [GroupTopicToLookUp(name="t", partition_indexes=[0])]
        request = OffsetFetchRequest(
            groups=[GroupToLookUp(group_id="orders", topics=topics)], require_stable=True
        )
        [topic] = desk.ask(commands.OffsetFetch, request, version).groups[0].topics
    [partition] = topic.partitions
    return partition.error_code, partition.committed_offset


@pytest.mark.parametrize("is_committed", [True, False])
def test_an_offset_takes_effect_with_its_transaction(desk: Any, is_committed: bool) -> None:
    desk.commit(1)
    assert commit(desk, 5) is ErrorCode.NONE
    assert desk.fetch() == 1
    end(desk, is_committed=is_committed)
    assert desk.fetch() == (5 if is_committed else 1)


@pytest.mark.parametrize("version", [7, 9])
def test_while_it_is_pending_nobody_is_told_a_stable_offset(desk: Any, version: int) -> None:
    desk.commit(1)
    commit(desk, 5)
    assert fetch_stable(desk, version) == (ErrorCode.UNSTABLE_OFFSET_COMMIT, -1)
    end(desk, is_committed=False)
    assert fetch_stable(desk, version) == (ErrorCode.NONE, 1)


def test_a_restart_knows_what_is_pending_and_what_has_ended(desk: Any) -> None:
    commit(desk, 5)
    commit(desk, 6, producer_id=OTHER)
    end(desk, is_committed=True, producer_id=OTHER)
    desk.restart()
    assert desk.fetch() == 6
    assert fetch_stable(desk)[0] == ErrorCode.UNSTABLE_OFFSET_COMMIT
    end(desk, is_committed=True)
    # It was written before the other, which is in effect.
    assert desk.fetch() == 6
    assert fetch_stable(desk) == (ErrorCode.NONE, 6)


def test_a_later_commit_is_not_undone_by_the_end_of_a_transaction(desk: Any) -> None:
    commit(desk, 5)
    desk.commit(9)
    end(desk, is_committed=True)
    assert desk.fetch() == 9


def test_a_zombies_offsets_are_refused(desk: Any) -> None:
    """reliability.md: zombies, a transactional offset commit carries member and generation."""
    (member_id,) = desk.stable_group()
    assert commit(desk, 5, member_id=member_id, generation_id=1) is ErrorCode.NONE
    stale = commit(desk, 5, member_id=member_id, generation_id=0)
    assert stale is ErrorCode.ILLEGAL_GENERATION
    gone = commit(desk, 5, member_id="gone", generation_id=1)
    assert gone is ErrorCode.UNKNOWN_MEMBER_ID
    # Producers older than KIP-447 don't say whose offsets they are.
    assert commit(desk, 5) is ErrorCode.NONE


def test_a_fenced_instance_is_refused(desk: Any) -> None:
    """reliability.md: zombies; the member of that group.instance.id is another by now."""
    desk.park_join(instance_id="one")
    desk.end_join_phase()
    refused = commit(desk, 5, member_id="replaced", generation_id=1, instance_id="one")
    assert refused is ErrorCode.FENCED_INSTANCE_ID


def test_without_a_group_a_generation_is_an_illegal_one(desk: Any) -> None:
    assert commit(desk, 5, generation_id=3) is ErrorCode.ILLEGAL_GENERATION
    assert commit(desk, 5) is ErrorCode.NONE


def test_metadata_too_large_is_refused_and_writes_nothing(desk: Any) -> None:
    assert commit(desk, 5, metadata="m" * 5000) is ErrorCode.OFFSET_METADATA_TOO_LARGE
    assert desk.log == []


def test_the_records_are_part_of_the_producers_transaction(desk: Any) -> None:
    guard = object()
    commit(desk, 5, guard=guard)
    [entry] = desk.runtime.entries
    assert entry.producer == TransactionalProducer(PRODUCER, 0, guard)


def test_a_pending_offset_keeps_its_group_and_its_position_from_expiring(new_desk: Any) -> None:
    desk = new_desk(GroupSettings(offsets_retention_ms=DAY_MS))
    desk.commit(1)
    commit(desk, 5)
    desk.wait(3 * DAY_MS)
    assert desk.fetch() == 1
    end(desk, is_committed=False)
    desk.wait(3 * DAY_MS)
    assert desk.fetch() == -1
    assert desk.list_groups() == []


def test_what_is_deleted_no_transaction_brings_back(desk: Any) -> None:
    commit(desk, 5)
    assert desk.delete_groups("orders") == {"orders": ErrorCode.NONE}
    end(desk, is_committed=True)
    assert desk.fetch() == -1
    commit(desk, 6)
    desk.delete_offset()
    end(desk, is_committed=True)
    assert desk.fetch() == -1


def test_offsets_of_deleted_topics_go_though_they_are_pending(desk: Any) -> None:
    commit(desk, 5)
    desk.runtime.submit(commands.TopicsDeleted(frozenset({"t"})))
    end(desk, is_committed=True)
    assert desk.fetch() == -1


KEYS = [OffsetKey("g", "t", 0), OffsetKey("g", "t", 1), OffsetKey("h", "t", 0)]
STEP = st.tuples(
    st.sampled_from(["put", "plain", "remove", "commit", "abort"]),
    st.sampled_from([1, 2, 3]),
    st.sampled_from(KEYS),
)


def offset(number: int) -> CommittedOffset:
    return CommittedOffset(number, -1, "", 0, None, None)


@given(st.lists(STEP, max_size=30))
def test_of_all_commits_in_effect_the_last_one_written_counts(steps: list[Any]) -> None:
    pending = PendingOffsets()
    store: dict[OffsetKey, int] = {}
    # The model: what was written for a key, in order, by whom; 0 is nobody's transaction.
    written: dict[OffsetKey, list[list[Any]]] = {key: [] for key in KEYS}
    for number, (action, producer_id, key) in enumerate(steps):
        if action == "put":
            pending.put(producer_id, key, offset(number))
            written[key].append([number, producer_id])
        elif action == "plain":
            pending.overtake(key)
            store[key] = number
            written[key].append([number, 0])
        elif action == "remove":
            pending.remove(key)
            store.pop(key, None)
            written[key].clear()
        else:
            for ended, committed in pending.end(producer_id, is_committed=action == "commit"):
                store[ended] = committed.offset
            for each in written.values():
                if action == "commit":
                    for entry in each:
                        entry[1] = 0 if entry[1] == producer_id else entry[1]
                else:
                    each[:] = [entry for entry in each if entry[1] != producer_id]
        for each in KEYS:
            effective = [entry[0] for entry in written[each] if entry[1] == 0]
            assert store.get(each) == (effective[-1] if effective else None)
            assert pending.has(*each) == any(entry[1] for entry in written[each])
    assert set(pending.group_ids()) == {
        key.group_id for key in KEYS if any(entry[1] for entry in written[key])
    }
