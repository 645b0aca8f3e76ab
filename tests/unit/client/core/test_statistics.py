"""The statistics' windows and entries."""

from __future__ import annotations

import random
import statistics

import pytest

from ottla.client.core.statistics import Window, partition_entry, topic_entry


def test_a_window_says_what_was_measured_since_the_last() -> None:
    window = Window()
    for value in (5, 1, 3, 100):
        window.add(value)
    entry = window.take()
    assert (entry["min"], entry["max"], entry["avg"], entry["sum"]) == (1, 100, 27, 109)
    assert (entry["cnt"], entry["outofrange"]) == (4, 0)
    assert entry["stddev"] == int(statistics.pstdev([5, 1, 3, 100]))
    assert (entry["p50"], entry["p75"], entry["p99"]) == (3, 5, 100)
    empty = window.take()
    assert set(empty) == set(entry)
    assert set(empty.values()) == {0}


def test_percentiles_are_exact_to_a_part_in_a_hundred() -> None:
    values = [random.Random(1).lognormvariate(8, 2) for _ in range(20_000)]
    window = Window()
    for value in values:
        window.add(value)
    entry = window.take()
    ordered = sorted(values)
    for name, part in (("p50", 0.5), ("p90", 0.9), ("p99", 0.99), ("p99_99", 0.9999)):
        expected = ordered[round(part * len(ordered)) - 1]
        assert entry[name] == pytest.approx(expected, rel=0.02, abs=2)
    assert entry["hdrsize"] < 200_000


def test_windows_of_several_connections_become_one() -> None:
    first, second = Window(), Window()
    first.add(10)
    second.add(2)
    second.add(30)
    first.merge(second)
    entry = first.take()
    assert (entry["min"], entry["max"], entry["sum"], entry["cnt"]) == (2, 30, 42, 3)
    assert second.take()["cnt"] == 0


def test_what_is_negative_counts_as_nothing() -> None:
    window = Window()
    window.add(-5)
    assert window.take()["sum"] == 0


def test_entries_hold_what_is_known_and_defaults_for_the_rest() -> None:
    partition = partition_entry(3, leader=1, committed_offset=17)
    assert (partition["partition"], partition["leader"], partition["broker"]) == (3, 1, -1)
    assert partition["commited_offset"] == 17
    topic = topic_entry("t", [partition], age_ms=5.5, metadata_age_ms=1)
    assert topic["partitions"] == {"3": partition}
    assert topic["age"] == 5
