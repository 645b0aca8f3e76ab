"""Random requests of every kind the broker advertises, whole and damaged: it shrugs."""

from __future__ import annotations

import socket
import time
from collections import Counter
from collections.abc import Callable
from random import Random
from uuid import UUID

import pytest

from ottla.metadata.uuids import format_uuid
from ottla.testing.process import BrokerProcess
from ottla.testing.protocol import Connection
from ottla.testing.request_fuzz import FuzzedRequest, RequestFuzzer
from ottla.testing.steady_client import SteadyClient
from ottla.testing.topics import create_topic
from ottla.wire.api.k03_metadata import MetadataRequest
from ottla.wire.api.k10_find_coordinator import FindCoordinatorRequest
from ottla.wire.api.k18_api_versions import ApiVersionsRequest
from ottla.wire.api.k22_init_producer_id import InitProducerIdRequest

MakeBroker = Callable[..., BrokerProcess]

TOPICS = ["fuzz0", "fuzz1", "__consumer_offsets", "__transaction_state", "__share_group_state"]
TRANSACTIONAL_ID = "mover"
VOCABULARY = {
    "name": [*TOPICS, "retention.ms", "cleanup.policy", "max.message.bytes", "1"],
    "topic": TOPICS,
    "topics": TOPICS,
    "group_id": ["group0", "group1"],
    "groups": ["group0", "group1"],
    "groups_names": ["group0"],
    "key": ["group0", TRANSACTIONAL_ID],
    "keys": ["group0", "group1", TRANSACTIONAL_ID],
    "member_id": ["member"],
    "transactional_id": [TRANSACTIONAL_ID],
    "transactional_ids": [TRANSACTIONAL_ID],
    "subscribed_topic_names": TOPICS,
    "subscribed_topic_regex": ["fuzz.*", "(a+)+$"],
    "assignor": ["uniform", "range"],
    "protocol_type": ["consumer"],
    "value": ["1", "-1", "delete", "compact", "99999999999999999999"],
    "filter": ["Stable", "classic", "consumer"],
}
ANSWER_SECONDS = 0.25
PRODUCE = 0
COORDINATORS = {0: "group0", 1: TRANSACTIONAL_ID, 2: f"group0:{format_uuid(UUID(int=1))}:0"}


class Sender:
    """Sends frames over one connection at a time; a connection that gets stuck is given up."""

    def __init__(self, broker: BrokerProcess) -> None:
        self._address = (broker.host, broker.port)
        self._socket: socket.socket | None = None
        self.outcomes: Counter[str] = Counter()
        self.wrongly_closed: list[tuple[int, int, str]] = []

    def send(self, request: FuzzedRequest) -> None:
        if self._socket is None:
            self._socket = socket.create_connection(self._address, timeout=ANSWER_SECONDS)
        outcome = self._exchange(self._socket, request.data)
        self.outcomes[outcome] += 1
        # Produce with acks=0 is not answered, and refused by closing.
        if outcome == "closed" and not request.is_damaged and request.key != PRODUCE:
            self.wrongly_closed.append((request.key, request.version, request.data.hex()))
        if outcome != "answered":
            self.close()

    def close(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    @staticmethod
    def _exchange(connection: socket.socket, data: bytes) -> str:
        try:
            connection.sendall(data)
            length = connection.recv(4, socket.MSG_WAITALL)
            if len(length) < 4:
                return "closed"
            left = int.from_bytes(length, "big")
            while left > 0:
                received = connection.recv(min(left, 65536))
                if not received:
                    return "closed"
                left -= len(received)
        except TimeoutError:
            return "silent"
        except OSError:
            return "closed"
        return "answered"


def begin_coordinators(broker: BrokerProcess) -> None:
    """Have the coordinators and a transactional producer, so that requests meet some state."""
    with Connection(broker.bootstrap_servers) as connection:
        for key_type, key in COORDINATORS.items():
            find = FindCoordinatorRequest(key_type=key_type, coordinator_keys=[key])
            assert connection.ask(find, 6).coordinators[0].error_code == 0
        init = InitProducerIdRequest(
            transactional_id=TRANSACTIONAL_ID, transaction_timeout_ms=60_000
        )
        granted = connection.ask(init, 5)
        # The random numbers are small ones, too.
        assert (granted.error_code, granted.producer_id, granted.producer_epoch) == (0, 0, 0)


def ids_of_topics(broker: BrokerProcess) -> list[UUID]:
    with Connection(broker.bootstrap_servers) as connection:
        known = connection.ask(MetadataRequest(topics=None), 12).topics
    return [topic.topic_id for topic in known if topic.name in TOPICS]


def fuzz(broker: BrokerProcess, random: Random, seconds: float) -> None:
    for topic in ("fuzz0", "fuzz1", "steady"):
        create_topic(broker.bootstrap_servers, topic, 1, {})
    with Connection(broker.bootstrap_servers) as connection:
        listed = connection.ask(ApiVersionsRequest(), 0).api_keys
    versions = {each.api_key: (each.min_version, each.max_version) for each in listed}
    begin_coordinators(broker)
    fuzzer = RequestFuzzer(random, versions, VOCABULARY, topic_ids=ids_of_topics(broker))
    sender = Sender(broker)
    with SteadyClient(broker.bootstrap_servers, "steady") as steady:
        deadline = time.monotonic() + seconds
        kinds = fuzzer.kinds
        while time.monotonic() < deadline and broker.is_running:
            random.shuffle(kinds)
            for key, version in kinds:
                sender.send(fuzzer.request(key, version, damage=random.random() < 0.5))
        sender.close()
        steady.wait_for_rounds(5)
    print(dict(sender.outcomes), f"slowest steady round {steady.slowest_seconds:.3f} s")
    assert broker.is_running
    assert steady.failure is None, steady.failure
    assert_no_bugs(broker)
    assert not sender.wrongly_closed, broker.log[-3000:]
    assert sender.outcomes["answered"] > sender.outcomes.total() / 4


def assert_no_bugs(broker: BrokerProcess) -> None:
    """Nothing in the log that a client shouldn't be able to cause."""
    assert "Traceback" not in broker.log, broker.log[broker.log.index("Traceback") - 800 :][:6000]
    complaints = [each for each in broker.events if each["level"] in ("error", "critical")]
    assert not complaints, complaints[:5]


def test_the_broker_survives_random_requests(make_broker: MakeBroker, random: Random) -> None:
    fuzz(make_broker(), random, 5)


@pytest.mark.slow
def test_the_broker_survives_many_random_requests(make_broker: MakeBroker, random: Random) -> None:
    fuzz(make_broker(), random, 15)
