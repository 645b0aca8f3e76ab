"""A broker under every kind of load, crashed again and again, and checked after each crash.

    drill = CrashDrill(broker, random)
    drill.run(broker.kill, 200)
    assert not drill.problems

librdkafka's producers take part, so ``confluent-kafka`` has to be there.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable
from random import Random

from confluent_kafka import KafkaError, Message, Producer

from ottla.testing.admin_load import AdminLoad
from ottla.testing.crash_load import (
    Acknowledgements,
    IdempotentProducer,
    PartitionCheck,
    numbered_value,
    parse_numbered_value,
)
from ottla.testing.process import BrokerProcess, BrokerProcessError
from ottla.testing.protocol import Connection
from ottla.testing.raw_client import read_records
from ottla.testing.topics import create_topic
from ottla.testing.waiting import eventually

TOPIC = "load"
ADMINISTERED_TOPIC = "admin"
PARTITIONS = 3
# Segments of 1 MiB: the load rolls them many times, so crashes hit the rolling, too.
_CONFIG = {"segment.bytes": "1048576", "retention.ms": "-1"}
_LONGEST_LIFE_SECONDS = 0.8
_KILLED_WHILE_STARTING = 0.15


class ConfluentProducer(threading.Thread):
    """librdkafka's producer, as users configure it for safety."""

    def __init__(self, name: str, bootstrap_servers: str, *, idempotent: bool) -> None:
        super().__init__(name=name, daemon=True)
        self.acknowledged = Acknowledgements()
        self.failure: str | None = None
        self._stopping = threading.Event()
        self._producer = Producer(
            {
                "bootstrap.servers": bootstrap_servers,
                "acks": "all",
                "enable.idempotence": idempotent,
                # One in flight keeps the order where sequences don't.
                "max.in.flight.requests.per.connection": 5 if idempotent else 1,
                "message.timeout.ms": 0,
                "linger.ms": 2,
                "reconnect.backoff.ms": 10,
                "reconnect.backoff.max.ms": 50,
                "retry.backoff.ms": 10,
                "log_level": 0,
            }
        )

    def stop(self) -> None:
        self._stopping.set()
        self.join(60)
        if self._producer.flush(60):
            self.failure = self.failure or "records were never acknowledged"

    def run(self) -> None:
        number = 0
        while not self._stopping.is_set() and self.failure is None:
            for partition in range(PARTITIONS):
                value = numbered_value(self.name, number, number * 37 % 700)
                try:
                    self._producer.produce(
                        TOPIC, value, partition=partition, on_delivery=self._delivered
                    )
                except BufferError:
                    break
            else:
                number += 1
            self._producer.poll(0.002)

    def _delivered(self, error: KafkaError | None, message: Message) -> None:
        if error is not None:
            self.failure = str(error)
            return
        partition = message.partition()
        if partition is not None:
            _, number = parse_numbered_value(message.value())
            self.acknowledged.note(partition, number)


class CrashDrill:
    """The load, the crashes, the checks.

    Args:
        broker: running; topics are created on it.
        random: chooses the instants.
    """

    def __init__(self, broker: BrokerProcess, random: Random) -> None:
        self.problems: list[str] = []
        self._broker = broker
        self._random = random
        bootstrap = broker.bootstrap_servers
        create_topic(bootstrap, TOPIC, PARTITIONS, _CONFIG)
        create_topic(bootstrap, ADMINISTERED_TOPIC, 1, _CONFIG)
        self._raw = [
            IdempotentProducer(f"raw{number}", bootstrap, TOPIC, PARTITIONS, _derived(random))
            for number in range(2)
        ]
        self._confluent = ConfluentProducer("once", bootstrap, idempotent=True)
        self._repeating = ConfluentProducer("repeating", bootstrap, idempotent=False)
        self._producers: list[IdempotentProducer | ConfluentProducer] = [
            *self._raw,
            self._confluent,
            self._repeating,
        ]
        self._admin = AdminLoad(
            ADMINISTERED_TOPIC, bootstrap, _derived(random), initial_retention_ms=-1
        )
        once = [each.name for each in (*self._raw, self._confluent)]
        self._checks = [PartitionCheck(number, once) for number in range(PARTITIONS)]

    def run(self, crash: Callable[[], None], count: int) -> None:
        """Crash and restart so often, or until something is wrong; see ``problems``.

        Args:
            crash: leaves the broker dead and its data as the crash left it.
        """
        workers: list[IdempotentProducer | ConfluentProducer | AdminLoad] = [
            *self._producers,
            self._admin,
        ]
        for worker in workers:
            worker.start()
        for _ in range(count):
            self._live_a_little()
            crash()
            self._restart()
            self._check()
            self.problems += [f"{each.name}: {each.failure}" for each in workers if each.failure]
            if self.problems:
                return
        for worker in workers:
            worker.stop()
        self._check()
        self._check_from_the_start()
        self.problems += [f"{each.name}: {each.failure}" for each in workers if each.failure]

    @property
    def record_count(self) -> int:
        """Records acknowledged so far."""
        return sum(each.acknowledged.total for each in self._producers)

    @property
    def change_count(self) -> int:
        """Administrative changes acknowledged so far."""
        return self._admin.change_count

    def _live_a_little(self) -> None:
        """Let every kind of producer get something acknowledged, then some random time."""
        before = {each: each.acknowledged.total for each in self._producers}

        def waiting() -> list[str]:
            return [
                each.name
                for each, total in before.items()
                if each.acknowledged.total == total and each.failure is None
            ]

        try:
            eventually(lambda: not waiting(), what="an acknowledgement for every producer")
        except TimeoutError as error:
            raise TimeoutError(f"{waiting()}: {error}\n{self._broker.log[-4000:]}") from None
        threading.Event().wait(self._random.random() ** 2 * _LONGEST_LIFE_SECONDS)

    def _restart(self) -> None:
        while self._random.random() < _KILLED_WHILE_STARTING:
            self._start_and_kill(self._random.random() * 0.2)
        self._broker.start()

    def _start_and_kill(self, after_seconds: float) -> None:
        def start() -> None:
            try:
                self._broker.start()
            except BrokerProcessError:
                died.set()

        died = threading.Event()
        starting = threading.Thread(target=start)
        starting.start()
        eventually(lambda: self._broker.is_running, what="the process")
        died.wait(after_seconds)
        os.kill(self._broker.pid, signal.SIGKILL)
        starting.join()
        if not died.is_set():
            self._broker.kill()

    def _check(self) -> None:
        with Connection(self._broker.bootstrap_servers) as connection:
            self.problems += self._admin.check(connection)
            for check in self._checks:
                index = check.partition
                promised = [
                    (
                        each.name,
                        each.acknowledged.count(index),
                        each.acknowledged.take_offsets(index),
                    )
                    for each in self._producers
                ]
                check.read(read_records(connection, TOPIC, index, check.next_offset))
                for name, count, offsets in promised:
                    check.compare(name, count, offsets)
        self.problems += [problem for check in self._checks for problem in check.problems[:5]]

    def _check_from_the_start(self) -> None:
        """What was read once is still the same at the end."""
        once = [each.name for each in self._producers if each is not self._repeating]
        with Connection(self._broker.bootstrap_servers) as connection:
            for before in self._checks:
                again = PartitionCheck(before.partition, once)
                again.read(read_records(connection, TOPIC, before.partition, 0))
                for each in self._producers:
                    again.compare(each.name, each.acknowledged.count(before.partition), {})
                if again.digest != before.digest:
                    self.problems.append(f"partition {before.partition} reads differently now")
                self.problems += again.problems[:5]


def _derived(random: Random) -> Random:
    """A generator for a thread of its own: sharing one would make the order of calls matter."""
    return Random(random.random())  # noqa: S311 - for tests
