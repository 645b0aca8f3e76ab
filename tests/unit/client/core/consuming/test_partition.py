"""One assigned partition: position, what is stored, and what becomes void."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from ottla.client.core.consuming.partition import (
    EARLIEST_TIMESTAMP,
    LATEST_TIMESTAMP,
    AssignedPartition,
    Stage,
    Start,
    Stored,
)
from ottla.client.values import (
    OFFSET_BEGINNING,
    OFFSET_END,
    OFFSET_INVALID,
    OFFSET_STORED,
)

from .conftest import assigned


def read_up_to(partition: AssignedPartition, offset: int, position: int | None = None) -> Any:
    """The application reads a cursor up to an offset."""
    cursor: Any = SimpleNamespace(
        consumed=offset, consumed_epoch=2, position=offset if position is None else position
    )
    partition.cursor = cursor
    return cursor


@pytest.mark.parametrize(
    ("offset", "stage"),
    [
        (5, Stage.FETCHED),
        (OFFSET_STORED, Stage.COMMITTED),
        (OFFSET_INVALID, Stage.COMMITTED),
        (OFFSET_BEGINNING, Stage.LISTED),
        (OFFSET_END, Stage.LISTED),
    ],
)
def test_where_to_begin(offset: int, stage: Stage) -> None:
    assert assigned(0, offset).stage is stage


def test_logical_offsets_stand_for_timestamps() -> None:
    assert assigned(0, OFFSET_BEGINNING).list_timestamp == EARLIEST_TIMESTAMP
    assert assigned(0, OFFSET_END).list_timestamp == LATEST_TIMESTAMP


def test_an_offset_with_an_epoch_is_validated_first() -> None:
    partition = AssignedPartition(Start("t", 0, 5, leader_epoch=2))
    assert partition.stage is Stage.VALIDATED


def test_the_position_is_that_of_the_last_message_handed_out() -> None:
    partition = assigned(0)
    assert partition.position.offset == OFFSET_INVALID
    read_up_to(partition, 4, position=9)
    assert partition.position == Stored(4, 2)
    partition.settle()
    assert partition.position == Stored(4, 2)
    # What lies between was not for the user: it need not be fetched again.
    partition.refetch()
    assert partition.fetch_offset == 9


def test_a_seek_voids_what_was_fetched_and_keeps_what_is_stored() -> None:
    partition = assigned(0)
    read_up_to(partition, 4)
    version = partition.version
    partition.begin_at(1)
    assert partition.version != version
    assert partition.position.offset == OFFSET_INVALID
    assert (partition.fetch_offset, partition.stored) == (1, Stored(4, 2))


def test_a_pause_forgets_what_was_not_handed_out() -> None:
    partition = assigned(0)
    partition.fetch_offset = 100
    partition.pause()
    assert partition.fetch_offset == 0
    partition.resume()
    partition.fetch_offset = 100
    read_up_to(partition, 4)
    partition.pause()
    assert (partition.fetch_offset, partition.position) == (4, Stored(4, 2))
    version = partition.version
    partition.pause()
    assert partition.version == version


def test_only_what_is_beyond_the_committed_offset_is_uncommitted() -> None:
    partition = assigned(0)
    assert partition.uncommitted is None
    read_up_to(partition, 4)
    assert partition.uncommitted == Stored(4, 2)
    partition.committed = Stored(4, 2)
    assert partition.uncommitted is None


def test_offsets_that_the_application_stores_itself() -> None:
    partition = assigned(0, stores_offsets=False)
    read_up_to(partition, 4)
    assert partition.stored is None
    partition.store(Stored(3, metadata="m"))
    partition.settle()
    assert partition.uncommitted == Stored(3, metadata="m")


def test_messages_that_never_reached_the_user_are_read_again() -> None:
    partition = assigned(0)
    read_up_to(partition, 8)
    partition.rewind(5, 2)
    assert (partition.fetch_offset, partition.position, partition.stored) == (
        5,
        Stored(5, 2),
        Stored(5, 2),
    )
