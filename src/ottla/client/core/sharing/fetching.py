"""What to ask which broker for: records while the application polls, and acknowledgements."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple
from uuid import UUID

from ottla.client.core.backoff import Backoff
from ottla.client.core.cluster import Broker, ClusterView
from ottla.client.core.consuming.fetch_errors import LEADER_UNKNOWN
from ottla.client.core.membership.assignors.values import Partition
from ottla.client.core.sharing.acknowledgements import (
    Acknowledgements,
    Outcome,
    PartitionId,
    Place,
)
from ottla.client.core.sharing.acquired import AcquiredRange
from ottla.client.core.sharing.requests import (
    ShareSettings,
    acknowledge_request,
    fetch_request,
    renews,
)
from ottla.client.core.sharing.sessions import ShareSession
from ottla.client.errors import KafkaError
from ottla.wire.api.k78_share_fetch import (
    ShareFetchedPartition,
    ShareFetchRequest,
    ShareFetchResponse,
)
from ottla.wire.api.k79_share_acknowledge import ShareAcknowledgeRequest, ShareAcknowledgeResponse
from ottla.wire.declare import ZERO_UUID
from ottla.wire.errors import ErrorCode

# More acquired offsets of one partition in one answer are not to be believed: each takes memory.
_MAX_ACQUIRED = 1_000_000
# What passes while the group's state finds a new home: acknowledgements are sent again.
_PASSING = frozenset(
    {
        ErrorCode.COORDINATOR_LOAD_IN_PROGRESS,
        ErrorCode.COORDINATOR_NOT_AVAILABLE,
        ErrorCode.NOT_COORDINATOR,
        ErrorCode.REQUEST_TIMED_OUT,
    }
)
_NEVER = float("inf")


class SharePlan(NamedTuple):
    """A request to send to a broker; what comes of it goes to :meth:`ShareFetcher.answered`."""

    broker_id: int
    request: ShareFetchRequest | ShareAcknowledgeRequest
    acknowledgements: list[Acknowledgements]
    topics: Mapping[UUID, str]
    """The topics that are read, by id."""


class FetchedShare(NamedTuple):
    """Records of one partition, acquired for the application."""

    place: Place
    records: bytes | bytearray | memoryview
    acquired: list[AcquiredRange]
    expires_ms: float
    """When their locks run out."""


class ShareError(NamedTuple):
    """What the application has to hear of a partition."""

    topic: str
    partition: int
    error: KafkaError


Delivered = FetchedShare | ShareError


class _Reader:
    """What is shared with one broker."""

    __slots__ = ("asking", "backoff", "pending", "session")

    def __init__(self, settings: ShareSettings) -> None:
        self.session = ShareSession()
        self.pending: list[Acknowledgements] = []
        self.asking: SharePlan | None = None
        self.backoff = Backoff(settings.retry_backoff_ms, settings.retry_backoff_max_ms)


class ShareFetcher:
    """Acquires records for the application, while it polls and not before: their locks run.

    Args:
        settings: how to fetch.

    Attributes:
        needs_metadata: whether an answer showed that the view of the cluster is out of date.
        lock_timeout_ms: how long acquired records are locked, None before the first answer.
    """

    def __init__(self, settings: ShareSettings) -> None:
        self._settings = settings
        self._assigned: dict[Partition, Backoff] = {}
        self._reported: dict[Partition, int] = {}
        self._refused_with = int(ErrorCode.NONE)
        self._readers: dict[int, _Reader] = {}
        self._polls_until_ms: float | None = None
        self._outcomes: list[Outcome] = []
        self.needs_metadata = False
        self.lock_timeout_ms: int | None = None

    # What is wanted

    def assign(self, partitions: Iterable[Partition]) -> None:
        """Read these partitions too."""
        settings = self._settings
        for each in partitions:
            backoff = Backoff(settings.retry_backoff_ms, settings.retry_backoff_max_ms)
            self._assigned.setdefault(each, backoff)

    def unassign(self, partitions: Iterable[Partition]) -> None:
        """Stop reading these partitions."""
        for each in partitions:
            self._assigned.pop(each, None)
            self._reported.pop(each, None)

    def begin_poll(self, until_ms: float) -> None:
        """The application waits for records, at most until then."""
        self._polls_until_ms = until_ms

    def end_poll(self) -> None:
        """The application waits no more."""
        self._polls_until_ms = None

    def acknowledge(self, acknowledgements: Iterable[Acknowledgements]) -> None:
        """Tell the brokers what was decided, with the next fetch if one is due."""
        for each in acknowledgements:
            self._reader(each.place.broker_id).pending.append(each)

    def outcomes(self) -> list[Outcome]:
        """What became of acknowledgements since the last call."""
        outcomes, self._outcomes = self._outcomes, []
        return outcomes

    @property
    def is_settled(self) -> bool:
        """Whether no request is under way and no acknowledgement waits."""
        return not any(each.asking or each.pending for each in self._readers.values())

    # Asking

    def plan(
        self,
        member_id: str,
        cluster: ClusterView,
        now_ms: float,
        can_ask: Callable[[int], bool],
    ) -> list[SharePlan]:
        """What to ask now; each plan counts as sent.

        Args:
            member_id: of the member.
            cluster: who leads the partitions.
            now_ms: the time.
            can_ask: whether there is a connection to a broker; who is asked about connects.
        """
        wanted = self._wanted(cluster, now_ms)
        for broker_id in wanted:
            self._reader(broker_id)
        plans = []
        for broker_id, reader in self._readers.items():
            self._give_up_late(reader, now_ms)
            partitions = wanted.get(broker_id, {})
            if reader.asking or not (partitions or reader.pending):
                continue
            if not reader.backoff.is_ready(now_ms) or not can_ask(broker_id):
                continue
            plan = self._plan(broker_id, reader, member_id, partitions, now_ms)
            if plan is not None:
                reader.asking = plan
                plans.append(plan)
        return plans

    def next_deadline_ms(self, now_ms: float) -> float | None:
        """When to plan again, None for not before something happens."""
        times = [_NEVER]
        for reader in self._readers.values():
            if reader.asking is None and (reader.pending or self._polls_until_ms is not None):
                times += [reader.backoff.ready_at_ms]
            times += [each.deadline_ms for each in reader.pending]
        if self._polls_until_ms is not None:
            times += [each.ready_at_ms for each in self._assigned.values()]
        soonest = min((each for each in times if each > now_ms), default=_NEVER)
        return None if soonest == _NEVER else soonest

    def _reader(self, broker_id: int) -> _Reader:
        reader = self._readers.get(broker_id)
        if reader is None:
            reader = self._readers[broker_id] = _Reader(self._settings)
        return reader

    def _wanted(self, cluster: ClusterView, now_ms: float) -> dict[int, dict[PartitionId, str]]:
        by_broker: dict[int, dict[PartitionId, str]] = {}
        if self._polls_until_ms is None or now_ms > self._polls_until_ms:
            return by_broker
        for (topic, number), backoff in self._assigned.items():
            if not backoff.is_ready(now_ms):
                continue
            leader, view = cluster.leader(topic, number), cluster.topics.get(topic)
            if leader is None or view is None or view.topic_id == ZERO_UUID:
                self.needs_metadata = True
                continue
            by_broker.setdefault(leader.broker_id, {})[view.topic_id, number] = topic
        return by_broker

    def _plan(
        self,
        broker_id: int,
        reader: _Reader,
        member_id: str,
        wanted: Mapping[PartitionId, str],
        now_ms: float,
    ) -> SharePlan | None:
        session, pending = reader.session, reader.pending
        if pending and not session.is_open:
            # The session in which the records were acquired is over, and their locks with it.
            self._fail(pending, KafkaError(ErrorCode.SHARE_SESSION_NOT_FOUND))
            pending = reader.pending = []
        taken = _each_partition_once(pending)
        # A fetch can't take along what renews locks, nor what it is not about.
        fits = not renews(taken) and all(
            each.place.partition_id in wanted and session.knows(each.place.partition_id)
            for each in taken
        )
        if not wanted and not taken:
            return None
        reader.pending = [each for each in pending if each not in taken]
        if taken and (not wanted or not fits):
            epoch = session.acknowledge()
            request = acknowledge_request(self._settings.group_id, member_id, epoch, taken)
            return SharePlan(broker_id, request, taken, {})
        until_ms = now_ms if self._polls_until_ms is None else self._polls_until_ms
        wait_ms = int(min(self._settings.max_wait_ms, max(0.0, until_ms - now_ms)))
        change = session.fetch(wanted)
        fetch = fetch_request(self._settings, member_id, change, taken, wait_ms)
        topics = {topic_id: name for (topic_id, _), name in wanted.items()}
        return SharePlan(broker_id, fetch, taken, topics)

    # Answers

    def failed(self, plan: SharePlan, error: KafkaError, now_ms: float, randomness: float) -> None:
        """A request got no answer: nobody knows what became of the session."""
        reader = self._readers[plan.broker_id]
        reader.asking = None
        reader.session.reset()
        reader.backoff.failed(now_ms, randomness)
        self._fail(plan.acknowledgements, error)
        self.needs_metadata = True

    def disconnected(self, broker_id: int, error: KafkaError) -> None:
        """The connection is lost, and the session with it."""
        reader = self._readers.get(broker_id)
        if reader is None or reader.asking is not None:
            return
        reader.session.reset()
        pending, reader.pending = reader.pending, []
        self._fail(pending, error)

    def answered(
        self,
        plan: SharePlan,
        response: ShareFetchResponse | ShareAcknowledgeResponse,
        cluster: ClusterView,
        now_ms: float,
        randomness: float,
    ) -> list[Delivered]:
        """Take over an answer.

        Args:
            plan: what was asked.
            response: the answer; its records are kept.
            cluster: learns of new leaders.
            now_ms: the time.
            randomness: from 0 up to 1, for waits.

        Returns:
            What to hand to the application, in this order.
        """
        reader = self._readers[plan.broker_id]
        reader.asking = None
        if response.error_code != ErrorCode.NONE:
            reader.session.reset()
            reader.backoff.failed(now_ms, randomness)
            self._fail(plan.acknowledgements, KafkaError(response.error_code))
            return self._refused(plan, response)
        if plan.request.share_session_epoch >= 0:
            reader.session.answered()
        reader.backoff.succeeded()
        self._refused_with = int(ErrorCode.NONE)
        if response.acquisition_lock_timeout_ms > 0:
            self.lock_timeout_ms = response.acquisition_lock_timeout_ms
        self._settle(reader, plan, response, now_ms, randomness)
        self._learn_leaders(plan, response, cluster)
        if isinstance(response, ShareAcknowledgeResponse):
            return []
        delivered: list[Delivered] = []
        for topic in response.responses:
            name = plan.topics.get(topic.topic_id)
            if name is not None:
                for fetched in topic.partitions:
                    place = Place(plan.broker_id, name, topic.topic_id, fetched.partition_index)
                    delivered += self._take(place, fetched, now_ms, randomness)
        return delivered

    def _refused(
        self, plan: SharePlan, response: ShareFetchResponse | ShareAcknowledgeResponse
    ) -> list[Delivered]:
        """The broker took nothing of a request; of a fetch, the application hears why, once."""
        code = response.error_code
        is_news = code not in _SESSION_OVER | _PASSING and self._refused_with != code
        if isinstance(response, ShareAcknowledgeResponse) or not is_news:
            return []
        self._refused_with = code
        topic = next(iter(plan.topics.values()))
        return [ShareError(topic, 0, _told(code, response.error_message))]

    def _take(
        self, place: Place, fetched: ShareFetchedPartition, now_ms: float, randomness: float
    ) -> list[Delivered]:
        partition = place.topic, place.partition
        if fetched.error_code != ErrorCode.NONE:
            code, text = fetched.error_code, fetched.error_message
            return self._report(partition, code, text, now_ms, randomness)
        self._reported.pop(partition, None)
        if partition in self._assigned:
            self._assigned[partition].succeeded()
        acquired = [
            (each.first_offset, each.last_offset, each.delivery_count)
            for each in fetched.acquired_records
        ]
        if not acquired:
            return []
        if not _make_sense(acquired):
            text = f"A broker acquired what can't be: {acquired[:3]}"
            return [ShareError(*partition, KafkaError(KafkaError._BAD_MSG, text))]
        lock_ms = self.lock_timeout_ms
        expires_ms = _NEVER if lock_ms is None else now_ms + lock_ms
        records = fetched.records or b""
        assert isinstance(records, bytes | bytearray | memoryview)
        return [FetchedShare(place, records, acquired, expires_ms)]

    def _report(
        self,
        partition: Partition,
        code: int,
        text: str | None,
        now_ms: float,
        randomness: float,
    ) -> list[Delivered]:
        """Wait before the next try; what does not pass by itself is told, once."""
        backoff = self._assigned.get(partition)
        if backoff is not None:
            backoff.failed(now_ms, randomness)
        if code in LEADER_UNKNOWN:
            self.needs_metadata = True
            return []
        if code in _PASSING or self._reported.get(partition) == code:
            return []
        self._reported[partition] = code
        return [ShareError(*partition, _told(code, text))]

    def _settle(
        self,
        reader: _Reader,
        plan: SharePlan,
        response: ShareFetchResponse | ShareAcknowledgeResponse,
        now_ms: float,
        randomness: float,
    ) -> None:
        """What became of the acknowledgements that went along."""
        if not plan.acknowledgements:
            return
        codes: dict[PartitionId, int] = {}
        if isinstance(response, ShareAcknowledgeResponse):
            for topic in response.responses:
                for each in topic.partitions:
                    codes[topic.topic_id, each.partition_index] = each.error_code
        else:
            for fetched_topic in response.responses:
                for fetched in fetched_topic.partitions:
                    place = fetched_topic.topic_id, fetched.partition_index
                    codes[place] = fetched.acknowledge_error_code
        again = []
        for acknowledgements in plan.acknowledgements:
            code = codes.get(acknowledgements.place.partition_id)
            if code == ErrorCode.NONE:
                self._outcomes.append(Outcome(acknowledgements, None))
            elif code in _PASSING and now_ms < acknowledgements.deadline_ms:
                again.append(acknowledgements)
            else:
                self._fail([acknowledgements], _unsettled(code))
                self.needs_metadata |= code in LEADER_UNKNOWN
        if again:
            reader.pending = again + reader.pending
            reader.backoff.failed(now_ms, randomness)

    def _learn_leaders(
        self,
        plan: SharePlan,
        response: ShareFetchResponse | ShareAcknowledgeResponse,
        cluster: ClusterView,
    ) -> None:
        brokers = [
            Broker(node.node_id, node.host, node.port, node.rack)
            for node in response.node_endpoints
        ]
        if not brokers:
            return
        for topic in response.responses:
            name = plan.topics.get(topic.topic_id)
            for each in topic.partitions:
                leader = each.current_leader
                # Brokers fill in a leader of epoch 0 where nothing is to be said.
                if name is not None and leader.leader_id >= 0 and leader.leader_epoch > 0:
                    cluster.learn_leader(
                        name, each.partition_index, leader.leader_id, leader.leader_epoch, brokers
                    )

    def _give_up_late(self, reader: _Reader, now_ms: float) -> None:
        late = [each for each in reader.pending if now_ms >= each.deadline_ms]
        if late:
            reader.pending = [each for each in reader.pending if now_ms < each.deadline_ms]
            self._fail(late, KafkaError(KafkaError._TIMED_OUT))

    def _fail(self, acknowledgements: Iterable[Acknowledgements], error: KafkaError) -> None:
        self._outcomes += [Outcome(each, error) for each in acknowledgements]

    # The end

    def close(self, member_id: str, can_ask: Callable[[int], bool]) -> list[SharePlan]:
        """End the sessions, which gives back all records that are not acknowledged.

        To be called when all :attr:`is_settled`.
        """
        plans = []
        for broker_id, reader in self._readers.items():
            if reader.session.is_open and can_ask(broker_id):
                epoch = reader.session.close()
                request = acknowledge_request(self._settings.group_id, member_id, epoch, [])
                reader.asking = SharePlan(broker_id, request, [], {})
                plans.append(reader.asking)
        return plans


_SESSION_OVER = frozenset(
    {
        ErrorCode.INVALID_SHARE_SESSION_EPOCH,
        ErrorCode.SHARE_SESSION_LIMIT_REACHED,
        ErrorCode.SHARE_SESSION_NOT_FOUND,
    }
)


def _each_partition_once(pending: Sequence[Acknowledgements]) -> list[Acknowledgements]:
    """The first of every partition: brokers want the offsets of one in order."""
    taken: dict[PartitionId, Acknowledgements] = {}
    for each in pending:
        taken.setdefault(each.place.partition_id, each)
    return list(taken.values())


def _make_sense(acquired: Sequence[AcquiredRange]) -> bool:
    """Whether the ranges ascend, and hold no more offsets than memory should be spent on."""
    end, count = 0, 0
    for first, last, _ in acquired:
        if first < end or last < first:
            return False
        end = last + 1
        count += end - first
    return count <= _MAX_ACQUIRED


def _told(code: int, text: str | None) -> KafkaError:
    more = f": {text}" if text else ""
    return KafkaError(code, f"ShareFetch from broker failed: {KafkaError(code).str()}{more}")


def _unsettled(code: int | None) -> KafkaError:
    if code is None:
        text = "the broker did not say what became of the acknowledgements"
        return KafkaError(KafkaError._BAD_MSG, text)
    return KafkaError(code)
