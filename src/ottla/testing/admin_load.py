"""Administration that outlives the broker's crashes, and the check that it stays done.

A thread commits offsets, creates and deletes topics, adds partitions, changes configuration and
deletes records for as long as it may; `check` asks a restarted broker for all it had acknowledged.
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
from ottla.wire.api.k20_delete_topics import DeleteTopicsRequest, TopicToDelete
from ottla.wire.api.k21_delete_records import DeleteRecordsRequest, PartitionToTrim, TopicToTrim
from ottla.wire.api.k32_describe_configs import DescribeConfigsRequest, ResourceToDescribe
from ottla.wire.api.k37_create_partitions import CreatePartitionsRequest, TopicToGrow
from ottla.wire.api.k44_incremental_alter_configs import (
    ConfigChange,
    IncrementalAlterConfigsRequest,
    ResourceToAlter,
)
from ottla.wire.declare import ZERO_UUID
from ottla.wire.errors import ErrorCode

GROUP = "administered"
_TOPIC_RESOURCE = 2
_SET = 0
_RETENTION = "retention.ms"
_RETRY_PAUSE_SECONDS = 0.01
_PAUSE_SECONDS = 0.02
_TIMEOUT_MS = 20_000
_MOST_PARTITIONS = 40
_LATEST_TOPICS = 20


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
        # Held during a change and during a check: nothing changes while it is looked at.
        self._changing = threading.Lock()
        self._partitions = 1
        self._retention_ms = {initial_retention_ms}
        self._committed = -1
        self._start = 0
        self._end = 0
        self._topics: list[str] = []
        self._deleted_topics: list[str] = []
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
            self._delete_topic,
            self._add_partition,
            self._set_retention,
            self._delete_records,
        ]
        while not self._stopping.is_set() and self.failure is None:
            try:
                with Connection(self._bootstrap_servers) as connection:
                    while not self._stopping.wait(_PAUSE_SECONDS) and self.failure is None:
                        with self._changing:
                            self._random.choice(changes)(connection)
                        self.change_count += 1
            except TimeoutError:
                self.failure = "no answer in time"
            except OSError:
                self._stopping.wait(_RETRY_PAUSE_SECONDS)

    def check(self, connection: Connection) -> list[str]:
        """What was acknowledged and isn't there any more; the broker must be running."""
        with self._changing:
            return [*self._check_topic(connection), *self._check_topics(connection)]

    def _check_topic(self, connection: Connection) -> list[str]:
        problems = []
        if self._committed >= 0:
            found = committed_offset(connection, GROUP, self._topic, 0)
            if found < self._committed:
                problems.append(f"offset {self._committed} was committed, {found} is left of it")
        found = list_offset(connection, self._topic, 0, EARLIEST)
        if found < self._start:
            problems.append(f"records before {self._start} were deleted, the log starts at {found}")
        found = self._count_partitions(connection, self._topic)
        if found < self._partitions:
            problems.append(f"{self._partitions} partitions were acknowledged, {found} are there")
        kept_ms = self._described_retention(connection)
        if kept_ms not in self._retention_ms:
            problems.append(f"{_RETENTION} is {kept_ms}, not one of {sorted(self._retention_ms)}")
        return problems

    def _check_topics(self, connection: Connection) -> list[str]:
        gone = [
            f"topic {topic} is gone"
            for topic in self._topics[-_LATEST_TOPICS:]
            if not self._count_partitions(connection, topic)
        ]
        back = [
            f"topic {topic} is back"
            for topic in self._deleted_topics[-_LATEST_TOPICS:]
            if self._count_partitions(connection, topic)
        ]
        return gone + back

    # Each change: remember what may be, ask, remember what is.

    def _commit_offset(self, connection: Connection) -> None:
        self._counter += 1
        if self._is_done(commit_offset(connection, GROUP, self._topic, 0, self._counter)):
            self._committed = self._counter

    def _create_topic(self, connection: Connection) -> None:
        name = f"made-{self._random.randrange(10**9)}"
        topic = TopicToCreate(
            name=name, num_partitions=1, replication_factor=1, assignments=[], configs=[]
        )
        request = CreateTopicsRequest(topics=[topic], timeout_ms=_TIMEOUT_MS)
        if self._is_done(connection.ask(request, 7).topics[0].error_code):
            self._topics.append(name)

    def _delete_topic(self, connection: Connection) -> None:
        if not self._topics:
            return
        name = self._topics.pop(self._random.randrange(len(self._topics)))
        request = DeleteTopicsRequest(
            topics=[TopicToDelete(name=name, topic_id=ZERO_UUID)], timeout_ms=_TIMEOUT_MS
        )
        if self._is_done(connection.ask(request, 6).responses[0].error_code):
            self._deleted_topics.append(name)

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
            self._partitions = count

    def _set_retention(self, connection: Connection) -> None:
        value_ms = self._random.randrange(10**9, 10**10)
        self._retention_ms.add(value_ms)
        change = ConfigChange(name=_RETENTION, config_operation=_SET, value=str(value_ms))
        resource = ResourceToAlter(
            resource_type=_TOPIC_RESOURCE, resource_name=self._topic, configs=[change]
        )
        request = IncrementalAlterConfigsRequest(resources=[resource], validate_only=False)
        if self._is_done(connection.ask(request, 1).responses[0].error_code):
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
            self._start = offset

    def _is_done(self, error_code: int) -> bool:
        code = ErrorCode(error_code)
        # UNKNOWN_SERVER_ERROR: the metadata's disk has just lost its power. Nothing is promised.
        refused = code not in (ErrorCode.NONE, ErrorCode.UNKNOWN_SERVER_ERROR)
        if refused and not code.retriable:
            self.failure = f"a change was answered with {code.name}"
        return code is ErrorCode.NONE

    @staticmethod
    def _count_partitions(connection: Connection, topic: str) -> int:
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
