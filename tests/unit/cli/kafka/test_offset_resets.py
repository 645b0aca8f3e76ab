"""Where --reset-offsets sets a group to."""

from __future__ import annotations

import pytest

from ottla.cli.kafka.offset_resets import (
    format_plan,
    parse_datetime,
    parse_duration,
    parse_plan,
    parse_topic,
    within,
)


@pytest.mark.parametrize(
    ("text", "expected_ms"),
    [
        ("PT1H", 3_600_000),
        ("P1DT2H3M4.5S", 93_784_500),
        ("-PT1S", -1_000),
        ("PT-1.5S", -1_500),
        ("P0D", 0),
        ("pt0.0019s", 1),
    ],
)
def test_durations(text: str, expected_ms: int) -> None:
    assert parse_duration(text) == expected_ms


@pytest.mark.parametrize("text", ["", "P", "PT", "1H", "P1H", "PT1D", "soon", "P1Y"])
def test_what_is_no_duration(text: str) -> None:
    with pytest.raises(ValueError, match="Text cannot be parsed to a Duration"):
        parse_duration(text)


@pytest.mark.parametrize(
    ("text", "expected_ms"),
    [
        ("1970-01-01T00:00:01.500", 1_500),
        ("2023-11-14T22:13:20Z", 1_700_000_000_000),
        ("2023-11-14T23:13:20+01:00", 1_700_000_000_000),
        ("2023-11-14T20:43:20.000-0130", 1_700_000_000_000),
        ("2023-11-14T22:13", 1_699_999_980_000),
    ],
)
def test_times(text: str, expected_ms: int) -> None:
    assert parse_datetime(text) == expected_ms


@pytest.mark.parametrize("text", ["tomorrow", "2023-11-14", "2023-13-01T00:00:00", "T"])
def test_what_is_no_time(text: str) -> None:
    with pytest.raises(ValueError, match=r"ParseException|month must be"):
        parse_datetime(text)


def test_a_plan_comes_back_as_it_was_written() -> None:
    resets = {"one": {("a,b", 0): 5, ("c", 2): 7}, "two": {("c", 2): 0}}
    assert parse_plan(format_plan(resets, with_group=True), ["one", "two"]) == resets
    single = {"one": resets["one"]}
    assert parse_plan(format_plan(single, with_group=False), ["one"]) == single


@pytest.mark.parametrize("text", ["data,0", "data,x,3", "data,0,x", "a,b,c,d,e"])
def test_a_broken_plan_is_refused_as_a_whole(text: str) -> None:
    with pytest.raises(ValueError, match="line 2 of the plan"):
        parse_plan(f"data,0,1\n{text}\n", ["group"])


def test_offsets_outside_the_log_become_its_ends() -> None:
    assert [within(offset, 10, 20) for offset in (5, 10, 15, 25)] == [10, 10, 15, 20]


def test_topics_with_and_without_partitions() -> None:
    assert parse_topic("data") == ("data", None)
    assert parse_topic("data:0,2") == ("data", [0, 2])
    for wrong in ("data:", "data:x", "data:0:1"):
        with pytest.raises(ValueError, match="Invalid"):
            parse_topic(wrong)
