"""kill -9 while logs are compacted: the table stays what was written to it."""

from __future__ import annotations

import pathlib
import threading
from collections.abc import Callable
from random import Random

from ottla.records.decode import decode_records
from ottla.testing.keyed_load import KeyedLoad, produce_batch, read_latest
from ottla.testing.process import BrokerProcess
from ottla.testing.protocol import Connection
from ottla.testing.topics import create_topic

MakeBroker = Callable[..., BrokerProcess]
KEYS = 1500
RECORDS = 150_000
BATCH_BYTES = 64 * 1024
KILLS = 8
SETTINGS = {
    "log.cleaner.backoff.ms": "10",
    # Several passes, and many small reads: more places to be killed at.
    "log.cleaner.dedupe.buffer.size": "40000",
    "log.cleaner.io.buffer.size": "65536",
    "log.segment.delete.delay.ms": "50",
}
TOPIC = {
    "cleanup.policy": "compact",
    "segment.bytes": "1048576",
    "min.cleanable.dirty.ratio": "0.01",
    "delete.retention.ms": "0",
}


def write(bootstrap_servers: str, batches: list[bytes], model: dict[bytes, bytes | None]) -> None:
    with Connection(bootstrap_servers) as connection:
        for batch in batches:
            produce_batch(connection, "table", batch)
            for record in decode_records(batch):
                assert record.key is not None
                model[record.key] = record.value


def numbers(model: dict[bytes, bytes | None]) -> list[int]:
    found = [-1] * KEYS
    for key, value in model.items():
        found[int(key)] = -1 if value is None else int.from_bytes(value[:8], "big")
    return found


def test_a_table_survives_kills_during_compaction(make_broker: MakeBroker, random: Random) -> None:
    broker = make_broker(settings=SETTINGS)
    create_topic(broker.bootstrap_servers, "table", 1, TOPIC)
    batches = list(KeyedLoad(RECORDS, KEYS, seed=random.getrandbits(30)).batches(BATCH_BYTES))
    share = len(batches) // KILLS + 1
    model: dict[bytes, bytes | None] = {}
    for start in range(0, len(batches), share):
        write(broker.bootstrap_servers, batches[start : start + share], model)
        # Nothing is written any more, but the cleaner has just begun.
        threading.Event().wait(random.uniform(0, 0.08))
        broker.kill()
        broker.start()
        found, _ = read_latest(broker.bootstrap_servers, "table", KEYS)
        assert list(found) == numbers(model)
    _, count = read_latest(broker.bootstrap_servers, "table", KEYS)
    assert count < RECORDS / 2
    broker.stop()
    directory = pathlib.Path(broker.data_directory)
    assert (directory / "cleaner-offset-checkpoint").exists()
    leftovers = [
        path.name
        for path in (directory / "table-0").iterdir()
        if path.suffix in (".cleaned", ".swap")
    ]
    broker.start()
    found, _ = read_latest(broker.bootstrap_servers, "table", KEYS)
    assert list(found) == numbers(model)
    present = {path.name for path in (directory / "table-0").iterdir()}
    assert not present & set(leftovers)
    complaints = [each for each in broker.events if each["level"] not in ("info", "warning")]
    assert not complaints, complaints[:5]
