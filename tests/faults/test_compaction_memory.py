"""Compaction takes little memory, however many records there are."""

from __future__ import annotations

import pathlib
from collections.abc import Callable

from ottla.log.names import CLEANER_CHECKPOINT
from ottla.testing.keyed_load import KeyedLoad, read_latest
from ottla.testing.process import BrokerProcess
from ottla.testing.process_memory import peak_resident_bytes, reset_peak, resident_bytes
from ottla.testing.protocol import Connection
from ottla.testing.topics import create_topic
from ottla.testing.waiting import eventually
from ottla.wire.api.k44_incremental_alter_configs import (
    ConfigChange,
    IncrementalAlterConfigsRequest,
    ResourceToAlter,
)

MakeBroker = Callable[..., BrokerProcess]
RECORDS, KEYS = 500_000, 50_000
MEBIBYTE = 1 << 20
# The map of 50,000 keys takes 3 MiB, buffers and imports a few more; the log is 60 MiB.
MOST_BYTES = 30 * MEBIBYTE
TOPIC_RESOURCE = 2


def set_config(bootstrap_servers: str, topic: str, name: str, value: str) -> None:
    change = ConfigChange(name=name, config_operation=0, value=value)
    resource = ResourceToAlter(resource_type=TOPIC_RESOURCE, resource_name=topic, configs=[change])
    with Connection(bootstrap_servers) as connection:
        reply = connection.ask(
            IncrementalAlterConfigsRequest(resources=[resource], validate_only=False), 1
        )
    assert reply.responses[0].error_code == 0


def test_half_a_million_records_need_little_memory(make_broker: MakeBroker) -> None:
    broker = make_broker(settings={"log.cleaner.backoff.ms": "50"})
    servers = broker.bootstrap_servers
    topic = {"cleanup.policy": "compact", "segment.bytes": str(8 * MEBIBYTE)}
    create_topic(servers, "table", 1, {**topic, "min.cleanable.dirty.ratio": "1"})
    load = KeyedLoad(RECORDS, KEYS, value_bytes=100)
    load.produce(servers, "table", 256 * 1024)
    before_bytes = resident_bytes(broker.pid)
    reset_peak(broker.pid)
    set_config(servers, "table", "min.cleanable.dirty.ratio", "0.01")
    checkpoint = pathlib.Path(broker.data_directory) / CLEANER_CHECKPOINT
    eventually(lambda: checkpoint.exists() and b"table 0 " in checkpoint.read_bytes())
    assert peak_resident_bytes(broker.pid) - before_bytes < MOST_BYTES
    found, count = read_latest(servers, "table", KEYS)
    assert found == load.latest
    assert count < RECORDS / 2
