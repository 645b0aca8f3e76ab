"""A transactional producer, in both protocol versions clients speak (KIP-98, KIP-890)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ottla.testing.history import Send
from ottla.testing.simulation.clients.batches import ProducerIdentity, encode, split
from ottla.testing.simulation.clients.link import Link, Unanswered, is_retriable
from ottla.testing.simulation.clients.membership import (
    Fenced,
    Membership,
    RebalanceNeeded,
    by_topic,
)
from ottla.testing.simulation.clients.producer import produce_request, produced
from ottla.testing.simulation.world import Client
from ottla.wire.api.k22_init_producer_id import InitProducerIdRequest
from ottla.wire.api.k24_add_partitions_to_txn import AddPartitionsToTxnRequest, TopicToAdd
from ottla.wire.api.k25_add_offsets_to_txn import AddOffsetsToTxnRequest
from ottla.wire.api.k26_end_txn import EndTxnRequest
from ottla.wire.api.k28_txn_offset_commit import (
    PartitionToCommit,
    TopicToCommit,
    TxnOffsetCommitRequest,
)
from ottla.wire.errors import ErrorCode

TRANSACTION_TIMEOUT_MS = 2_000
_GIVES_UP_AFTER_S = 4.0
_NO_ID = ProducerIdentity(-1, -1)
_INIT_VERSION = 5
_ADD_PARTITIONS_VERSION = 3
_ADD_OFFSETS_VERSION = 3

_FENCED = (ErrorCode.PRODUCER_FENCED, ErrorCode.INVALID_PRODUCER_EPOCH)
# What a retry will overcome, whatever the general rule says about the code.
_WAIT = (ErrorCode.CONCURRENT_TRANSACTIONS,)
_ABORTABLE = (
    ErrorCode.TRANSACTION_ABORTABLE,
    ErrorCode.INVALID_TXN_STATE,
    ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER,
    ErrorCode.UNKNOWN_PRODUCER_ID,
    ErrorCode.INVALID_PRODUCER_ID_MAPPING,
    ErrorCode.OPERATION_NOT_ATTEMPTED,
)
_REJOIN = (
    ErrorCode.ILLEGAL_GENERATION,
    ErrorCode.UNKNOWN_MEMBER_ID,
    ErrorCode.STALE_MEMBER_EPOCH,
    ErrorCode.FENCED_MEMBER_EPOCH,
    ErrorCode.REBALANCE_IN_PROGRESS,
)


class Abortable(Exception):  # noqa: N818 - says what is the case
    """The transaction can only be aborted."""


class TransactionalProducer:
    """One transaction after the other under one transactional id.

    Args:
        version: 1: partitions are added before they are written to; 2: the first write adds them,
            and every end raises the epoch.
    """

    def __init__(self, client: Client, transactional_id: str, version: int) -> None:
        self.client = client
        self.transactional_id = transactional_id
        self.version = version
        self.transaction = ""
        self._link = Link(client)
        self._identity = _NO_ID
        self._sequences: dict[str, int] = {}
        self._added: set[str] = set()
        self._needs_new_epoch = False
        self._count = 0

    async def init(self) -> None:
        """Get an id and an epoch, and fence whoever had this transactional id before.

        Raises:
            Fenced: someone came later.
        """
        request = InitProducerIdRequest(
            transactional_id=self.transactional_id,
            transaction_timeout_ms=TRANSACTION_TIMEOUT_MS,
            producer_id=self._identity.producer_id,
            producer_epoch=self._identity.epoch,
        )
        response = await self._until_answered(request, _INIT_VERSION, _error_code, gives_up=False)
        self._check("InitProducerId", response.error_code)
        self._become(ProducerIdentity(response.producer_id, response.producer_epoch))
        self._needs_new_epoch = False

    def begin(self) -> None:
        """Begin a transaction; the broker learns of it with the first write."""
        self._count += 1
        self.transaction = f"{self.client.name}/{self._count}"
        self._added = set()

    async def send(self, partition: str, values: Sequence[str], key: str | None = None) -> None:
        """Write one batch and wait until it is acknowledged.

        Raises:
            Abortable, Fenced: the transaction can't go on.
        """
        history = self.client.history
        sends = [
            history.send(self.client.name, partition, value, transaction=self.transaction, key=key)
            for value in values
        ]
        if self.version == 1 and partition not in self._added:
            await self._add(partition)
        self._added.add(partition)
        base_sequence = self._sequences.get(partition, 0)
        now_ms = self.client.world.loop.clock.wall_ms()
        data = encode(sends, now_ms, self._identity, base_sequence, is_transactional=True)
        request = produce_request(partition, data, self.transactional_id)
        version = 11 if self.version == 1 else 12
        response = await self._until_answered(request, version, _produce_code)
        part = produced(response)
        if part.error_code not in (0, ErrorCode.DUPLICATE_SEQUENCE_NUMBER):
            self._refuse(sends, part.error_code)
        self._sequences[partition] = base_sequence + len(sends)
        for index, send in enumerate(sends):
            is_known = part.error_code == 0
            history.ok(send, offset=part.base_offset + index if is_known else -1)

    async def send_offsets(self, member: Membership, offsets: Mapping[str, int]) -> None:
        """Make a group's offsets part of the transaction.

        Raises:
            Abortable, Fenced: the transaction can't go on.
            RebalanceNeeded: nor can the member.
        """
        if self.version == 1:
            request = AddOffsetsToTxnRequest(
                transactional_id=self.transactional_id,
                producer_id=self._identity.producer_id,
                producer_epoch=self._identity.epoch,
                group_id=member.group,
            )
            response = await self._until_answered(request, _ADD_OFFSETS_VERSION, _error_code)
            self._check("AddOffsetsToTxn", response.error_code)
        self._added.add(member.group)
        history = self.client.history
        operation = history.commit(
            self.client.name, member.group, offsets, transaction=self.transaction
        )
        commit = self._offset_commit(member, offsets)
        response = await self._until_answered(commit, 2 + self.version + 1, _commit_code)
        code = _commit_code(response)
        if not code:
            history.ok(operation)
            return
        history.fail(operation, ErrorCode(code).name)
        if code == ErrorCode.FENCED_INSTANCE_ID:
            raise Fenced
        if code in _REJOIN:
            raise RebalanceNeeded
        self._check("TxnOffsetCommit", code)

    async def end(self, *, commits: bool) -> None:
        """Commit or abort.

        Raises:
            Fenced: it was, or will be, ended by others.
            Abortable: it could not be committed.
        """
        if not self._added:
            return
        history = self.client.history
        operation = history.end_transaction(self.client.name, self.transaction, commits=commits)
        version = 4 if self.version == 1 else 5
        request = EndTxnRequest(
            transactional_id=self.transactional_id,
            producer_id=self._identity.producer_id,
            producer_epoch=self._identity.epoch,
            committed=commits,
        )
        is_certain = True

        def code_of(response: Any) -> int:
            nonlocal is_certain
            code = int(response.error_code)
            # An attempt that failed on the way may have been decided all the same.
            is_certain = is_certain and not is_retriable(code)
            return code

        def unanswered() -> None:
            nonlocal is_certain
            is_certain = False

        try:
            response = await self._until_answered(request, version, code_of, unanswered)
        except Abortable:
            history.info(operation, "gave up")
            raise Fenced from None
        if not response.error_code:
            history.ok(operation)
            if self.version == 2:
                self._become(ProducerIdentity(response.producer_id, response.producer_epoch))
            return
        name = ErrorCode(response.error_code).name
        if is_certain:
            history.fail(operation, name)
        else:
            history.info(operation, name)
            raise Fenced
        self._check("EndTxn", response.error_code)

    async def abort(self) -> None:
        """Abort, and raise the epoch where a write may still be under way (KIP-360).

        Raises:
            Fenced: someone else did.
        """
        try:
            await self.end(commits=False)
        except Abortable:
            raise Fenced from None
        if self._needs_new_epoch:
            await self.init()

    def close(self) -> None:
        """Close the connection."""
        self._link.close()

    def _become(self, identity: ProducerIdentity) -> None:
        if identity != self._identity:
            self.client.note(f"is producer {identity.producer_id} epoch {identity.epoch}")
            self._identity = identity
            self._sequences = {}

    async def _add(self, partition: str) -> None:
        topic, index = split(partition)
        request = AddPartitionsToTxnRequest(
            v3_and_below_transactional_id=self.transactional_id,
            v3_and_below_producer_id=self._identity.producer_id,
            v3_and_below_producer_epoch=self._identity.epoch,
            v3_and_below_topics=[TopicToAdd(name=topic, partitions=[index])],
        )
        response = await self._until_answered(request, _ADD_PARTITIONS_VERSION, _add_code)
        self._check("AddPartitionsToTxn", _add_code(response))

    def _offset_commit(
        self, member: Membership, offsets: Mapping[str, int]
    ) -> TxnOffsetCommitRequest:
        return TxnOffsetCommitRequest(
            transactional_id=self.transactional_id,
            group_id=member.group,
            producer_id=self._identity.producer_id,
            producer_epoch=self._identity.epoch,
            generation_id=member.epoch,
            member_id=member.member_id,
            group_instance_id=member.instance_id,
            topics=[
                TopicToCommit(
                    name=topic,
                    partitions=[
                        PartitionToCommit(
                            partition_index=index, committed_offset=offset, committed_metadata=""
                        )
                        for index, offset in partitions
                    ],
                )
                for topic, partitions in by_topic(offsets).items()
            ],
        )

    async def _until_answered(
        self,
        request: Any,
        version: int,
        code_of: Callable[[Any], int],
        unanswered: Callable[[], None] = lambda: None,
        *,
        gives_up: bool = True,
    ) -> Any:
        """Ask again until there is an answer that no retry changes.

        Raises:
            Abortable: that took too long; what was sent may still arrive.
        """
        loop = self.client.world.loop
        deadline_s = loop.time() + _GIVES_UP_AFTER_S
        while True:
            try:
                response = await self._link.ask(request, version)
            except Unanswered:
                unanswered()
            else:
                code = code_of(response)
                if code not in _WAIT and not (code and is_retriable(code)):
                    return response
            if gives_up and loop.time() > deadline_s:
                self._needs_new_epoch = True
                raise Abortable
            await self._link.back_off()

    def _refuse(self, sends: Sequence[Send], code: int) -> None:
        for send in sends:
            # Earlier attempts may have got through.
            self.client.history.info(send, ErrorCode(code).name)
        self._needs_new_epoch = True
        self._check("Produce", code)

    def _check(self, what: str, code: int) -> None:
        if not code:
            return
        self.client.note(f"{what}: {ErrorCode(code).name}")
        if code in _FENCED:
            raise Fenced
        if code in _ABORTABLE:
            raise Abortable
        raise AssertionError(f"{what}: {ErrorCode(code).name}")


def _error_code(response: Any) -> int:
    return int(response.error_code)


def _produce_code(response: Any) -> int:
    return int(produced(response).error_code)


def _add_code(response: Any) -> int:
    topic = response.results_by_topic_v3_and_below[0]
    return int(topic.results_by_partition[0].partition_error_code)


def _commit_code(response: Any) -> int:
    return max(int(each.error_code) for topic in response.topics for each in topic.partitions)
