"""Files that changed while nobody looked: what can be rebuilt is, a torn end is cut, and nothing
but what producers wrote is ever read from the log."""

from __future__ import annotations

import pathlib
import shutil
from collections.abc import Callable, Iterator
from random import Random
from typing import NamedTuple

import pytest

from ottla.records.errors import RecordsError
from ottla.records.record import Record
from ottla.testing.process import BrokerProcess, BrokerProcessError
from ottla.testing.protocol import Connection
from ottla.testing.raw_client import (
    ProducerIdentity,
    batch_of,
    init_producer_id,
    list_offset,
    produce,
    read_records,
)
from ottla.testing.topics import create_topic

TOPIC = "load"
BATCHES = 60
BATCH_RECORDS = 5
START_MS = 1_700_000_000_000


class Written(NamedTuple):
    """A stopped broker's data, and what is in it."""

    directory: pathlib.Path
    values: list[bytes]
    identity: ProducerIdentity


def write(directory: pathlib.Path, end: str) -> Written:
    """Three segments of an idempotent producer's records; ``end`` is ``stop`` or ``kill``."""
    values: list[bytes] = []
    broker = BrokerProcess(directory)
    broker.start()
    create_topic(broker.bootstrap_servers, TOPIC, 1, {"segment.bytes": "1048576"})
    with Connection(broker.bootstrap_servers) as connection:
        identity = init_producer_id(connection)
        for number in range(BATCHES):
            # Produced at the time they say, or old records' producers would be forgotten.
            batch = [b"%d/%d:" % (number, index) + b"x" * 8000 for index in range(BATCH_RECORDS)]
            data = batch_of(
                batch,
                identity=identity,
                base_sequence=number * BATCH_RECORDS,
                timestamp_ms=START_MS + number,
            )
            assert produce(connection, TOPIC, 0, data).error_code == 0
            values += batch
    getattr(broker, end)()
    return Written(directory, values, identity)


@pytest.fixture(scope="module")
def stopped(tmp_path_factory: pytest.TempPathFactory) -> Written:
    return write(tmp_path_factory.mktemp("stopped") / "data", "stop")


@pytest.fixture(scope="module")
def killed(tmp_path_factory: pytest.TempPathFactory) -> Written:
    return write(tmp_path_factory.mktemp("killed") / "data", "kill")


def flip(data: bytes, random: Random) -> bytes:
    changed = bytearray(data)
    for _ in range(random.choice([1, 1, 8])):
        changed[random.randrange(len(changed))] ^= 1 << random.randrange(8)
    return bytes(changed)


def zero(data: bytes, random: Random) -> bytes:
    at = random.randrange(len(data))
    return data[:at] + bytes(len(data) - at)


DAMAGES: dict[str, Callable[[bytes, Random], bytes | None]] = {
    "flipped": flip,
    "zeroed to its end": zero,
    "cut": lambda data, random: data[: random.randrange(len(data))],
    "emptied": lambda data, random: b"",
    "overwritten": lambda data, random: random.randbytes(len(data)),
    "grown": lambda data, random: data + random.randbytes(random.randrange(1, 5000)),
    "removed": lambda data, random: None,
}
DERIVED = [
    f"{TOPIC}-0/*.index",
    f"{TOPIC}-0/*.timeindex",
    f"{TOPIC}-0/*.snapshot",
    f"{TOPIC}-0/leader-epoch-checkpoint",
    f"{TOPIC}-0/partition.metadata",
    "recovery-point-offset-checkpoint",
    "replication-offset-checkpoint",
    "log-start-offset-checkpoint",
    ".kafka_cleanshutdown",
]
IDENTITY = ["meta.properties", "metadata.db"]


def damaged_copies(
    written: Written, pattern: str, random: Random, target: pathlib.Path
) -> Iterator[tuple[str, pathlib.Path]]:
    """A copy of the data for each kind of damage to one of the files."""
    for name, damage in DAMAGES.items():
        shutil.copytree(written.directory, target)
        files = sorted(target.glob(pattern))
        if files:
            chosen = random.choice(files)
            data = damage(chosen.read_bytes() or b"\0", random)
            chosen.unlink()
            if data is not None:
                chosen.write_bytes(data)
            yield f"{chosen.name} {name}", target
        shutil.rmtree(target)


def read_all(connection: Connection) -> list[Record]:
    """Every record that can be read, until we or the broker find a damaged one."""
    found: list[Record] = []
    try:
        start = list_offset(connection, TOPIC, 0, -2)
        found.extend(read_records(connection, TOPIC, 0, start))
    except (RecordsError, ConnectionError):
        return found
    return found


def assert_true_to(written: Written, found: list[Record]) -> None:
    """Every record is what was written at its offset."""
    wrong = [each.offset for each in found if each.value != written.values[each.offset]]
    assert not wrong, f"wrong records at {wrong[:10]}"
    offsets = [each.offset for each in found]
    assert offsets == sorted(set(offsets))


def assert_served(written: Written, connection: Connection, *, by_time: bool) -> None:
    """All records, by offset and by time, and the producer goes on where it was."""
    found = read_all(connection)
    assert_true_to(written, found)
    assert len(found) == len(written.values)
    for number in (0, BATCHES // 2, BATCHES - 1) if by_time else ():
        at = list_offset(connection, TOPIC, 0, START_MS + number)
        assert at == number * BATCH_RECORDS
    batch = batch_of(
        [b"the next"],
        identity=written.identity,
        base_sequence=BATCHES * BATCH_RECORDS,
        timestamp_ms=START_MS + BATCHES,
    )
    for _ in range(2):
        produced = produce(connection, TOPIC, 0, batch)
        assert (produced.error_code, produced.base_offset) == (0, len(written.values))


@pytest.fixture
def written(request: pytest.FixtureRequest) -> Written:
    made: Written = request.getfixturevalue(request.param)
    return made


ENDS = pytest.mark.parametrize("written", ["stopped", "killed"], indirect=True)


@pytest.mark.slow
@ENDS
@pytest.mark.parametrize("pattern", DERIVED)
def test_what_can_be_rebuilt_is(
    pattern: str, written: Written, random: Random, tmp_path: pathlib.Path
) -> None:
    for what, directory in damaged_copies(written, pattern, random, tmp_path / "copy"):
        print(what)
        with BrokerProcess(directory) as broker:
            with Connection(broker.bootstrap_servers) as connection:
                # Time indexes have no checksums, so after a clean stop they are believed, as in
                # Kafka: only the search by time can suffer.
                assert_served(written, connection, by_time="timeindex" not in pattern)
            assert "Traceback" not in broker.log, broker.log[-3000:]
            assert broker.stop() == 0


@pytest.mark.slow
@ENDS
def test_damaged_segments_are_cut_or_noticed(
    written: Written, random: Random, tmp_path: pathlib.Path
) -> None:
    for _ in range(3):
        copies = damaged_copies(written, f"{TOPIC}-0/*.log", random, tmp_path / "copy")
        for what, directory in copies:
            print(what)
            with BrokerProcess(directory) as broker:
                with Connection(broker.bootstrap_servers) as connection:
                    assert_true_to(written, read_all(connection))
                assert "Traceback" not in broker.log, broker.log[-3000:]
                assert broker.stop() == 0


@pytest.mark.slow
def test_a_torn_end_is_cut_and_the_log_goes_on(
    killed: Written, random: Random, tmp_path: pathlib.Path
) -> None:
    for _ in range(8):
        directory = tmp_path / "copy"
        shutil.copytree(killed.directory, directory)
        last = max(directory.glob(f"{TOPIC}-0/*.log"))
        data = bytearray(last.read_bytes())
        # The last batch was being written when the power went.
        torn = random.randrange(len(data) - 40_000, len(data))
        match random.randrange(3):
            case 0:
                del data[torn:]
            case 1:
                data[torn:] = bytes(len(data) - torn)
            case _:
                data[torn:] = random.randbytes(len(data) - torn)
        last.write_bytes(data)
        with BrokerProcess(directory) as broker, Connection(broker.bootstrap_servers) as connection:
            found = read_all(connection)
            assert_true_to(killed, found)
            assert len(found) == (BATCHES - 1) * BATCH_RECORDS
            batch = batch_of(
                killed.values[-BATCH_RECORDS:],
                identity=killed.identity,
                base_sequence=(BATCHES - 1) * BATCH_RECORDS,
                timestamp_ms=START_MS + BATCHES - 1,
            )
            for _ in range(2):
                assert produce(connection, TOPIC, 0, batch).error_code == 0
            again = read_all(connection)
            assert_true_to(killed, again)
            assert len(again) == len(killed.values)
        shutil.rmtree(directory)


@pytest.mark.slow
@ENDS
@pytest.mark.parametrize("pattern", IDENTITY)
def test_a_directory_whose_owner_is_unknown_is_refused_or_served(
    pattern: str, written: Written, random: Random, tmp_path: pathlib.Path
) -> None:
    for what, directory in damaged_copies(written, pattern, random, tmp_path / "copy"):
        print(what)
        broker = BrokerProcess(directory)
        try:
            broker.start()
            with Connection(broker.bootstrap_servers) as connection:
                assert_true_to(written, read_all(connection))
        except BrokerProcessError:
            assert [each for each in broker.events if each.get("event") == "start_failed"]
        finally:
            broker.close()
        assert "Traceback" not in broker.log, broker.log[-3000:]
