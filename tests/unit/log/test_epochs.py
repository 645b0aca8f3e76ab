"""Leader epochs: assignment, end offsets, truncation from either end."""

from __future__ import annotations

from ottla.log.epochs import LeaderEpochCache
from ottla.log.text_files import EpochStart


def cache(*entries: tuple[int, int]) -> LeaderEpochCache:
    return LeaderEpochCache(EpochStart(*entry) for entry in entries)


def test_only_a_new_epoch_makes_an_entry() -> None:
    epochs = cache((0, 0))
    assert not epochs.changed
    epochs.assign(0, 5)
    assert not epochs.changed
    epochs.assign(2, 7)
    assert epochs.changed
    assert epochs.entries == [(0, 0), (2, 7)]


def test_a_new_epoch_removes_conflicting_entries() -> None:
    epochs = cache((0, 0), (1, 10), (2, 20))
    epochs.assign(3, 10)
    assert epochs.entries == [(0, 0), (3, 10)]


def test_an_epoch_ends_where_the_next_one_starts() -> None:
    epochs = cache((2, 10), (4, 20), (7, 30))
    assert epochs.end_offset_for(4, 35) == (4, 30)
    assert epochs.end_offset_for(5, 35) == (4, 30)
    assert epochs.end_offset_for(7, 35) == (7, 35)
    assert epochs.end_offset_for(1, 35) == (1, 10)
    assert epochs.end_offset_for(8, 35) == (-1, -1)
    assert epochs.end_offset_for(-1, 35) == (-1, -1)
    assert cache().end_offset_for(0, 0) == (-1, -1)


def test_the_epoch_of_an_offset() -> None:
    epochs = cache((2, 10), (4, 20))
    assert [epochs.epoch_of(offset) for offset in (9, 10, 19, 20, 99)] == [-1, 2, 2, 4, 4]


def test_truncation_from_the_end_forgets_epochs_that_begin_there() -> None:
    epochs = cache((2, 10), (4, 20), (7, 30))
    epochs.truncate_from_end(31)
    assert not epochs.changed
    epochs.truncate_from_end(20)
    assert epochs.entries == [(2, 10)]


def test_truncation_from_the_start_moves_the_epoch_that_spans_it() -> None:
    epochs = cache((2, 10), (4, 20), (7, 30))
    epochs.truncate_from_start(10)
    assert not epochs.changed
    epochs.truncate_from_start(25)
    assert epochs.entries == [(4, 25), (7, 30)]
    epochs.truncate_from_start(30)
    assert epochs.entries == [(7, 30)]


def test_an_old_epoch_seen_in_the_log_changes_nothing() -> None:
    epochs = cache((3, 10))
    epochs.observe(2, 50)
    epochs.observe(-1, 60)
    assert epochs.entries == [(3, 10)]
