"""All links of an engine: which broker is where, and which can be asked."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator

from ottla.client.core.cluster import ClusterView
from ottla.client.core.targets import Lane
from ottla.client.engine.dialer import Dialer
from ottla.client.engine.handshake import Greeting
from ottla.client.engine.link import Authenticate, Link
from ottla.client.engine.runtime import Runtime
from ottla.client.errors import KafkaError, KafkaException
from ottla.ports.net import Address

ConnectionListener = Callable[[int, Lane, KafkaError | None], None]
AlarmListener = Callable[[Link, KafkaError], None]
# A broker that has not accepted by then gets a rival, when any will do.
_RIVAL_AFTER_S = 1.0
# Ids of bootstrap servers, of which the broker's id is not known: below Kafka's "none", -1.
_FIRST_BOOTSTRAP_ID = -2


class Links:
    """The links by broker and lane, and the listeners to what becomes of them.

    Attributes:
        features: the cluster's finalized features, as the newest greeting has them.
        was_up: whether any link has ever been up.
    """

    def __init__(
        self,
        runtime: Runtime,
        dialer: Dialer,
        authenticate: Authenticate,
        cluster: ClusterView,
        servers: Iterable[Address],
    ) -> None:
        self.features: dict[str, int] = {}
        self.was_up = False
        self.listeners: list[ConnectionListener] = []
        self.alarm_listeners: list[AlarmListener] = []
        self._runtime = runtime
        self._dialer = dialer
        self._authenticate = authenticate
        self._cluster = cluster
        self._links: dict[tuple[int, Lane], Link] = {}
        self._bootstrap: dict[int, Address] = {}
        # Where FindCoordinator said that brokers are which Metadata has not named yet.
        self._told: dict[int, Address] = {}
        self._features_epoch = -1
        self._failure_before_metadata: KafkaError | None = None
        self._changed: asyncio.Future[None] | None = None
        self._is_closed = False
        self.set_servers(servers)

    def set_servers(self, servers: Iterable[Address]) -> None:
        """The bootstrap servers, by the names that they are to be asked under."""
        ids = range(_FIRST_BOOTSTRAP_ID, -(2**31), -1)
        self._bootstrap = dict(zip(ids, dict.fromkeys(servers), strict=False))

    @property
    def servers(self) -> list[Address]:
        """The bootstrap servers."""
        return list(self._bootstrap.values())

    def __iter__(self) -> Iterator[Link]:
        return iter(list(self._links.values()))

    def get(self, broker_id: int, lane: Lane = Lane.MAIN) -> Link:
        """The link to a broker, made when it is first asked for."""
        link = self._links.get((broker_id, lane))
        if link is None:
            link = Link(self, self._runtime, self._dialer, self._authenticate, broker_id, lane)
            self._links[broker_id, lane] = link
        return link

    def find(self, broker_id: int, lane: Lane = Lane.MAIN) -> Link | None:
        """The link to a broker if there is one."""
        return self._links.get((broker_id, lane))

    def tell_address(self, broker_id: int, address: Address) -> None:
        """A broker is said to be there; Metadata knows better as soon as it names it."""
        self._told[broker_id] = address

    def address_of(self, broker_id: int) -> Address | None:
        broker = self._cluster.brokers.get(broker_id)
        if broker is not None:
            return Address(broker.host, broker.port)
        return self._bootstrap.get(broker_id) or self._told.get(broker_id)

    # Waiting for a link

    async def ready(self, broker_id: int, lane: Lane) -> Link:
        """A link that carries requests; opens it if need be.

        Raises:
            KafkaException: the next attempt failed, or nobody knows where the broker is.
        """
        link = self.get(broker_id, lane)
        error_before = link.error
        while True:
            self._check_open()
            if link.is_ready:
                return link
            if not link.is_up:
                if link.error is not None and link.error is not error_before:
                    raise KafkaException(link.error)
                if self.address_of(broker_id) is None:
                    text = f"broker {broker_id} is not known"
                    raise KafkaException(KafkaError(KafkaError._UNKNOWN_BROKER, text))
                link.connect()
            await self._change()

    async def any_ready(self, *, gives_up: bool = False) -> Link:
        """The least busy of the links to any broker; opens one if need be.

        Args:
            gives_up: don't wait out the backoff when none can be reached; otherwise it takes as
                long as it takes, and whoever asks limits the time.

        Raises:
            KafkaException: giving up: why the last one could not be reached.
        """
        while True:
            self._check_open()
            candidates = self._candidates()
            ready = [link for link in candidates if link.is_ready]
            if ready:
                return min(ready, key=lambda link: link.waiting_count)
            if gives_up and not any(
                link.is_up or link.is_connecting or link.can_try for link in candidates
            ):
                text = "there are no brokers to connect to (bootstrap.servers)"
                error = self.last_error() or KafkaError(KafkaError._TRANSPORT, text)
                raise KafkaException(error)
            self._try_another()
            try:
                # Not wait_for, which before Python 3.12 forgets a cancellation that comes with what
                # is waited for.
                async with asyncio.timeout(_RIVAL_AFTER_S):
                    await self._change()
            except TimeoutError:
                self._try_another(is_rival=True)

    def _candidates(self) -> list[Link]:
        ids = self._cluster.brokers or self._bootstrap
        return [self.get(broker_id) for broker_id in ids]

    def _try_another(self, *, is_rival: bool = False) -> None:
        """Connect to one of the brokers, unless that is being done."""
        candidates = [link for link in self._candidates() if not link.is_up]
        if not is_rival and any(link.is_connecting for link in candidates):
            return
        # Whoever failed least, and among those anybody.
        idle = [link for link in candidates if not link.is_connecting]
        if not idle:
            return
        least = min(link.backoff.ready_at_ms for link in idle)
        least = max(least, self._runtime.now_ms())
        likely = [link for link in idle if link.backoff.ready_at_ms <= least]
        likely[int(self._runtime.randomness() * len(likely))].connect()

    def none_reachable(self) -> bool:
        """Whether every broker (or bootstrap server) was tried and none can be reached now."""
        candidates = self._candidates()
        return all(not link.is_up and link.error is not None for link in candidates)

    @property
    def candidate_count(self) -> int:
        """How many brokers (or, before they are known, bootstrap servers) there are to ask."""
        return len(self._cluster.brokers or self._bootstrap)

    def last_error(self) -> KafkaError | None:
        """Why brokers can't be reached: what the newest failure said."""
        failed = [link for link in self._links.values() if link.error and not link.is_up]
        if not failed:
            return self._failure_before_metadata
        return max(failed, key=lambda link: link.state_since_ms).error

    def _change(self) -> asyncio.Future[None]:
        """Done with the next change of any link."""
        if self._changed is None or self._changed.done():
            self._changed = self._runtime.loop.create_future()
        return asyncio.shield(self._changed)

    def _notify(self) -> None:
        if self._changed is not None and not self._changed.done():
            self._changed.set_result(None)

    def _check_open(self) -> None:
        if self._is_closed:
            raise KafkaException(KafkaError(KafkaError._DESTROY))

    # What links call

    def link_up(self, link: Link, greeting: Greeting) -> None:
        self.was_up = True
        if greeting.features_epoch >= self._features_epoch:
            self.features = greeting.features
            self._features_epoch = greeting.features_epoch
        self._tell(link, None)

    def link_down(self, link: Link, error: KafkaError, *, is_alarming: bool) -> None:
        self._tell(link, error)
        if not self._cluster.brokers:
            # A listener may accept every connection and hang up on every request.
            self._failure_before_metadata = error
        if is_alarming:
            for listener in self.alarm_listeners:
                listener(link, error)

    def link_writable(self, link: Link) -> None:
        self._tell(link, None)

    def _tell(self, link: Link, error: KafkaError | None) -> None:
        self._notify()
        for listener in self.listeners:
            listener(link.broker_id, link.lane, error)

    # What Metadata brings

    def metadata_changed(self) -> None:
        """The brokers may be others, or elsewhere."""
        self._failure_before_metadata = None
        for link in list(self._links.values()):
            if link.broker_id < 0:
                self._retire(link)
            elif link.is_up and link.address != (self.address_of(link.broker_id) or link.address):
                text = f"{link.name}: the broker has moved"
                error = KafkaError(KafkaError._TRANSPORT, text)
                link.close(error)
                self._tell(link, error)
        for broker_id in self._cluster.brokers:
            self._told.pop(broker_id, None)

    def _retire(self, link: Link) -> None:
        """Brokers are known now: a bootstrap link is one of theirs, or needed no more."""
        if not self._cluster.brokers:
            return
        if link.is_up:
            self._hand_over(link)
        if link.waiting_count:
            return
        link.close(KafkaError(KafkaError._DESTROY_BROKER), is_final=True)
        del self._links[link.broker_id, link.lane]

    def _hand_over(self, link: Link) -> None:
        """Give a bootstrap link's connection to the broker that it leads to, if it needs one."""
        for broker in self._cluster.brokers.values():
            named = self.get(broker.broker_id)
            is_same = link.address == (broker.host, broker.port)
            if is_same and not named.is_up and not named.is_connecting:
                named.take_over(link)
                self._tell(named, None)
                return

    def close(self) -> None:
        """Close all connections: nothing is sent any more."""
        self._is_closed = True
        for link in list(self._links.values()):
            link.close(KafkaError(KafkaError._DESTROY), is_final=True)
        self._notify()
