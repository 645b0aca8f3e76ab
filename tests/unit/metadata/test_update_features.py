"""Levels of features: who may have which, and all of them or none."""

from __future__ import annotations

import pytest

from ottla.metadata.controller.brokers import decide_bootstrap
from ottla.metadata.controller.update_features import (
    FeatureLevel,
    UpgradeType,
    decide_update_features,
)
from ottla.metadata.features import FEATURES, METADATA_VERSION, TRANSACTION_VERSION
from ottla.metadata.image import EMPTY_IMAGE, ClusterImage
from ottla.metadata.records import FeatureChanged
from ottla.wire.errors import ErrorCode, ProtocolError

NAME = "transaction.version"
UP, SAFE, UNSAFE = UpgradeType


def at_level(level: int) -> ClusterImage:
    return EMPTY_IMAGE.apply([FeatureChanged(NAME, level), FeatureChanged("metadata.version", 30)])


def test_a_new_cluster_begins_with_what_kafka_begins_with() -> None:
    decision = decide_bootstrap(EMPTY_IMAGE, "c" * 22, 1, 1)
    image = EMPTY_IMAGE.apply(decision.records)
    assert METADATA_VERSION.level(image) == 30
    assert TRANSACTION_VERSION.level(image) == 2


def test_an_older_cluster_stays_where_it_is() -> None:
    assert TRANSACTION_VERSION.level(at_level(0)) == 0


@pytest.mark.parametrize(
    ("before", "after", "upgrade_type"),
    [(0, 2, UP), (1, 2, UP), (2, 2, UP), (2, 1, SAFE), (2, 0, UNSAFE), (1, 0, SAFE), (0, 0, SAFE)],
)
def test_levels_that_may_follow(before: int, after: int, upgrade_type: int) -> None:
    image = at_level(before)
    decision = decide_update_features(image, [FeatureLevel(NAME, after, upgrade_type)])
    assert TRANSACTION_VERSION.level(image.apply(decision.records)) == after
    assert bool(decision.records) == (before != after)


@pytest.mark.parametrize(
    ("before", "name", "after", "upgrade_type"),
    [
        (2, NAME, 1, UP),
        (1, NAME, 2, SAFE),
        (1, NAME, 2, UNSAFE),
        (2, NAME, 3, UP),
        (2, NAME, -1, UNSAFE),
        (0, NAME, 1, 0),
        (0, NAME, 1, 9),
        (0, "no.such.feature", 1, UP),
        (0, "metadata.version", 29, SAFE),
        (0, "metadata.version", 0, UNSAFE),
    ],
)
def test_levels_that_may_not(before: int, name: str, after: int, upgrade_type: int) -> None:
    with pytest.raises(ProtocolError) as refusal:
        decide_update_features(at_level(before), [FeatureLevel(name, after, upgrade_type)])
    assert refusal.value.code is ErrorCode.INVALID_UPDATE_VERSION
    assert name in str(refusal.value)


def test_all_of_them_or_none() -> None:
    updates = [FeatureLevel(NAME, 1, UP), FeatureLevel("no.such.feature", 1, UP)]
    with pytest.raises(ProtocolError):
        decide_update_features(at_level(0), updates)


def test_a_check_changes_nothing() -> None:
    decision = decide_update_features(at_level(0), [FeatureLevel(NAME, 2, UP)], validate_only=True)
    assert not decision.records


@pytest.mark.parametrize("name", FEATURES)
def test_new_clusters_begin_within_bounds(name: str) -> None:
    feature = FEATURES[name]
    assert feature.name == name
    assert 0 <= feature.min_level <= feature.new_cluster_level <= feature.max_level
