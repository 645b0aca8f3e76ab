"""The transaction coordinator: finds the shard of a transactional id and hands it commands."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, cast

from ottla.broker.coordinator_shards import CoordinatorShards, MakeCommand
from ottla.broker.internal_topic import InternalTopic
from ottla.broker.partition import Partition
from ottla.broker.steady_time import SteadyTime
from ottla.metadata.features import TRANSACTION_VERSION
from ottla.metadata.image import ClusterImage
from ottla.metadata.topic_names import TRANSACTION_STATE_TOPIC
from ottla.wire.errors import ErrorCode, ProtocolError

# The coordinator's core is imported with its first use: a broker without transactions starts
# sooner.
if TYPE_CHECKING:
    from ottla.broker.coordinator_shard import ShardRuntime
    from ottla.broker.node import BrokerNode
    from ottla.broker.transaction_markers import TransactionMarkers
    from ottla.coordination.transactions.commands import (
        ProducerGranted,
        ProducerIdAndEpoch,
        WriteMarkers,
    )
    from ottla.coordination.transactions.settings import TransactionSettings
    from ottla.coordination.transactions.transaction import TopicPartition, Transaction

_logger = logging.getLogger(__name__)

_TOPIC_SETTINGS: Mapping[str, str] = MappingProxyType(
    {
        "cleanup.policy": "compact",
        "compression.type": "uncompressed",
        "unclean.leader.election.enable": "false",
    }
)


class TransactionCoordinator:
    """All shards of this broker, and the ways in which the broker asks them."""

    def __init__(self, broker: BrokerNode, time: SteadyTime) -> None:
        self._broker = broker
        self._time = time
        self._shards = CoordinatorShards(
            InternalTopic(
                broker,
                TRANSACTION_STATE_TOPIC,
                "transaction.state.log",
                _TOPIC_SETTINGS,
                has_min_isr=True,
            ),
            self._open_shard,
        )
        self._markers: TransactionMarkers | None = None
        # Transactional ids whose markers are being written, and who waits for that.
        self._endings: dict[str, list[asyncio.Future[None]]] = {}

    async def ensure_topic(self) -> None:
        """Create ``__transaction_state`` unless it is there.

        Raises:
            ProtocolError: it can't be created.
        """
        await self._shards.ensure_topic()

    async def init_producer_id(
        self, transactional_id: str, timeout_ms: int, expected: ProducerIdAndEpoch | None
    ) -> ProducerGranted:
        """Give a producer its id and epoch; see `InitProducerId`.

        Raises:
            ProtocolError: the shard is offline or refused the record.
        """
        from ottla.coordination.transactions.commands import InitProducerId

        await self.ensure_topic()
        return await self._submit_with_fresh_id(
            transactional_id,
            lambda token, fresh: InitProducerId(
                token, transactional_id, timeout_ms, expected, fresh
            ),
        )

    async def end_transaction(
        self,
        transactional_id: str,
        producer: ProducerIdAndEpoch,
        *,
        is_commit: bool,
        client_version: int,
    ) -> ProducerGranted:
        """Decide the end of a transaction; see `EndTransaction`.

        Raises:
            ProtocolError: the shard is offline or refused the record.
        """
        from ottla.coordination.transactions.commands import EndTransaction

        return await self._submit_with_fresh_id(
            transactional_id,
            lambda token, fresh: EndTransaction(
                token, transactional_id, producer, is_commit, client_version, fresh
            ),
        )

    async def add_partitions(
        self,
        transactional_id: str,
        producer: ProducerIdAndEpoch,
        partitions: frozenset[TopicPartition],
    ) -> ErrorCode:
        """Make partitions part of the producer's transaction.

        If the one before is still being completed, that is waited for, up to
        ``add.partitions.to.txn.retry.backoff.max.ms``: it saves the client a retry.

        Raises:
            ProtocolError: the shard is offline or refused the record.
        """
        from ottla.coordination.transactions.commands import AddPartitions

        def make(token: asyncio.Future[Any]) -> AddPartitions:
            return AddPartitions(token, transactional_id, producer, partitions)

        error: ErrorCode = await self._submit(transactional_id, make)
        if error is ErrorCode.CONCURRENT_TRANSACTIONS:
            await self.wait_for_end(transactional_id)
            error = await self._submit(transactional_id, make)
        return error

    async def wait_for_end(self, transactional_id: str) -> None:
        """Wait until the transaction that is being completed is, but not for long."""
        waiting = self._endings.get(transactional_id)
        if waiting is None:
            return
        ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        waiting.append(ended)
        longest_ms = self._broker.config.integer("add.partitions.to.txn.retry.backoff.max.ms")
        await asyncio.wait((ended,), timeout=longest_ms / 1000)
        if not ended.done():
            waiting.remove(ended)

    async def verify(
        self,
        transactional_id: str,
        producer_id: int,
        producer_epoch: int,
        partitions: frozenset[TopicPartition],
        *,
        adds: bool = False,
    ) -> dict[TopicPartition, ErrorCode]:
        """Whether records of a transaction may be appended to partitions (KIP-890).

        It does not suspend its caller if the shard is loaded and nothing has to be made durable.

        Args:
            adds: also make the partitions part of the transaction, as clients of
                transaction.version 2 leave it to the broker. CONCURRENT_TRANSACTIONS comes at
                once: whoever holds a guard must begin anew after `wait_for_end`.

        Raises:
            ProtocolError: the shard is offline or refused the record.
        """
        from ottla.coordination.transactions.commands import (
            AddPartitions,
            ProducerIdAndEpoch,
            VerifyPartitions,
        )

        producer = ProducerIdAndEpoch(producer_id, producer_epoch)
        if adds:
            error = await self._submit(
                transactional_id,
                lambda token: AddPartitions(token, transactional_id, producer, partitions),
            )
            return dict.fromkeys(partitions, error)
        if not self._broker.config.boolean("transaction.partition.verification.enable"):
            return dict.fromkeys(partitions, ErrorCode.NONE)
        verified: dict[TopicPartition, ErrorCode] = await self._submit(
            transactional_id,
            lambda token: VerifyPartitions(token, transactional_id, producer, partitions),
        )
        return verified

    async def describe(self, transactional_id: str) -> Transaction | None:
        """What is known of a transactional id.

        Raises:
            ProtocolError: its shard is offline.
        """
        from ottla.coordination.transactions.commands import DescribeTransaction

        return cast(
            "Transaction | None",
            await self._submit(
                transactional_id, lambda token: DescribeTransaction(token, transactional_id)
            ),
        )

    async def transactions(self) -> list[Transaction]:
        """All that is known of all transactional ids.

        Raises:
            ProtocolError: a shard is offline.
        """
        from ottla.coordination.transactions.commands import ListTransactions

        shares = await self._shards.submit_to_each(
            dict.fromkeys(range(self._shards.count), ListTransactions)
        )
        return [transaction for share in shares for transaction in share]

    async def load_all(self) -> None:
        """Load every shard: transactions time out, and their ends go on, though nobody asks."""
        await self._shards.load_all()

    def follow(self, before: ClusterImage, after: ClusterImage) -> None:
        """Tell the shards of another level of ``transaction.version``."""
        level = TRANSACTION_VERSION.level(after)
        if level == TRANSACTION_VERSION.level(before):
            return
        from ottla.coordination.transactions.commands import VersionFinalized

        for shard in self._shards.opened():
            shard.submit_when_ready(VersionFinalized(level))

    def stop(self) -> None:
        """Stop all timers; nothing is decided any more."""
        self._shards.stop()
        if self._markers is not None:
            self._markers.stop()

    async def _submit(self, transactional_id: str, make: MakeCommand) -> Any:
        return await self._shards.submit(self._index(transactional_id), make)

    async def _submit_with_fresh_id(
        self,
        transactional_id: str,
        make: Callable[[asyncio.Future[Any], int | None], object],
    ) -> ProducerGranted:
        """Submit a command that may need a new producer id, which costs a write now and then."""
        from ottla.coordination.transactions.commands import FreshProducerIdNeeded, ProducerGranted

        granted = await self._submit(transactional_id, lambda token: make(token, None))
        if isinstance(granted, FreshProducerIdNeeded):
            fresh = await self._broker.producer_ids.next()
            granted = await self._submit(transactional_id, lambda token: make(token, fresh))
        assert isinstance(granted, ProducerGranted)
        return granted

    def _index(self, transactional_id: str) -> int:
        from ottla.coordination.routing import partition_for

        if not self._shards.count:
            # Nobody looked for a coordinator yet, which is what makes one.
            raise ProtocolError(ErrorCode.NOT_COORDINATOR)
        return partition_for(transactional_id, self._shards.count)

    def _open_shard(self, partition: Partition) -> ShardRuntime:
        from ottla.broker.coordinator_shard import ShardRuntime
        from ottla.coordination.transactions.shard import TransactionShard

        settings = self._settings()

        def new_core() -> TransactionShard:
            return TransactionShard(
                settings,
                coordinator_epoch=partition.leader_epoch,
                transaction_version=TRANSACTION_VERSION.level(self._broker.cluster.image),
            )

        return ShardRuntime(
            partition,
            new_core,
            self._time,
            max_batch_bytes=settings.max_batch_bytes,
            load_buffer_bytes=self._broker.config.integer("transaction.state.log.load.buffer.size"),
            perform=cast("Callable[[object], None]", self._write_markers),
        )

    def _write_markers(self, request: WriteMarkers) -> None:
        from ottla.broker.transaction_markers import TransactionMarkers

        if self._markers is None:
            broker = self._broker
            self._markers = TransactionMarkers(
                broker.partitions, lambda: broker.cluster.image, self._time, broker.storage_failed
            )
        self._endings.setdefault(request.transactional_id, [])
        self._markers.write(request, lambda: self._markers_written(request))

    def _markers_written(self, request: WriteMarkers) -> None:
        from ottla.coordination.transactions.commands import MarkersWritten

        transactional_id = request.transactional_id
        try:
            shard = self._shards.shard(self._index(transactional_id))
            shard.submit_when_ready(MarkersWritten(transactional_id, request.producer))
        except ProtocolError as error:
            # The shard is loaded again before the next command; then it sends the markers again.
            _logger.error("can't complete the transaction of %s: %s", transactional_id, error)
        for waiting in self._endings.pop(transactional_id, ()):
            if not waiting.done():
                waiting.set_result(None)

    def _settings(self) -> TransactionSettings:
        from ottla.coordination.transactions.settings import TransactionSettings

        config = self._broker.config
        return TransactionSettings(
            max_timeout_ms=config.integer("transaction.max.timeout.ms"),
            transactional_id_expiration_ms=config.integer("transactional.id.expiration.ms"),
            timeout_check_interval_ms=config.integer(
                "transaction.abort.timed.out.transaction.cleanup.interval.ms"
            ),
            expiration_check_interval_ms=config.integer(
                "transaction.remove.expired.transaction.cleanup.interval.ms"
            ),
        )
