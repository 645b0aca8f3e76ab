"""Exactly-once copiers, killed again and again together with their broker.

    drill = CopyDrill(broker, copiers, random)
    drill.run(100)
    assert not drill.problems

A copier is any program that consumes a topic, produces each record to the same partition of
another, and commits its offsets in the same transaction. The target must end up record by record
equal to the source, in every partition, as ``read_committed`` sees it.
"""

from __future__ import annotations

import signal
import subprocess
import tempfile
import threading
from collections import Counter
from collections.abc import Callable, Sequence
from random import Random
from typing import Protocol

from confluent_kafka import Consumer, Producer, TopicPartition

from ottla.testing.protocol import Connection
from ottla.testing.raw_client import committed_offset
from ottla.testing.topics import create_topic
from ottla.testing.waiting import eventually

SOURCE = "source"
TARGET = "target"
GROUP = "copiers"
PARTITIONS = 4

_LONGEST_PAUSE_SECONDS = 0.5
_BROKER_KILLED = 0.4
_PROGRESS_TIMEOUT_SECONDS = 90
_SOURCE_PAUSE_SECONDS = 0.01
_RECORDS_PER_PAUSE = 4
_EXPLAINING_SECONDS = 1
_EXPLANATION_CHARACTERS = 12_000


class Killable(Protocol):
    """A broker that keeps its data and its port over ``kill`` and ``start``."""

    @property
    def bootstrap_servers(self) -> str: ...
    def kill(self) -> None: ...
    def start(self) -> None: ...


class Copier:
    """One copier process; started again whenever it is gone."""

    def __init__(self, command: Sequence[str]) -> None:
        self.exits: Counter[int] = Counter()
        self._command = command
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 - lives as long as the copier
        self._process = self._start()

    def _start(self) -> subprocess.Popen[bytes]:
        return subprocess.Popen(  # noqa: S603 - the test's own command
            self._command, stdout=self._errors, stderr=self._errors
        )

    def keep_running(self) -> None:
        """Start it anew if it ended; a copier that was fenced has to."""
        status = self._process.poll()
        if status is not None:
            self.exits[status] += 1
            self._process = self._start()

    def kill(self) -> None:
        """SIGKILL, and a new one."""
        self._process.kill()
        self._process.wait()
        self._process = self._start()

    def close(self) -> None:
        """SIGKILL."""
        self._process.kill()
        self._process.wait()
        self._errors.close()

    def explain(self) -> str:
        """How its lives ended and the end of what it printed, with the stacks of its threads.

        A JVM prints them at SIGQUIT; other copiers are to register that with faulthandler.
        """
        self._process.send_signal(signal.SIGQUIT)
        threading.Event().wait(_EXPLAINING_SECONDS)
        self._errors.seek(0)
        printed = self._errors.read().decode(errors="replace")[-_EXPLANATION_CHARACTERS:]
        return f"exits {dict(self.exits)}, then running: {self._process.poll() is None}\n{printed}"


class SteadySource(threading.Thread):
    """Produces numbered records to all partitions of the source."""

    def __init__(self, bootstrap_servers: str, random: Random) -> None:
        super().__init__(name="source", daemon=True)
        self.values: list[list[bytes]] = [[] for _ in range(PARTITIONS)]
        self._random = random
        self._stopping = threading.Event()
        self._producer = Producer(
            {
                "bootstrap.servers": bootstrap_servers,
                "enable.idempotence": True,
                "message.timeout.ms": 0,
                "linger.ms": 2,
                "reconnect.backoff.ms": 10,
                "reconnect.backoff.max.ms": 50,
                "log_level": 0,
            }
        )

    def run(self) -> None:
        while not self._stopping.wait(_SOURCE_PAUSE_SECONDS):
            for _ in range(_RECORDS_PER_PAUSE):
                partition = self._random.randrange(PARTITIONS)
                values = self.values[partition]
                padding = b"." * self._random.randrange(300)
                value = b"%d:%d:%s" % (partition, len(values), padding)
                self._producer.produce(SOURCE, value, partition=partition)
                values.append(value)
            self._producer.poll(0)

    def stop(self) -> None:
        """No more records; all of them are acknowledged.

        Raises:
            TimeoutError: some never were.
        """
        self._stopping.set()
        self.join()
        if self._producer.flush(60):
            raise TimeoutError("the source's records were never acknowledged")


class CopyDrill:
    """Source, copiers, kills, and the comparison.

    Args:
        broker: running, its topics not created yet.
        commands: what starts each copier.
        random: chooses victims and instants.
    """

    def __init__(self, broker: Killable, commands: Sequence[Sequence[str]], random: Random) -> None:
        self.problems: list[str] = []
        self.kills: Counter[str] = Counter()
        self._broker = broker
        self._random = random
        for topic in (SOURCE, TARGET):
            create_topic(broker.bootstrap_servers, topic, PARTITIONS, {})
        self._source = SteadySource(
            broker.bootstrap_servers,
            Random(random.random()),  # noqa: S311 - for tests
        )
        self._copiers = [Copier(command) for command in commands]

    @property
    def record_count(self) -> int:
        """Records in the source."""
        return sum(map(len, self._source.values))

    def run(self, kills: int) -> None:
        """Kill the broker or a copier so often; then let them finish, and compare."""
        try:
            self._source.start()
            for victim in self._victims(kills):
                self._see_progress()
                threading.Event().wait(self._random.random() ** 2 * _LONGEST_PAUSE_SECONDS)
                self._kill(victim)
            self._see_progress()
            self._source.stop()
            self._eventually(self._is_copied, "the rest is copied")
        finally:
            for copier in self._copiers:
                copier.close()
        self._compare()

    def _victims(self, kills: int) -> list[str]:
        brokers = round(kills * _BROKER_KILLED)
        victims = ["broker"] * brokers + ["copier"] * (kills - brokers)
        self._random.shuffle(victims)
        return victims

    def _kill(self, victim: str) -> None:
        self.kills[victim] += 1
        if victim == "broker":
            self._broker.kill()
            self._broker.start()
        else:
            self._random.choice(self._copiers).kill()

    def _see_progress(self) -> None:
        before = self._copied()
        self._eventually(lambda: self._copied() > before, "the copiers make progress")

    def _is_copied(self) -> bool:
        return self._copied() == self.record_count

    def _copied(self) -> int:
        """Records of the source that the group has committed, 0 while nobody can say."""
        for copier in self._copiers:
            copier.keep_running()
        try:
            with Connection(self._broker.bootstrap_servers) as connection:
                offsets = [
                    committed_offset(connection, GROUP, SOURCE, partition)
                    for partition in range(PARTITIONS)
                ]
        except ConnectionError:
            return 0
        return sum(max(offset, 0) for offset in offsets)

    def _eventually(self, probe: Callable[[], bool], what: str) -> None:
        try:
            eventually(probe, timeout_seconds=_PROGRESS_TIMEOUT_SECONDS, what=what)
        except TimeoutError as error:
            explained = "\n".join(copier.explain() for copier in self._copiers)
            raise TimeoutError(f"{error}; copied {self._copied()}\n{explained}") from None

    def _compare(self) -> None:
        copies = self._read_target()
        for partition, (wanted, got) in enumerate(zip(self._source.values, copies, strict=True)):
            if wanted == got:
                continue
            missing = list((Counter(wanted) - Counter(got)).elements())
            doubled = list((Counter(got) - Counter(wanted)).elements())
            self.problems.append(
                f"partition {partition}: {len(wanted)} records copied as {len(got)}, "
                f"{len(missing)} missing {[each[:20] for each in missing[:5]]}, "
                f"{len(doubled)} too many {[each[:20] for each in doubled[:5]]}"
            )

    def _read_target(self) -> list[list[bytes]]:
        consumer = Consumer(
            {
                "bootstrap.servers": self._broker.bootstrap_servers,
                "group.id": "reader",
                "isolation.level": "read_committed",
                "enable.partition.eof": True,
                "auto.offset.reset": "earliest",
                "check.crcs": True,
            }
        )
        copies: list[list[bytes]] = [[] for _ in range(PARTITIONS)]
        consumer.assign([TopicPartition(TARGET, number, 0) for number in range(PARTITIONS)])
        ended: set[int] = set()

        def is_at_the_end() -> bool:
            for message in consumer.consume(1000, timeout=0.1):
                partition = message.partition()
                if partition is None:
                    continue
                if message.error() is not None:
                    ended.add(partition)
                else:
                    copies[partition].append(message.value() or b"")
            return len(ended) == PARTITIONS

        eventually(is_at_the_end, timeout_seconds=60, what="the end of the target")
        consumer.close()
        return copies
