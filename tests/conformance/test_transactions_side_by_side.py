"""Transactional producers of several connections at once, each on the bare protocol (KIP-890)."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any

from ottla.records.encode import encode_batch
from ottla.records.record import Record
from ottla.testing.protocol import Connection
from ottla.testing.raw_client import read_records
from ottla.testing.waiting import eventually
from ottla.wire.api.k00_produce import PartitionToProduce, ProduceRequest, TopicToProduce
from ottla.wire.api.k10_find_coordinator import FindCoordinatorRequest
from ottla.wire.api.k22_init_producer_id import InitProducerIdRequest
from ottla.wire.api.k26_end_txn import EndTxnRequest
from ottla.wire.errors import ErrorCode

PRODUCERS = 8
TRANSACTIONS = 20
TRANSACTION_KEY = 1
LATEST_PRODUCE, LATEST_END = 12, 5
# While the transaction before is being completed.
PASSING = (ErrorCode.CONCURRENT_TRANSACTIONS, ErrorCode.NOT_ENOUGH_REPLICAS)


class TransactionalProducer:
    """One partition's producer, whose requests are sent and answered in steps of their own."""

    def __init__(self, connection: Connection, name: str, topic: str, partition: int) -> None:
        self.connection = connection
        self._name, self._topic, self._partition = name, topic, partition
        begun = eventually(self._begin, what="the coordinator")
        self._id, self._epoch = begun.producer_id, begun.producer_epoch
        self._request: tuple[Any, int]

    def _begin(self) -> Any:
        look_up = FindCoordinatorRequest(key_type=TRANSACTION_KEY, coordinator_keys=[self._name])
        self.connection.ask(look_up, 4)
        request = InitProducerIdRequest(transactional_id=self._name, transaction_timeout_ms=30_000)
        begun = self.connection.ask(request, 4)
        return None if begun.error_code else begun

    def produce(self, value: bytes) -> None:
        batch = encode_batch(
            [Record(0, -1, None, value)],
            producer_id=self._id,
            producer_epoch=self._epoch,
            base_sequence=0,
            is_transactional=True,
        )
        partition = PartitionToProduce(index=self._partition, records=batch)
        request = ProduceRequest(
            transactional_id=self._name,
            acks=-1,
            timeout_ms=30_000,
            topic_data=[TopicToProduce(name=self._topic, partition_data=[partition])],
        )
        self._send(request, LATEST_PRODUCE)

    def produced(self) -> None:
        def error_of(reply: Any) -> int:
            return int(reply.responses[0].partition_responses[0].error_code)

        self._receive(error_of)

    def commit(self) -> None:
        request = EndTxnRequest(
            transactional_id=self._name,
            producer_id=self._id,
            producer_epoch=self._epoch,
            committed=True,
        )
        self._send(request, LATEST_END)

    def committed(self) -> None:
        reply = self._receive(lambda reply: int(reply.error_code))
        self._id, self._epoch = reply.producer_id, reply.producer_epoch

    def _send(self, request: Any, version: int) -> None:
        self._request = (request, version)
        self.connection.send(request, version)

    def _receive(self, error_of: Callable[[Any], int]) -> Any:
        reply = self.connection.receive()
        while error_of(reply) in PASSING:
            reply = self.connection.ask(*self._request)
        assert error_of(reply) == 0, reply
        return reply


def test_each_keeps_its_own_records_while_the_coordinator_is_asked(
    bootstrap: str, connection: Connection, new_topic: Callable[..., str], unique: Any
) -> None:
    topic = new_topic(PRODUCERS)
    with contextlib.ExitStack() as stack:
        producers = [
            TransactionalProducer(
                stack.enter_context(Connection(bootstrap)), unique("producer"), topic, number
            )
            for number in range(PRODUCERS)
        ]
        # No pause between an end and the next transaction: markers are still being written.
        for transaction in range(TRANSACTIONS):
            for number, producer in enumerate(producers):
                producer.produce(b"%d of producer %d" % (transaction, number))
            for producer in producers:
                producer.produced()
            for producer in producers:
                producer.commit()
            for producer in producers:
                producer.committed()
    for number in range(PRODUCERS):
        wanted = [b"%d of producer %d" % (n, number) for n in range(TRANSACTIONS)]
        eventually(
            lambda number=number, wanted=wanted: (
                [
                    record.value
                    for record in read_records(connection, topic, number, 0)
                    if record.value is not None and b"producer" in record.value
                ]
                == wanted
            ),
            what="each partition holds what its producer wrote",
        )
