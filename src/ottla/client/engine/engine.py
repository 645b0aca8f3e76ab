"""The engine of one client instance: connections, metadata, coordinators, timers, statistics."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from ottla.client.configuration.objects import Configuration
from ottla.client.core.cluster import Changes, ClusterView
from ottla.client.core.targets import ANY, CONTROLLER, Coordinator, Lane, Target
from ottla.client.core.versions import BrokerVersions
from ottla.client.engine.addresses import parse_servers
from ottla.client.engine.alarms import Alarms
from ottla.client.engine.coordination import Coordinators
from ottla.client.engine.dialer import Dialer, NetDialer, SystemDialer
from ottla.client.engine.link import Link
from ottla.client.engine.links import ConnectionListener, Links
from ottla.client.engine.log import WARNING, ClientLog, instance_name
from ottla.client.engine.metadata import MetadataKeeper
from ottla.client.engine.requests import call, decode, encode
from ottla.client.engine.runtime import CallUser, ClientType, Runtime
from ottla.client.errors import KafkaError, KafkaException
from ottla.client.values import ThrottleEvent
from ottla.ports.clock import Clock
from ottla.ports.entropy import Entropy
from ottla.ports.net import Net
from ottla.wire.declare import Buffer, Message

# What only some clients need is imported by those who use it: TLS, SASL, statistics.
if TYPE_CHECKING:
    import ssl

    from ottla.client.engine.authentication import Authenticator
    from ottla.client.engine.statistics import Statistics

Answer = TypeVar("Answer", bound=Message)


class Engine:
    """What a client instance does on its event loop.

    Made and used on the loop's thread only; :class:`~ottla.client.engine.thread.EngineThread` does
    that for others. Times are milliseconds of :meth:`now_ms`.

    Args:
        configuration: what the user set.
        client_type: what the instance is, for statistics and logs.
        call_user: calls a callback of the configuration (``error_cb``, ``throttle_cb``,
            ``stats_cb``) with its arguments: at once (the default), or by queueing it for the
            user's thread.
        net: another network than the machine's, for simulations; without DNS and TLS.
        clock: another clock than the machine's.
        entropy: other randomness than the machine's.

    Attributes:
        configuration: as given.
        name: the instance's name in logs and statistics, ``client.id#producer-1``.
        cluster: what is known of the brokers and topics; updated in place.
        log: the instance's log.
        statistics: callables whose dictionaries are merged into the statistics' top level, and
            ``topics`` topic by topic; ``ottla.client.core.statistics`` has the forms.

    Raises:
        KafkaException: certificates or keys of the configuration can't be used.
    """

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
        self.configuration = configuration
        self.name = instance_name(configuration.client_id, client_type)
        self.cluster = ClusterView()
        self.statistics: list[Callable[[], Mapping[str, Any]]] = []
        self.log = log = ClientLog(
            self.name, configuration.logger, configuration.log_level, configuration.debug
        )
        self._runtime = Runtime(
            configuration, log, call_user=call_user, clock=clock, entropy=entropy
        )
        self._dialer: Dialer = (
            SystemDialer(configuration, _tls(configuration)) if net is None else NetDialer(net)
        )
        self._authenticator = _authenticator(self._runtime)
        servers = parse_servers(configuration.bootstrap_servers or "")
        self._links = Links(
            self._runtime,
            self._dialer,
            self._authenticator or _no_authentication,
            self.cluster,
            servers,
        )
        self._metadata = MetadataKeeper(
            self._runtime,
            self._links,
            self.cluster,
            creates_topics=configuration.allow_auto_create_topics,
        )
        self._coordinators = Coordinators(self._runtime, self._links)
        self._alarms = Alarms(self._runtime, self._links)
        self._statistics = self._wanted_statistics(client_type)
        self._is_closed = False
        for warning in configuration.warnings:
            log.write(WARNING, "CONFWARN", warning)
        if not servers:
            text = "No `bootstrap.servers` configured: client will not be able to connect to Kafka"
            log.write(WARNING, "CONFWARN", text)

    def _wanted_statistics(self, client_type: ClientType) -> Statistics | None:
        if not self._runtime.wants_statistics:
            return None
        from ottla.client.engine.statistics import Statistics

        return Statistics(
            self._runtime, self._links, self.cluster, self.name, client_type, self.statistics
        )

    # Life

    def start(self) -> None:
        """Begin to connect and to keep the metadata fresh. Called on the running loop."""
        self._runtime.spawn(self._start(), "start")

    async def _start(self) -> None:
        servers = []
        for server in self._links.servers:
            try:
                servers += await self._dialer.canonical(server)
            except KafkaException as exception:
                self.report(exception.args[0])
                servers.append(server)
        self._links.set_servers(servers)
        self._metadata.plan_soon()
        if self._statistics is not None:
            self._statistics.start()

    async def close(self) -> None:
        """Close the connections; requests under way fail with ``_DESTROY``. May be called again."""
        if self._is_closed:
            return
        self._is_closed = True
        if self._statistics is not None:
            self._statistics.stop()
        self._metadata.close()
        self._links.close()
        await self._runtime.cancel_tasks()

    @property
    def is_closed(self) -> bool:
        """Whether :meth:`close` was called."""
        return self._is_closed

    # Time

    def now_ms(self) -> float:
        """Milliseconds that never go back."""
        return self._runtime.now_ms()

    @property
    def entropy(self) -> Entropy:
        """Where ids come from."""
        return self._runtime.entropy

    def randomness(self) -> float:
        """A random number from 0 up to 1, as the cores want it."""
        return self._runtime.randomness()

    def call_at(self, when_ms: float, callback: Callable[[], object]) -> asyncio.TimerHandle:
        """Call back at a time of :meth:`now_ms`; ``cancel()`` the handle to forget it."""
        return self._runtime.call_at(when_ms, callback)

    def call_soon(self, callback: Callable[[], object]) -> asyncio.Handle:
        """Call back in the loop's next round."""
        return self._runtime.loop.call_soon(callback)

    def spawn(self, coroutine: Coroutine[Any, Any, Any], name: str) -> asyncio.Task[Any]:
        """Run a coroutine beside everything else; it ends with the engine at the latest."""
        return self._runtime.spawn(coroutine, name)

    # Metadata

    def want(self, topic: str) -> None:
        """Keep a topic's metadata fresh, and ask for it soon if it is new."""
        self._metadata.want(topic)

    def release(self, topic: str) -> None:
        """Nobody uses the topic any more; each :meth:`want` takes one of these."""
        self._metadata.release(topic)

    def want_all(self, wants_all: bool) -> None:
        """Keep the metadata of all topics fresh, for subscriptions by pattern."""
        self._metadata.want_all(wants_all)

    def refresh_metadata(self) -> None:
        """What is known is out of date: ask soon, with the usual backoff."""
        self._metadata.request()

    def on_metadata(self, listener: Callable[[Changes], None]) -> None:
        """Have ``listener`` called after every answer to a Metadata request, also when it changed
        nothing (then a wanted topic may have turned out missing: :meth:`is_given_up`)."""
        self._metadata.listeners.append(listener)

    def is_given_up(self, topic: str) -> bool:
        """Whether a wanted topic was missing for ``topic.metadata.propagation.max.ms``."""
        return self._metadata.is_given_up(topic)

    async def metadata_updated(self, timeout_ms: float) -> None:
        """Wait for the next answer to a Metadata request, whatever it says.

        Raises:
            KafkaException: ``_TIMED_OUT``, or ``_TRANSPORT`` when no broker can be reached.
        """
        try:
            async with asyncio.timeout(timeout_ms / 1000):
                await asyncio.shield(self._metadata.next_update())
        except TimeoutError:
            raise KafkaException(self._late("no broker answered a Metadata request")) from None

    async def wait_connected(self, timeout_ms: float) -> None:
        """Return as soon as the cluster is known and one of its brokers has accepted this client.

        Raises:
            KafkaException: with a text that says why not: ``_RESOLVE``, ``_TRANSPORT``, ``_SSL``,
                ``_AUTHENTICATION`` or ``_TIMED_OUT``.
        """
        try:
            async with asyncio.timeout(timeout_ms / 1000):
                while not self.cluster.brokers:
                    self._check_open()
                    try:
                        await asyncio.shield(self._metadata.next_update())
                    except KafkaException:
                        # The refresh goes on trying; the last reason is told in the end.
                        continue
                await self._links.any_ready()
        except TimeoutError:
            error = self._links.last_error() or self._late("no broker could be reached")
            raise KafkaException(error) from None

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
        api_key = answer.API_KEY
        assert api_key is not None
        limit_ms = self.configuration.socket_timeout_ms if timeout_ms is None else timeout_ms
        deadline_ms = self.now_ms() + limit_ms
        self._check_open()
        waits_for = "a connection to a broker"
        try:
            async with asyncio.timeout(limit_ms / 1000):
                link = await self._route(target, lane, deadline_ms)
                assert link.versions is not None
                version = link.versions.choose(api_key, at_least=at_least, at_most=at_most)
                message = request if isinstance(request, Message) else request(version)
                body = [encode(message, version)]
                waits_for = f"the answer of {link.name}"
                # What the caller has no time to wait for does not condemn the connection.
                patience_ms = max(limit_ms, self.configuration.socket_timeout_ms)
                reply = await call(link.send, api_key, version, body, patience_ms)
        except TimeoutError:
            raise KafkaException(self._late(f"waited for {waits_for}")) from None
        decoded = decode(answer, reply, version, link.name)
        self._note_throttle(link, decoded)
        return decoded

    async def _route(self, target: Target, lane: Lane | None, deadline_ms: float) -> Link:
        """A link to the target that can be used."""
        if target is ANY:
            return await self._links.any_ready()
        if target is CONTROLLER:
            return await self._links.ready(await self._controller(), lane or Lane.MAIN)
        if isinstance(target, Coordinator):
            broker_id = await self._coordinators.find(target, deadline_ms)
            return await self._links.ready(broker_id, lane or Lane.COORDINATOR)
        return await self._links.ready(target, lane or Lane.MAIN)

    async def _controller(self) -> int:
        while self.cluster.controller_id not in self.cluster.brokers:
            self.refresh_metadata()
            try:
                await asyncio.shield(self._metadata.next_update())
            except KafkaException:
                # No broker could be asked: the refresh goes on trying, and the caller's time runs.
                self._check_open()
        return self.cluster.controller_id

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

        Raises:
            KafkaException: ``_UNSUPPORTED_FEATURE``: the version has no way to say it.
        """
        api_key = answer.API_KEY
        assert api_key is not None
        link = self._links.get(broker_id, lane)

        def settle(reply: memoryview | KafkaError) -> None:
            if isinstance(reply, KafkaError):
                on_reply(reply)
                return
            try:
                decoded = decode(answer, reply, version, link.name)
            except KafkaException as exception:
                on_reply(exception.args[0])
                return
            self._note_throttle(link, decoded)
            on_reply(decoded)

        link.send(api_key, version, [encode(request, version)], settle, timeout_ms)

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
            body: the request's body, after the header, as buffers of bytes.
            on_reply: told the outcome; without an answer an empty view as soon as the system has
                taken all that was written.
            timeout_ms: how long the answer may take.
            has_answer: False for Produce with ``acks=0``, which is never answered.
            lane: on which of the broker's connections.
        """
        link = self._links.get(broker_id, lane)
        link.send(api_key, version, body, on_reply, timeout_ms, has_answer=has_answer)

    def throttled(self, broker_id: int, throttle_time_ms: int, lane: Lane = Lane.MAIN) -> None:
        """A raw answer of this broker told to wait so long (KIP-219); tells ``throttle_cb``."""
        self._throttle(self._links.get(broker_id, lane), throttle_time_ms)

    def forget_coordinator(self, coordinator: Coordinator) -> None:
        """It answered NOT_COORDINATOR or COORDINATOR_NOT_AVAILABLE: find it anew next time."""
        self._coordinators.forget(coordinator)

    def _note_throttle(self, link: Link, answer: Message) -> None:
        throttle_time_ms: int = getattr(answer, "throttle_time_ms", 0)
        if throttle_time_ms > 0:
            self._throttle(link, throttle_time_ms)

    def _throttle(self, link: Link, throttle_time_ms: int) -> None:
        if throttle_time_ms <= 0:
            return
        link.throttle(throttle_time_ms)
        callback = self.configuration.throttle_cb
        if callback is not None:
            event = ThrottleEvent(link.name, link.broker_id, throttle_time_ms / 1000)
            self._runtime.tell_user(callback, event)

    # Connections

    def connect(self, broker_id: int, lane: Lane = Lane.MAIN) -> None:
        """Open a connection unless there is one or one is on its way; backoff is observed.

        It stands for one attempt: when that fails, the listeners of :meth:`on_connection` hear it
        and call this again if they still want the broker.
        """
        self._links.get(broker_id, lane).connect()

    def is_ready(self, broker_id: int, lane: Lane = Lane.MAIN) -> bool:
        """Whether :meth:`send` may be called now: connected, authenticated, not throttled, and not
        so much written to it already that the socket is full."""
        link = self._links.find(broker_id, lane)
        return link is not None and link.is_ready

    def versions(self, broker_id: int) -> BrokerVersions | None:
        """What the broker offers; None as long as no connection to it has been open."""
        main = self._links.find(broker_id, Lane.MAIN)
        if main is not None and main.versions is not None:
            return main.versions
        for lane in Lane:
            link = self._links.find(broker_id, lane)
            if link is not None and link.versions is not None:
                return link.versions
        return None

    def feature_level(self, feature: str) -> int:
        """The finalized level of a feature of the cluster (KIP-584), 0 if it has none."""
        return self._links.features.get(feature, 0)

    def on_connection(self, listener: ConnectionListener) -> None:
        """Have ``listener(broker_id, lane, error)`` called when a connection is ready (no error),
        when one was lost or could not be opened (the error), and when one that was throttled or
        full may be used again (no error)."""
        self._links.listeners.append(listener)

    def set_sasl_credentials(self, username: str, password: str) -> None:
        """Use these from the next authentication on; open connections stay as they are."""
        if self._authenticator is not None:
            self._authenticator.set_credentials(username, password)

    # Telling the user

    def report(self, error: KafkaError) -> None:
        """Tell ``error_cb`` (or, without one, the log) of an error of the whole client."""
        self._alarms.report(error)

    def _check_open(self) -> None:
        if self._is_closed:
            raise KafkaException(KafkaError(KafkaError._DESTROY))

    def _late(self, reason: str) -> KafkaError:
        """The error for a wait that was too long, with why brokers can't be reached if so."""
        cause = self._links.last_error()
        if cause is not None and not any(link.is_up for link in self._links):
            return KafkaError(KafkaError._TIMED_OUT, f"{reason}; {cause.str()}")
        return KafkaError(KafkaError._TIMED_OUT, f"Timed out: {reason}")


def _tls(configuration: Configuration) -> ssl.SSLContext | None:
    if configuration.security_protocol not in ("ssl", "sasl_ssl"):
        return None
    from ottla.client.engine.tls import tls_context

    return tls_context(configuration)


def _authenticator(runtime: Runtime) -> Authenticator | None:
    if not runtime.configuration.security_protocol.startswith("sasl"):
        return None
    from ottla.client.engine.authentication import Authenticator
    from ottla.client.engine.tokens import TokenSource

    return Authenticator(runtime, TokenSource(runtime))


async def _no_authentication(*_: object) -> None:
    """Connections without SASL are let in as they are."""
