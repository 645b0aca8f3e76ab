"""Fetch: read batches below the high watermark, waiting for ``min_bytes`` when there are fewer."""

from __future__ import annotations

from functools import cache, partial
from typing import TYPE_CHECKING

from ottla.broker import repeated_fetch
from ottla.broker.dispatch import EncodedParts, WithSlices
from ottla.broker.fetch import FetchLimits, ParkedFetch, PartitionResult, read_partitions
from ottla.broker.fetch_reply import FetchReplies, is_plain
from ottla.broker.fetch_sessions import PartitionKey, TopicKey, WantedPartition
from ottla.broker.replies import MAX_JOINED_BYTES, SENDFILE_BYTES
from ottla.wire.api.k01_fetch import (
    AbortedTransaction,
    EpochEnd,
    FetchedPartition,
    FetchedTopic,
    FetchRequest,
    FetchResponse,
)
from ottla.wire.errors import ErrorCode, ProtocolError

if TYPE_CHECKING:
    from ottla.broker.dispatch import RequestContext
    from ottla.broker.fetch_sessions import FetchTurn
    from ottla.broker.node import BrokerNode
    from ottla.broker.session import Session

_FIRST_VERSION_WITH_TOPIC_IDS = 13
_READ_COMMITTED = 1

Outcome = FetchResponse | WithSlices | EncodedParts | ParkedFetch


def remember(
    broker: BrokerNode,
    session: Session,
    frame: memoryview,
    body_position: int,
    version: int,
    request: FetchRequest,
) -> None:
    """Learn from a request, so that the next that asks the same need not be decoded."""
    session.repeated_fetch = repeated_fetch.remember(frame, body_position, version, request)


def recall(broker: BrokerNode, session: Session, frame: memoryview, version: int) -> Outcome | None:
    """Answer a request that asks what the connection's last one asked; ``None`` for any other."""
    known = session.repeated_fetch
    if known is None:
        return None
    request = known.recall(frame, version)
    if request is None:
        return None
    wanted = known.wanted
    if wanted is None:
        wanted = known.keep(_wanted(request, uses_topic_ids=_uses_topic_ids(version)))
    return _fetch(broker, version, request, wanted)


def handle(context: RequestContext, request: FetchRequest) -> Outcome:
    version = context.version
    wanted = _wanted(request, uses_topic_ids=_uses_topic_ids(version))
    return _fetch(context.broker, version, request, wanted)


def _uses_topic_ids(version: int) -> bool:
    return version >= _FIRST_VERSION_WITH_TOPIC_IDS


def _fetch(
    broker: BrokerNode, version: int, request: FetchRequest, wanted: list[WantedPartition]
) -> Outcome:
    uses_topic_ids = _uses_topic_ids(version)
    try:
        _refuse_followers(request)
        turn = broker.fetch_sessions.begin(
            request.session_id,
            request.session_epoch,
            wanted,
            _forgotten(request, uses_topic_ids=uses_topic_ids),
            now_ms=int(broker.connections.now() * 1000),
            uses_topic_ids=uses_topic_ids,
        )
    except ProtocolError as error:
        return FetchResponse(error_code=error.code, responses=[])
    limits = FetchLimits(
        min_bytes=request.min_bytes,
        max_bytes=min(request.max_bytes, broker.fetch_max_bytes),
        read_committed=request.isolation_level == _READ_COMMITTED,
    )
    results = read_partitions(broker.partitions, turn.wanted, limits)
    if request.max_wait_ms <= 0 or not turn.wanted or limits.satisfied_by(results):
        return _respond(version, limits.read_committed, turn, results)
    respond = partial(_respond, version, limits.read_committed)
    parked = ParkedFetch(broker.partitions, turn, limits, respond)
    parked.park(results, request.max_wait_ms)
    return parked


def _refuse_followers(request: FetchRequest) -> None:
    replica_id = request.replica_id
    if request.replica_state is not None:
        replica_id = request.replica_state.replica_id
    if replica_id >= 0:
        # Only a broker of the cluster may read as a replica; there is no other here
        # (CVE-2018-1288: a forged one must not pass).
        raise ProtocolError(ErrorCode.CLUSTER_AUTHORIZATION_FAILED)


def _wanted(request: FetchRequest, *, uses_topic_ids: bool) -> list[WantedPartition]:
    return [
        WantedPartition(
            (topic.topic_id if uses_topic_ids else topic.topic, wanted.partition),
            wanted.fetch_offset,
            wanted.partition_max_bytes,
            wanted.current_leader_epoch,
            wanted.last_fetched_epoch,
        )
        for topic in request.topics
        for wanted in topic.partitions
    ]


def _forgotten(request: FetchRequest, *, uses_topic_ids: bool) -> list[PartitionKey]:
    return [
        (topic.topic_id if uses_topic_ids else topic.topic, index)
        for topic in request.forgotten_topics_data
        for index in topic.partitions
    ]


def _respond(
    version: int, read_committed: bool, turn: FetchTurn, results: list[PartitionResult]
) -> FetchResponse | WithSlices | EncodedParts:
    if turn.is_incremental:
        results = [result for result in results if result.has_news]
    if turn.session is not None:
        for result in results:
            result.told()
        turn.session.served([result.wanted.key for result in results if result.size_bytes])
    has_slices = _choose_slices(results)
    if is_plain(results):
        return _replies(version, read_committed=read_committed).encode(turn.session_id, results)
    topics: dict[TopicKey, FetchedTopic] = {}
    for result in results:
        topic_key, index = result.wanted.key
        topic = topics.get(topic_key)
        if topic is None:
            topic = topics[topic_key] = (
                FetchedTopic(topic=topic_key, partitions=[])
                if isinstance(topic_key, str)
                else FetchedTopic(topic_id=topic_key, partitions=[])
            )
        topic.partitions.append(_partition(index, result))
    response = FetchResponse(session_id=turn.session_id, responses=list(topics.values()))
    return WithSlices(response) if has_slices else response


def _choose_slices(results: list[PartitionResult]) -> bool:
    """A little is read and sent with the rest; much is sent from its file. Whether anything is."""
    has_slices = False
    joined_bytes = 0
    for result in results:
        size_bytes = result.size_bytes
        if size_bytes >= SENDFILE_BYTES or joined_bytes + size_bytes > MAX_JOINED_BYTES:
            result.is_slice = has_slices = True
        else:
            joined_bytes += size_bytes
    return has_slices


@cache
def _replies(version: int, *, read_committed: bool) -> FetchReplies:
    return FetchReplies(version, read_committed=read_committed)


def _partition(index: int, result: PartitionResult) -> FetchedPartition:
    # First of all: reading may fail, which is a fact about the partition.
    records = result.content()
    fetched = FetchedPartition(
        partition_index=index,
        error_code=result.error_code,
        high_watermark=result.high_watermark,
        last_stable_offset=result.last_stable_offset,
        log_start_offset=result.log_start_offset,
        aborted_transactions=_aborted(result) if result.read_committed else None,
        records=records,
    )
    if result.diverging_epoch is not None:
        epoch, end_offset = result.diverging_epoch
        fetched.diverging_epoch = EpochEnd(epoch=epoch, end_offset=end_offset)
    return fetched


def _aborted(result: PartitionResult) -> list[AbortedTransaction]:
    return [
        AbortedTransaction(producer_id=aborted.producer_id, first_offset=aborted.first_offset)
        for aborted in result.aborted_transactions
    ]
