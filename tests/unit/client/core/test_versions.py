"""Versions: the newest that both sides know, down to Kafka 2.1."""

from __future__ import annotations

import pytest

from ottla.client.core.versions import BrokerVersions, next_api_versions
from ottla.client.errors import KafkaError, KafkaException
from ottla.wire.apis import APIS

PRODUCE, FETCH, CONSUMER_GROUP_HEARTBEAT = 0, 1, 68
# What a broker of Kafka 2.1 answers, of these.
KAFKA_2_1 = BrokerVersions({PRODUCE: (0, 7), FETCH: (0, 10)})


def test_the_newest_that_both_know() -> None:
    assert KAFKA_2_1.choose(PRODUCE) == 7
    newest = APIS[FETCH].max_version
    assert BrokerVersions({FETCH: (4, newest + 5)}).choose(FETCH) == newest


def test_a_request_may_need_a_version_between_two() -> None:
    assert KAFKA_2_1.choose(FETCH, at_least=8, at_most=9) == 9
    assert KAFKA_2_1.supports(FETCH, 10)
    assert not KAFKA_2_1.supports(FETCH, 11)


@pytest.mark.parametrize(
    ("offered", "key", "at_least", "words"),
    [
        ({PRODUCE: (0, 7)}, CONSUMER_GROUP_HEARTBEAT, 0, "does not offer it"),
        ({PRODUCE: (0, 7)}, PRODUCE, 9, "from 9 to 13, but the broker offers 0 to 7"),
        ({PRODUCE: (0, 2)}, PRODUCE, 0, "from 3 to 13, but the broker offers 0 to 2"),
        ({PRODUCE: (90, 99)}, PRODUCE, 0, "offers 90 to 99"),
        ({PRODUCE: (5, 4)}, PRODUCE, 0, "offers 5 to 4"),
    ],
)
def test_a_broker_that_cannot_is_refused(
    offered: dict[int, tuple[int, int]], key: int, at_least: int, words: str
) -> None:
    versions = BrokerVersions(offered)
    with pytest.raises(KafkaException) as refused:
        versions.choose(key, at_least=at_least)
    error = refused.value.args[0]
    assert error == KafkaError._UNSUPPORTED_FEATURE
    assert error.str().startswith(APIS[key].name)
    assert words in error.str()


def test_apis_that_nobody_here_speaks_are_no_trouble() -> None:
    assert BrokerVersions({9999: (0, 1), PRODUCE: (3, 9)}).newest(PRODUCE) == 9


def test_an_old_broker_says_which_version_it_can_be_asked_in() -> None:
    assert next_api_versions(4, 35, [(0, 0, 7), (18, 0, 2)]) == 2
    assert next_api_versions(4, 35, []) == 0
    assert next_api_versions(3, 35, [(18, 0, 9)]) == 2


@pytest.mark.parametrize(("tried", "error"), [(0, 35), (4, 58), (4, 0)])
def test_other_refusals_are_not_about_the_version(tried: int, error: int) -> None:
    with pytest.raises(KafkaException) as refused:
        next_api_versions(tried, error, [])
    assert refused.value.args[0] == error
