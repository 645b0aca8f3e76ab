"""The store's entries: readable, and believed only after a look."""

from __future__ import annotations

import contextlib
import json
import uuid
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ottla.metadata.controller.create_topics import NewTopic
from ottla.metadata.decoding import CorruptEntryError, decode_entry, load_image
from ottla.metadata.image import ConfigResource, PartitionImage, ResourceType
from ottla.metadata.mutations import Put
from ottla.metadata.records import ConfigChanged, PartitionChanged

TOPIC_ID = uuid.UUID(int=2**100 + 7)
PARTITION_KEY = "partition/AAAAEAAAAAAAAAAAAAAABw/0000000003"
GOOD_PARTITION = {
    "version": 1,
    "replicas": [1, 2],
    "isr": [1],
    "leader": 1,
    "leader_epoch": 4,
    "partition_epoch": 5,
    "directories": ["AAAAAAAAAAAAAAAAAAAAZQ", "AAAAAAAAAAAAAAAAAAAAAA"],
}


def test_an_entry_is_readable_json_under_a_readable_key() -> None:
    partition = PartitionImage((1, 2), (1,), 1, 4, 5, (uuid.UUID(int=101), uuid.UUID(int=0)))
    (put,) = PartitionChanged(TOPIC_ID, 3, partition).mutations()
    assert isinstance(put, Put)
    assert put.key == PARTITION_KEY
    assert json.loads(put.value) == GOOD_PARTITION


def test_every_record_that_puts_comes_back_the_same(cluster: Any) -> None:
    cluster.create(NewTopic("t", 2, configs=(("retention.ms", "5"),)))
    resource = ConfigResource(ResourceType.GROUP, "a/b \u20ac")
    cluster.records.append(ConfigChanged(resource, {"consumer.session.timeout.ms": "50000"}))
    for record in cluster.records:
        for mutation in record.mutations():
            assert isinstance(mutation, Put)
            assert decode_entry(mutation.key, mutation.value) == record


@pytest.mark.parametrize(
    ("key", "change"),
    [
        (PARTITION_KEY, {"replicas": []}),
        (PARTITION_KEY, {"replicas": [1, 1]}),
        (PARTITION_KEY, {"replicas": [1, "2"]}),
        (PARTITION_KEY, {"replicas": [1, -2]}),
        (PARTITION_KEY, {"replicas": 7}),
        (PARTITION_KEY, {"isr": [3]}),
        (PARTITION_KEY, {"leader": 9}),
        (PARTITION_KEY, {"leader": True}),
        (PARTITION_KEY, {"leader_epoch": 2**31}),
        (PARTITION_KEY, {"leader_epoch": 1.5}),
        (PARTITION_KEY, {"directories": []}),
        (PARTITION_KEY, {"directories": ["x", "y"]}),
        (PARTITION_KEY, {"version": 2}),
        (PARTITION_KEY, {"version": None}),
        (PARTITION_KEY[:-1] + "x", {}),
        ("partition/short/1", {}),
    ],
)
def test_a_damaged_partition_is_refused_by_key(key: str, change: dict[str, Any]) -> None:
    decode_entry(PARTITION_KEY, json.dumps(GOOD_PARTITION))
    with pytest.raises(CorruptEntryError) as raised:
        decode_entry(key, json.dumps(GOOD_PARTITION | change))
    assert raised.value.key == key
    assert repr(key) in str(raised.value)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("cluster", ""),
        ("cluster", "[]"),
        ("cluster", '{"version":1}'),
        ("cluster", '{"version":1,"cluster_id":5}'),
        ("cluster", "[" * 100_000),
        ("unknown", '{"version":1}'),
        ("unknown/x", '{"version":1}'),
        ("topic/AAAAEAAAAAAAAAAAAAAABw", '{"version":1,"name":"a/../b"}'),
        ("broker/x", '{"version":1,"epoch":1}'),
        ("feature/f", '{"version":1,"level":99999}'),
        ("config/x/y", '{"version":1,"values":{}}'),
        ("config/topic/t", '{"version":1,"values":{"a":1}}'),
        ("config/topic/t", '{"version":1,"values":{"retention.ms":"x"}}'),
        ("producer-ids", '{"version":1,"broker_id":1,"next_producer_id":-1}'),
    ],
)
def test_damaged_entries_are_refused_by_key(key: str, value: str) -> None:
    with pytest.raises(CorruptEntryError) as raised:
        decode_entry(key, value)
    assert raised.value.key == key


def test_entries_that_contradict_each_other_make_no_image() -> None:
    with pytest.raises(CorruptEntryError):
        load_image([(PARTITION_KEY, json.dumps(GOOD_PARTITION))])


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)
KEYS = st.sampled_from(
    [
        "cluster",
        "controller",
        "producer-ids",
        "broker/1",
        "feature/x",
        "topic/AAAAEAAAAAAAAAAAAAAABw",
        "deleted-topic/AAAAEAAAAAAAAAAAAAAABw",
        PARTITION_KEY,
        "config/broker/",
        "config/topic/t",
    ]
)
OTHER_FIELDS = (
    "cluster_id broker_id epoch next_producer_id rack endpoints is_fenced log_directories level "
    "name partition_count values"
)
FIELDS = st.sampled_from([*OTHER_FIELDS.split(), *GOOD_PARTITION])


@given(KEYS, st.dictionaries(FIELDS, JSON))
def test_no_value_raises_anything_but_a_corrupt_entry(key: str, fields: dict[str, Any]) -> None:
    with contextlib.suppress(CorruptEntryError):
        decode_entry(key, json.dumps({"version": 1, **fields}))
