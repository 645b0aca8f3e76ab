"""Administration that outlives the broker's crashes, and the check that it stays done.

A thread commits offsets, creates topics, adds partitions, changes configuration and deletes records
for as long as it may; `check` asks a restarted broker for everything it had acknowledged.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from random import Random

from ottla.testing.protocol import Connection
from ottla.testing.raw_client import (
    EARLIEST,
    batch_of,
    commit_offset,
    committed_offset,
    list_offset,
    produce,
)
from ottla.wire.api.k03_metadata import MetadataRequest, TopicToDescribe
from ottla.wire.api.k19_create_topics import CreateTopicsRequest, TopicToCreate
from ottla.wire.api.k21_delete_records import DeleteRecordsRequest, PartitionToTrim, TopicToTrim
from ottla.wire.api.k32_describe_configs import DescribeConfigsRequest, ResourceToDescribe
from ottla.wire.api.k37_create_partitions import CreatePartitionsRequest, TopicToGrow
from ottla.wire.api.k44_incremental_alter_configs import (
    ConfigChange,
    IncrementalAlterConfigsRequest,
    ResourceToAlter,
)
from ottla.wire.errors import ErrorCode

GROUP = "administered"
_TOPIC_RESOURCE = 2
_SET = 0
_RETENTION = "retention.ms"
_RETRY_PAUSE_SECONDS = 0.01
_PAUSE_SECONDS = 0.02
_TIMEOUT_MS = 20_000
_MOST_PARTITIONS = 40


class AdminLoad(threading.Thread):
    """Makes changes of its own topic (and of new ones) and remembers which were acknowledged."""

    def __init__(
        self, topic: str, bootstrap_servers: str, random: Random, *, initial_retention_ms: int
    ) -> None:
        super().__init__(name="admin", daemon=True)
        self.failure: str | None = None
        self.change_count = 0
        self._topic = topic
        self._bootstrap_servers = bootstrap_servers
        self._random = random
        self._stopping = threading.Event()
        self._lock = threading.Lock()
        self._partitions = 1
        self._retention_ms = {initial_retention_ms}
        self._committed = -1
        self._start = 0
        self._end = 0
        self._topics: list[str] = []
        self._counter = 0

    def stop(self) -> None:
        """End after the change under way; the broker must be running."""
        self._stopping.set()
        self.join(60)
        if self.is_alive():
            self.failure = self.failure or "it didn't end"

    def run(self) -> None:
        changes: list[Callable[[Connection], None]] = [
            self._commit_offset,
            self._commit_offset,
            self._create_topic,
            self._add_partition,
            self._set_retention,
            self._delete_records,
        ]
        while not self._stopping.is_set() and self.failure is None:
            try:
                with Connection(self._bootstrap_servers) as connection:
                    while not self._stopping.wait(_PAUSE_SECONDS) and self.failure is None:
                        self._random.choice(changes)(connection)
                        self.change_count += 1
            except TimeoutError:
                self.failure = "no answer in time"
            except OSError:
                self._stopping.wait(_RETRY_PAUSE_SECONDS)

    def check(self, connection: Connection) -> list[str]:
        """What was acknowledged before this call and isn't there any more."""
        with self._lock:
            committed, start = self._committed, self._start
            partitions, topics = self._partitions, list(self._topics)
        problems = []
        if committed >= 0:
            found = committed_offset(connection, GROUP, self._topic, 0)
            if found < committed:
                problems.append(f"offset {committed} was committed, {found} is left of it")
        found = list_offset(connection, self._topic, 0, EARLIEST)
        if found < start:
            problems.append(f"records before {start} were deleted, the log starts at {found}")
        found = self._describe(connection, self._topic)
        if found < partitions:
            problems.append(f"{partitions} partitions were acknowledged, {found} are there")
        problems += [
            f"topic {topic} is gone"
            for topic in topics[-20:]
            if self._describe(connection, topic) < 1
        ]
        with self._lock:
            allowed = set(self._retention_ms)
        if (kept_ms := self._described_retention(connection)) not in allowed:
            problems.append(f"{_RETENTION} is {kept_ms}, not one of {sorted(allowed)}")
        return problems

    # Each change: remember what may be, ask, remember what is.

    def _commit_offset(self, connection: Connection) -> None:
        self._counter += 1
        if self._is_done(commit_offset(connection, GROUP, self._topic, 0, self._counter)):
            with self._lock:
                self._committed = self._counter

    def _create_topic(self, connection: Connection) -> None:
        name = f"made-{self._random.randrange(10**9)}"
        topic = TopicToCreate(
            name=name, num_partitions=1, replication_factor=1, assignments=[], configs=[]
        )
        request = CreateTopicsRequest(topics=[topic], timeout_ms=_TIMEOUT_MS)
        if self._is_done(connection.ask(request, 7).topics[0].error_code):
            with self._lock:
                self._topics.append(name)

    def _add_partition(self, connection: Connection) -> None:
        if self._partitions >= _MOST_PARTITIONS:
            return
        count = self._partitions + 1
        growing = TopicToGrow(name=self._topic, count=count, assignments=None)
        request = CreatePartitionsRequest(
            topics=[growing], timeout_ms=_TIMEOUT_MS, validate_only=False
        )
        code = connection.ask(request, 3).results[0].error_code
        # INVALID_PARTITIONS: a crash took only the answer, the change had been made.
        if code == ErrorCode.INVALID_PARTITIONS or self._is_done(code):
            with self._lock:
                self._partitions = count

    def _set_retention(self, connection: Connection) -> None:
        value_ms = self._random.randrange(10**9, 10**10)
        with self._lock:
            self._retention_ms.add(value_ms)
        change = ConfigChange(name=_RETENTION, config_operation=_SET, value=str(value_ms))
        resource = ResourceToAlter(
            resource_type=_TOPIC_RESOURCE, resource_name=self._topic, configs=[change]
        )
        request = IncrementalAlterConfigsRequest(resources=[resource], validate_only=False)
        if self._is_done(connection.ask(request, 1).responses[0].error_code):
            with self._lock:
                self._retention_ms = {value_ms}

    def _delete_records(self, connection: Connection) -> None:
        produced = produce(connection, self._topic, 0, batch_of([b"x"] * 3))
        if not self._is_done(produced.error_code):
            return
        offset = produced.base_offset + self._random.randint(0, 3)
        wanted = TopicToTrim(
            name=self._topic, partitions=[PartitionToTrim(partition_index=0, offset=offset)]
        )
        request = DeleteRecordsRequest(topics=[wanted], timeout_ms=_TIMEOUT_MS)
        trimmed = connection.ask(request, 2).topics[0].partitions[0]
        if self._is_done(trimmed.error_code):
            with self._lock:
                self._start = offset

    def _is_done(self, error_code: int) -> bool:
        code = ErrorCode(error_code)
        if code is not ErrorCode.NONE and not code.retriable:
            self.failure = f"a change was answered with {code.name}"
        return code is ErrorCode.NONE

    @staticmethod
    def _describe(connection: Connection, topic: str) -> int:
        request = MetadataRequest(
            topics=[TopicToDescribe(name=topic)], allow_auto_topic_creation=False
        )
        return len(connection.ask(request, 12).topics[0].partitions)

    def _described_retention(self, connection: Connection) -> int:
        resource = ResourceToDescribe(
            resource_type=_TOPIC_RESOURCE,
            resource_name=self._topic,
            configuration_keys=[_RETENTION],
        )
        described = connection.ask(DescribeConfigsRequest(resources=[resource]), 4).results[0]
        return int(described.configs[0].value or -1)
