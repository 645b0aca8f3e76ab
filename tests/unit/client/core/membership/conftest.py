"""A coordinator that says what the test wants it to say."""

from __future__ import annotations

from typing import Any, TypeVar

import pytest

from ottla.client.core.cluster import ClusterView
from ottla.client.core.membership.membership import Event, Membership, Request, Subscription
from ottla.client.errors import KafkaError
from ottla.wire.api.k03_metadata import (
    DescribedPartition,
    DescribedTopic,
    ListedBroker,
    MetadataResponse,
)
from ottla.wire.declare import ZERO_UUID, Message
from ottla.wire.errors import ErrorCode

AnyEvent = TypeVar("AnyEvent")


class Dialogue:
    """Drives a membership by hand: what it asks is taken one by one and answered at will."""

    def __init__(self) -> None:
        self.now_ms = 1_000.0
        self.core: Any = None
        self.events: list[Event] = []
        self._requests: list[Request] = []

    def begin(self, core: Membership, *topics: str) -> None:
        """Subscribe a fresh member."""
        self.core = core
        self.subscribe(*topics)

    def subscribe(self, *topics: str) -> None:
        """Subscribe to topics that exist, or to patterns of what the test will show."""
        self.core.subscribe(Subscription.of(topics), self.now_ms)
        if not any(name.startswith("^") for name in topics):
            self.show(dict.fromkeys(topics, 1))
        self.go_on()

    def show(self, topics: dict[str, int]) -> None:
        """The view of the cluster has these topics now."""
        self.core.metadata_changed(self.view_of(topics), self.now_ms)
        self.go_on()

    def go_on(self, duration_ms: float = 0.0) -> None:
        """Let time pass and the membership take its next steps."""
        self.now_ms += duration_ms
        while True:
            requests = self.core.plan(self.now_ms)
            events = self.core.events()
            self._requests += requests
            self.events += events
            if not requests and not events:
                return

    def apply(self) -> None:
        """The application has done what the last event asked for."""
        self.core.applied(self.now_ms)
        self.go_on()

    def asked(self, answer: type[Message], version: int | None = None) -> Any:
        """The oldest question that is answered by such a message, as it is said in the version."""
        self._request = next(each for each in self._requests if each.answer is answer)
        self._requests.remove(self._request)
        message = self._request.message
        if not isinstance(message, Message):
            message = message(answer.VERSIONS[-1] if version is None else version)
        return message

    def is_asked(self, answer: type[Message]) -> bool:
        """Whether such a question is open."""
        return any(each.answer is answer for each in self._requests)

    def answer(self, answer: Message | KafkaError) -> None:
        """Answer the question that was taken last."""
        self.core.answered(self._request.tag, answer, self.now_ms, 0.5)
        self.go_on()

    def heard(self, kind: type[AnyEvent]) -> list[AnyEvent]:
        """The events of a kind since the last time one was looked for; all others stay."""
        found: list[AnyEvent] = [each for each in self.events if isinstance(each, kind)]
        self.events = [each for each in self.events if not isinstance(each, kind)]
        return found

    @staticmethod
    def metadata(topics: dict[str, int], racks: dict[int, str] | None = None) -> MetadataResponse:
        """Topics with so many partitions, and none of those with 0."""
        brokers = [
            ListedBroker(node_id=number, host="h", port=1, rack=(racks or {}).get(number))
            for number in (1, 2)
        ]
        described = [
            DescribedTopic(
                error_code=0 if count else ErrorCode.UNKNOWN_TOPIC_OR_PARTITION,
                name=name,
                topic_id=ZERO_UUID,
                partitions=[
                    DescribedPartition(
                        error_code=0,
                        partition_index=number,
                        leader_id=1,
                        replica_nodes=[1 + number % 2],
                        isr_nodes=[],
                    )
                    for number in range(count)
                ],
            )
            for name, count in topics.items()
        ]
        return MetadataResponse(brokers=brokers, topics=described)

    @classmethod
    def view_of(cls, topics: dict[str, int]) -> ClusterView:
        """A view of a cluster with these topics."""
        view = ClusterView()
        view.update(cls.metadata(topics), is_complete=True)
        return view


@pytest.fixture
def dialogue() -> Dialogue:
    return Dialogue()
