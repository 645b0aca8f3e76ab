"""Medians, ratios and aims: what the benchmark's table says of its samples."""

from __future__ import annotations

import json
import pathlib

import pytest

from bench import report
from bench.load import percentile
from bench.results import Aim, Better, Row, Samples, at_least, at_most, percent_of


def row(ottla: float, kafka: float, all_cores: float, better: Better = Better.HIGHER) -> Row:
    samples = [Samples.of([value]) for value in (ottla, kafka, all_cores)]
    return Row("section", "row", "unit", *samples, better=better)


def test_the_ratio_is_to_the_better_kafka() -> None:
    assert row(30, 10, 15).ratio == pytest.approx(2)
    assert row(30, 15, 10).ratio == pytest.approx(2)


def test_of_latencies_the_lower_is_the_better() -> None:
    latency = row(1, 4, 2, Better.LOWER)
    assert latency.ratio == pytest.approx(2)
    assert latency.aim == Aim("ahead", is_met=True)


def test_a_row_behind_kafka_misses_its_aim() -> None:
    assert row(9, 10, 5).aim == Aim("ahead", is_met=False)


def test_a_row_without_kafka_has_no_ratio_and_no_aim() -> None:
    alone = Row("section", "row", "unit", ottla=Samples.of([1.0]))
    assert alone.ratio is None
    assert alone.aim is None


def test_limits_belong_to_the_aim() -> None:
    assert at_least(60, 60).is_met
    assert not at_least(59.9, 60).is_met
    assert at_most(8, 8).is_met
    assert not at_most(8.1, 8).is_met


def test_the_spread_is_half_the_range() -> None:
    assert Samples.of([90, 100, 110]).spread_percent == pytest.approx(10)


def test_shares_are_of_the_limits_median() -> None:
    shares = percent_of(Samples.of([50, 60]), Samples.of([90, 100, 200]))
    assert shares is not None
    assert shares.values == pytest.approx((50, 60))


@pytest.mark.parametrize(
    ("percent", "expected"), [(50, 500), (99, 990), (99.9, 999), (100, 1000), (0, 1)]
)
def test_a_percentile_is_a_value_that_occurred(percent: float, expected: float) -> None:
    assert percentile(range(1000, 0, -1), percent) == expected


def test_the_summary_names_what_was_missed() -> None:
    text = report.summary([row(9, 10, 5), row(11, 10, 5)])
    assert text.splitlines() == ["1 of 2 aims met", "  missed: section: row (ahead)"]


def test_json_holds_every_sample(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "bench.json"
    report.write_json(path, {"kernel": "x"}, [row(30, 10, 15)])
    document = json.loads(path.read_text())
    assert document["circumstances"] == {"kernel": "x"}
    (written,) = document["rows"]
    assert written["ottla"] == {"values": [30], "median": 30}
    assert written["ratio"] == pytest.approx(2)
