"""The engine of one client instance: connections, metadata, coordinators, timers, statistics."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, TypeVar

from ottla.client.configuration.objects import Configuration
from ottla.client.core.cluster import Changes, ClusterView
from ottla.client.core.versions import BrokerVersions
from ottla.client.engine.targets import Coordinator, Lane, Target
from ottla.client.errors import KafkaError
from ottla.ports.clock import Clock
from ottla.ports.entropy import Entropy
from ottla.ports.net import Net
from ottla.wire.declare import Buffer, Message

Answer = TypeVar("Answer", bound=Message)
ClientType = Literal["producer", "consumer", "admin"]
# How the engine calls the callbacks of the configuration: in ``aio`` directly, in ``sync`` by
# putting them into the CallbackQueue.
CallUser = Callable[..., None]


class Engine:
    """What a client instance does on its event loop.

    Everything but the constructor of :class:`~ottla.client.engine.thread.EngineThread` runs on the
    loop's thread. Times are milliseconds of :meth:`now_ms`.

    Args:
        configuration: what the user set.
        client_type: what the instance is, for statistics and logs.
        call_user: calls a callback of the configuration (``error_cb``, ``throttle_cb``,
            ``stats_cb``) with its arguments: at once, or by queueing it for the user's thread.
        net: another network than the machine's, for simulations; without DNS and TLS.
        clock: another clock than the machine's.
        entropy: other randomness than the machine's.

    Attributes:
        cluster: what is known of the brokers and topics; updated in place.
        statistics: callables whose dictionaries are merged into the statistics' top level.
    """

    cluster: ClusterView
    statistics: list[Callable[[], Mapping[str, Any]]]

    def __init__(
        self,
        configuration: Configuration,
        client_type: ClientType,
        *,
        call_user: CallUser | None = None,
        net: Net | None = None,
        clock: Clock | None = None,
        entropy: Entropy | None = None,
    ) -> None:
        raise NotImplementedError

    # Life

    def start(self) -> None:
        """Begin to connect and to keep the metadata fresh. Called on the running loop."""
        raise NotImplementedError

    async def close(self) -> None:
        """Close the connections; requests under way fail with ``_DESTROY``. May be called again."""
        raise NotImplementedError

    @property
    def is_closed(self) -> bool:
        raise NotImplementedError

    # Time

    def now_ms(self) -> float:
        """Milliseconds that never go back."""
        raise NotImplementedError

    def randomness(self) -> float:
        """A random number from 0 up to 1, as the cores want it."""
        raise NotImplementedError

    def call_at(self, when_ms: float, callback: Callable[[], object]) -> asyncio.TimerHandle:
        """Call back at a time of :meth:`now_ms`; ``cancel()`` the handle to forget it."""
        raise NotImplementedError

    def call_soon(self, callback: Callable[[], object]) -> asyncio.Handle:
        """Call back in the loop's next round."""
        raise NotImplementedError

    # Metadata

    def want(self, topic: str) -> None:
        """Keep a topic's metadata fresh, and ask for it soon if it is new."""
        raise NotImplementedError

    def release(self, topic: str) -> None:
        """Nobody uses the topic any more; each :meth:`want` takes one of these."""
        raise NotImplementedError

    def want_all(self, wants_all: bool) -> None:
        """Keep the metadata of all topics fresh, for subscriptions by pattern."""
        raise NotImplementedError

    def refresh_metadata(self) -> None:
        """What is known is out of date: ask soon, with the usual backoff."""
        raise NotImplementedError

    def on_metadata(self, listener: Callable[[Changes], None]) -> None:
        """Have ``listener`` called after every answer to a Metadata request, also when it changed
        nothing (then a wanted topic may have turned out missing: :meth:`is_given_up`)."""
        raise NotImplementedError

    def is_given_up(self, topic: str) -> bool:
        """Whether a wanted topic was missing for ``topic.metadata.propagation.max.ms``."""
        raise NotImplementedError

    async def metadata_updated(self, timeout_ms: float) -> None:
        """Wait for the next answer to a Metadata request, whatever it says.

        Raises:
            KafkaException: ``_TIMED_OUT``, or ``_TRANSPORT`` when no broker can be reached.
        """
        raise NotImplementedError

    async def wait_connected(self, timeout_ms: float) -> None:
        """Return as soon as a broker has been reached and accepted this client.

        Raises:
            KafkaException: with a text that says why not: ``_RESOLVE``, ``_TRANSPORT``, ``_SSL``,
                ``_AUTHENTICATION`` or ``_TIMED_OUT``.
        """
        raise NotImplementedError

    # Requests

    async def ask(
        self,
        target: Target,
        request: Message | Callable[[int], Message],
        answer: type[Answer],
        *,
        timeout_ms: float | None = None,
        at_least: int = 0,
        at_most: int | None = None,
        lane: Lane | None = None,
    ) -> Answer:
        """Send a request, connecting first if need be, and wait for its answer.

        Nothing is sent twice: when the connection is lost, the caller decides about another try.
        Error codes in the answer are the caller's business. Cancelling gives up the wait.

        Args:
            target: a broker id, ``ANY``, ``CONTROLLER`` or ``Coordinator(key type, key)``, which is
                found (and remembered until :meth:`forget_coordinator`) before it is asked.
            request: the message, or what makes it once the version is known.
            answer: the class of the answer; its API is the one that is asked.
            timeout_ms: how long all of it may take; ``socket.timeout.ms`` by default.
            at_least: the first version that can say what is to be said.
            at_most: the last one.
            lane: on which of the broker's connections; by default ``COORDINATOR`` for coordinators
                and ``MAIN`` for all others.

        Raises:
            KafkaException: ``_TIMED_OUT``, ``_TRANSPORT`` (no connection, or it was lost),
                ``_UNSUPPORTED_FEATURE`` (the broker does not know a version in that range),
                ``_AUTHENTICATION``, ``_SSL``, ``_RESOLVE``, ``_UNKNOWN_BROKER``, ``_BAD_MSG`` (the
                answer makes no sense), ``_DESTROY`` (the engine was closed), or the broker's code
                when a coordinator can't be found for good.
        """
        raise NotImplementedError

    def send(
        self,
        broker_id: int,
        request: Message,
        answer: type[Answer],
        on_reply: Callable[[Answer | KafkaError], None],
        *,
        version: int,
        timeout_ms: float,
        lane: Lane = Lane.MAIN,
    ) -> None:
        """Send a request over an open connection, callback style.

        Requests of one connection are sent and answered in order. ``on_reply`` is called exactly
        once, never from within this call: with the answer, or with ``_TRANSPORT``, ``_TIMED_OUT``,
        ``_BAD_MSG`` or ``_DESTROY``.

        Args:
            broker_id: a broker for which :meth:`is_ready` says yes.
            request: the message.
            answer: the class of the answer.
            on_reply: told the outcome.
            version: from :meth:`versions` of this broker.
            timeout_ms: how long the answer may take; then the connection is closed.
            lane: on which of the broker's connections.
        """
        raise NotImplementedError

    def send_buffers(
        self,
        broker_id: int,
        api_key: int,
        version: int,
        body: Sequence[Buffer],
        on_reply: Callable[[memoryview | KafkaError], None],
        *,
        timeout_ms: float,
        has_answer: bool = True,
        lane: Lane = Lane.MAIN,
    ) -> None:
        """As :meth:`send`, with the body as encoded buffers and the answer's body as its bytes.

        The buffers are written one after another without being joined; they must not change until
        ``on_reply`` was called. The answer's view is the caller's to keep: it owns its memory. A
        throttle time in it is the caller's to pass on with :meth:`throttled`.

        Args:
            broker_id: a broker for which :meth:`is_ready` says yes.
            api_key: the API.
            version: of the API.
            body: the request's body, after the header.
            on_reply: told the outcome; without an answer an empty view once all is written out.
            timeout_ms: how long the answer may take.
            has_answer: False for Produce with ``acks=0``, which is never answered.
            lane: on which of the broker's connections.
        """
        raise NotImplementedError

    def throttled(self, broker_id: int, throttle_time_ms: int, lane: Lane = Lane.MAIN) -> None:
        """A raw answer of this broker told to wait so long (KIP-219); tells ``throttle_cb``."""
        raise NotImplementedError

    def forget_coordinator(self, coordinator: Coordinator) -> None:
        """It answered NOT_COORDINATOR or COORDINATOR_NOT_AVAILABLE: find it anew next time."""
        raise NotImplementedError

    # Connections

    def connect(self, broker_id: int, lane: Lane = Lane.MAIN) -> None:
        """Open a connection unless there is one or one is on its way; backoff is observed."""
        raise NotImplementedError

    def is_ready(self, broker_id: int, lane: Lane = Lane.MAIN) -> bool:
        """Whether :meth:`send` may be called now: connected, authenticated, not throttled."""
        raise NotImplementedError

    def versions(self, broker_id: int) -> BrokerVersions | None:
        """What the broker offers; None as long as no connection to it has been open."""
        raise NotImplementedError

    def feature_level(self, feature: str) -> int:
        """The finalized level of a feature of the cluster (KIP-584), 0 if it has none."""
        raise NotImplementedError

    def on_connection(self, listener: Callable[[int, Lane, KafkaError | None], None]) -> None:
        """Have ``listener(broker_id, lane, error)`` called when a connection is ready (no error),
        when one was lost or could not be opened (the error), and when a throttled one may be
        used again (no error)."""
        raise NotImplementedError

    # Telling the user

    def report(self, error: KafkaError) -> None:
        """Tell ``error_cb`` (or, without one, the log) of an error of the whole client."""
        raise NotImplementedError
