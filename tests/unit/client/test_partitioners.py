"""Partitioners: every key lands where librdkafka puts it."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import get_args

import confluent_kafka
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ottla.client import partitioners
from ottla.client.configuration.values import PARTITIONERS
from ottla.client.partitioners import Partitioner, is_sticky, partition_of

Function = Callable[..., int]
PAIRS: dict[str, tuple[Function, Function]] = {
    "murmur2": (partitioners.murmur2, confluent_kafka.murmur2),
    "consistent": (partitioners.consistent, confluent_kafka.consistent),
    "fnv1a": (partitioners.fnv1a, confluent_kafka.fnv1a),
}


def seven(count: int) -> int:
    return 7 % count


@pytest.mark.parametrize("name", PAIRS)
@given(key=st.binary(max_size=70), count=st.integers(1, 2**31 - 1))
def test_every_key_goes_where_librdkafka_sends_it(name: str, key: bytes, count: int) -> None:
    ours, theirs = PAIRS[name]
    assert ours(key, count) == theirs(key, count)


@pytest.mark.parametrize("name", PAIRS)
def test_every_length_and_every_byte(name: str) -> None:
    ours, theirs = PAIRS[name]
    chance = random.Random(1)
    for size in range(40):
        key = chance.randbytes(size)
        assert ours(key, 2**31 - 1) == theirs(key, 2**31 - 1)
    for byte in range(256):
        key = bytes([byte]) * 3
        assert ours(key, 2**31 - 1) == theirs(key, 2**31 - 1)


@pytest.mark.parametrize("name", PAIRS)
@pytest.mark.parametrize(
    "arguments",
    [
        ("abc", 10), (None, 10), (5, 10), (bytearray(b"abc"), 10), (memoryview(b"abc"), 10),
        (b"abc", 0), (b"abc", -1), (b"abc", 2**31), (b"abc", "x"), (b"abc", None), (b"abc", 2.0),
        (b"abc",), (), (b"abc", 1, 2),
    ],
    ids=lambda arguments: "-".join(type(each).__name__ for each in arguments) or "none",
)  # fmt: skip
def test_bad_arguments_are_refused_alike(name: str, arguments: tuple[object, ...]) -> None:
    refusals = []
    for function in PAIRS[name]:
        with pytest.raises((TypeError, ValueError, OverflowError)) as refused:
            function(*arguments)
        refusals.append(refused.type)
    assert refusals[0] is refusals[1]


def test_the_names_are_those_of_the_configuration() -> None:
    assert set(get_args(Partitioner)) == PARTITIONERS


@pytest.mark.parametrize("name", ["consistent", "murmur2", "fnv1a"])
def test_hashes_send_records_without_a_key_where_the_empty_key_goes(name: Partitioner) -> None:
    empty = PAIRS[name][1](b"", 12)
    assert partition_of(name, None, 12, seven) == partition_of(name, b"", 12, seven) == empty
    assert partition_of(name, b"k", 12, seven) == PAIRS[name][1](b"k", 12)


@pytest.mark.parametrize("name", ["consistent_random", "murmur2_random", "fnv1a_random"])
def test_random_variants_draw_only_without_a_key(name: Partitioner) -> None:
    theirs = PAIRS[name.removesuffix("_random")][1]
    assert partition_of(name, None, 12, seven) == 7
    assert partition_of(name, b"k", 12, seven) == theirs(b"k", 12)


def test_only_consistent_random_draws_for_an_empty_key() -> None:
    assert partition_of("consistent_random", b"", 12, seven) == 7
    assert partition_of("murmur2_random", b"", 12, seven) == confluent_kafka.murmur2(b"", 12)
    assert partition_of("fnv1a_random", b"", 12, seven) == confluent_kafka.fnv1a(b"", 12)


def test_random_draws_always() -> None:
    assert {partition_of("random", key, 12, seven) for key in (None, b"", b"k")} == {7}


def test_records_without_a_key_stick_together_except_with_random() -> None:
    for name in get_args(Partitioner):
        assert is_sticky(name, None) == (name != "random")
        assert is_sticky(name, b"") == (name == "consistent_random")
        assert not is_sticky(name, b"k")
