"""The way to one broker: at most one connection, made anew after failures."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol

from ottla.client.core.backoff import Backoff
from ottla.client.core.statistics import Window
from ottla.client.core.targets import Lane
from ottla.client.core.versions import BrokerVersions
from ottla.client.engine.connection import Connection, OnReply, Traffic
from ottla.client.engine.dialer import Dialer
from ottla.client.engine.handshake import Greeting, greet
from ottla.client.engine.runtime import Runtime
from ottla.client.errors import KafkaError, KafkaException
from ottla.ports.net import Address
from ottla.wire.declare import Buffer

# A connection lost after it was idle for so long was most likely closed for that (the broker's
# connections.max.idle.ms): nothing to alarm anybody with.
_QUIET_IDLE_MS = 60_000.0
# Brokers throttle by the seconds of their quota windows; what is longer is not to be believed.
_MOST_THROTTLE_MS = 60_000
# Authenticates a new connection; schedules what keeps it authenticated.
Authenticate = Callable[["Link", Connection, BrokerVersions], Awaitable[None]]


class LinkOwner(Protocol):
    """Who is told what becomes of a link."""

    def link_up(self, link: Link, greeting: Greeting) -> None:
        """It can carry requests."""

    def link_down(self, link: Link, error: KafkaError, *, is_alarming: bool) -> None:
        """Its connection was lost, or could not be opened."""

    def link_writable(self, link: Link) -> None:
        """It takes requests again after it was full or throttled."""

    def address_of(self, broker_id: int) -> Address | None:
        """Where the broker listens, None if that is not known (any more)."""


class Link:
    """A broker on one lane, with the connection to it if there is one.

    Attributes:
        connection: which carries requests; None while there is none.
        versions: what the broker offered on the last connection.
        error: why there is no connection: what the last attempt or connection ended with.
        address: where the connection (or the last attempt at one) led.
        state: for the statistics.
        traffic: what went over its connections.
        throttle_times_ms: how long its broker told to wait, as far as statistics are wanted.
    """

    def __init__(
        self,
        owner: LinkOwner,
        runtime: Runtime,
        dialer: Dialer,
        authenticate: Authenticate,
        broker_id: int,
        lane: Lane,
    ) -> None:
        self.broker_id = broker_id
        self.lane = lane
        self.connection: Connection | None = None
        self.versions: BrokerVersions | None = None
        self.error: KafkaError | None = None
        self.address: Address | None = None
        self.state = "INIT"
        self.state_since_ms = runtime.now_ms()
        self.traffic = Traffic(measures_round_trips=runtime.wants_statistics)
        self.throttle_times_ms = Window()
        self.connects = self.disconnects = 0
        configuration = runtime.configuration
        self.backoff = Backoff(
            configuration.reconnect_backoff_ms, configuration.reconnect_backoff_max_ms
        )
        self._owner = owner
        self._runtime = runtime
        self._dialer = dialer
        self._authenticate = authenticate
        self._task: asyncio.Task[None] | None = None
        self._retry: asyncio.TimerHandle | None = None
        self._throttled_until_ms = 0.0
        self._idle_timer: asyncio.TimerHandle | None = None

    @property
    def name(self) -> str:
        """The broker's name as librdkafka writes it: ``host:port/id``, ``ssl://host:port/id``."""
        who = "bootstrap" if self.broker_id < 0 else str(self.broker_id)
        protocol = self._runtime.configuration.security_protocol
        prefix = "" if protocol == "plaintext" else f"{protocol}://"
        return f"{prefix}{self.address}/{who}"

    @property
    def is_up(self) -> bool:
        """Whether there is a connection that carries requests."""
        return self.connection is not None

    @property
    def is_ready(self) -> bool:
        """Whether a request may be sent now: it is up, not full, not throttled."""
        connection = self.connection
        return (
            connection is not None
            and not connection.is_full
            and not connection.is_held
            and (
                self._throttled_until_ms == 0.0
                or self._runtime.now_ms() >= self._throttled_until_ms
            )
        )

    @property
    def is_connecting(self) -> bool:
        """Whether an attempt is under way."""
        return self._task is not None

    @property
    def can_try(self) -> bool:
        """Whether an attempt would be made at once, not after a backoff."""
        return self._task is None and self.backoff.is_ready(self._runtime.now_ms())

    @property
    def waiting_count(self) -> int:
        """How many requests wait for their answers."""
        return 0 if self.connection is None else self.connection.waiting_count

    def connect(self) -> None:
        """See to it that there is a connection, or soon will be."""
        if self.connection is not None or self._task is not None or self._retry is not None:
            return
        if self.backoff.is_ready(self._runtime.now_ms()):
            self._begin()
        else:
            self._enter("TRY_CONNECT")
            self._retry = self._runtime.call_at(self.backoff.ready_at_ms, self._begin)

    def send(
        self,
        api_key: int,
        version: int,
        body: Sequence[Buffer],
        on_reply: OnReply,
        timeout_ms: float,
        *,
        has_answer: bool = True,
    ) -> None:
        """Send a request over the connection; without one, ``on_reply`` hears that soon."""
        if self.connection is None:
            error = self.error or KafkaError(KafkaError._TRANSPORT, f"{self.name}: not connected")
            self._runtime.loop.call_soon(on_reply, error)
            return
        self.connection.request(api_key, version, body, on_reply, timeout_ms, has_answer=has_answer)

    def throttle(self, throttle_time_ms: int) -> None:
        """Send nothing for so long (KIP-219)."""
        if self._runtime.wants_statistics:
            self.throttle_times_ms.add(throttle_time_ms)
        until_ms = self._runtime.now_ms() + min(throttle_time_ms, _MOST_THROTTLE_MS)
        if until_ms > self._throttled_until_ms:
            self._throttled_until_ms = until_ms
            self._runtime.call_at(until_ms, self._unthrottled)

    def close(self, error: KafkaError, *, is_final: bool = False) -> None:
        """Give the connection up; ``is_final``: nobody will want another one."""
        if self._retry is not None:
            self._retry.cancel()
            self._retry = None
        if self._task is not None:
            self._task.cancel()
            self._task = None
        if self.connection is not None:
            connection, self.connection = self.connection, None
            self.disconnects += 1
            connection.close(error)
        self._stop_idle_timer()
        if not is_final:
            self._enter("INIT")

    def take_over(self, other: Link) -> None:
        """Take the connection of a bootstrap link that turned out to lead to this broker."""
        connection = other.connection
        assert connection is not None
        assert self.connection is None
        other.connection = None
        other._stop_idle_timer()
        other._enter("INIT")
        self.connection = connection
        self.address = other.address
        self.versions = other.versions
        self.traffic = connection.traffic
        other.traffic = Traffic(measures_round_trips=self._runtime.wants_statistics)
        self.connects += 1
        connection.owner = self
        connection.name = self.name
        self._up()

    # What the connection calls

    def connection_failed(self, connection: Connection, error: KafkaError) -> None:
        if connection is not self.connection:
            # It never was up, or was given up: whoever did that tells.
            return
        self.connection = None
        self.disconnects += 1
        self._stop_idle_timer()
        idle_ms = self._runtime.now_ms() - max(
            self.traffic.last_sent_ms, self.traffic.last_received_ms, connection.made_ms
        )
        is_quiet = error.code() == KafkaError._TRANSPORT and (
            idle_ms >= _QUIET_IDLE_MS or not self._runtime.configuration.log_connection_close
        )
        # One connection lost is no reason to wait; one that keeps being lost is.
        if self._runtime.now_ms() - self.state_since_ms < self.backoff_floor_ms:
            self.backoff.failed(self._runtime.now_ms(), self._runtime.randomness())
        self._down(error, is_alarming=not is_quiet)

    @property
    def backoff_floor_ms(self) -> float:
        """A connection that held for less than this counts as a failure to connect."""
        return float(self._runtime.configuration.reconnect_backoff_ms)

    def connection_writable(self, connection: Connection) -> None:
        if connection is self.connection:
            self._owner.link_writable(self)

    # How it connects

    def _begin(self) -> None:
        self._retry = None
        address = self._owner.address_of(self.broker_id)
        if address is None:
            text = f"broker {self.broker_id} is not known (any more)"
            self.backoff.failed(self._runtime.now_ms(), self._runtime.randomness())
            # Not at once: whoever asked to connect is told only after that.
            error = KafkaError(KafkaError._UNKNOWN_BROKER, text)
            self._runtime.loop.call_soon(lambda: self._down(error, is_alarming=False))
            return
        self.address = address
        self._enter("CONNECT")
        self._task = self._runtime.spawn(self._open(address), f"connect to {self.name}")

    async def _open(self, address: Address) -> None:
        runtime = self._runtime
        configuration = runtime.configuration
        timeout_ms = configuration.socket_connection_setup_timeout_ms
        began_ms = runtime.now_ms()
        connection: Connection | None = None
        try:
            async with asyncio.timeout(timeout_ms / 1000):
                connection = await self._dialer.dial(self._make, address, timeout_ms / 1000)
                self._enter("APIVERSION_QUERY")
                greeting = await greet(connection, configuration)
                self._enter("AUTH_REQ")
                await self._authenticate(self, connection, greeting.versions)
                if not connection.is_open:
                    text = f"{self.name}: the connection was lost as soon as it was made"
                    raise KafkaException(KafkaError(KafkaError._TRANSPORT, text))
        except KafkaException as exception:
            self._failed(connection, exception.args[0], began_ms)
        except TimeoutError:
            text = (
                f"Connection setup timed out in state {self.state} "
                f"(socket.connection.setup.timeout.ms={timeout_ms})"
            )
            self._failed(connection, KafkaError(KafkaError._TRANSPORT, text), began_ms)
        except asyncio.CancelledError:
            if connection is not None:
                connection.close(KafkaError(KafkaError._DESTROY))
            raise
        except Exception as error:
            # A fault of ours must not leave the link in the middle of an attempt for ever.
            runtime.log.failure(f"{self.name}: connecting failed", error)
            self._failed(connection, KafkaError(KafkaError._FAIL, repr(error)), began_ms)
        else:
            self._task = None
            self.connection = connection
            self.versions = greeting.versions
            self.connects += 1
            self.error = None
            self.backoff.succeeded()
            self._up()
            self._owner.link_up(self, greeting)

    def _make(self) -> Connection:
        return Connection(self, self.name, self._runtime, self.traffic)

    def _failed(self, connection: Connection | None, error: KafkaError, began_ms: float) -> None:
        now_ms = self._runtime.now_ms()
        self._task = None
        text = error.str()
        if not text.startswith(self.name):
            text = f"{self.name}: {text}"
        told = KafkaError(
            error.code(), f"{text} (after {now_ms - began_ms:.0f}ms in state {self.state})"
        )
        if connection is not None:
            connection.close(told)
        self.backoff.failed(now_ms, self._runtime.randomness())
        self._down(told, is_alarming=True)

    def _up(self) -> None:
        self._enter("UP")
        self._runtime.log.debug("broker", "CONNECTED", f"{self.name}: connected")
        self._watch_idle()

    def _down(self, error: KafkaError, *, is_alarming: bool) -> None:
        self.error = error
        self._enter("DOWN")
        self._runtime.log.debug("broker", "FAIL", error.str())
        self._owner.link_down(self, error, is_alarming=is_alarming)

    def _enter(self, state: str) -> None:
        self.state = state
        self.state_since_ms = self._runtime.now_ms()

    def _unthrottled(self) -> None:
        if self._runtime.now_ms() >= self._throttled_until_ms:
            self._throttled_until_ms = 0.0
            if self.connection is not None:
                self._owner.link_writable(self)

    # Idleness (connections.max.idle.ms)

    def _watch_idle(self) -> None:
        limit_ms = self._runtime.configuration.connections_max_idle_ms
        if limit_ms > 0 and self.connection is not None:
            last_ms = max(
                self.traffic.last_sent_ms, self.traffic.last_received_ms, self.state_since_ms
            )
            self._idle_timer = self._runtime.call_at(last_ms + limit_ms, self._check_idle)

    def _check_idle(self) -> None:
        self._idle_timer = None
        if self.connection is None:
            return
        limit_ms = self._runtime.configuration.connections_max_idle_ms
        last_ms = max(self.traffic.last_sent_ms, self.traffic.last_received_ms, self.state_since_ms)
        if self.connection.waiting_count or self._runtime.now_ms() < last_ms + limit_ms:
            self._idle_timer = self._runtime.call_at(
                max(last_ms + limit_ms, self._runtime.now_ms() + limit_ms / 10), self._check_idle
            )
            return
        text = f"{self.name}: closed after {limit_ms} ms without use (connections.max.idle.ms)"
        self._runtime.log.debug("broker", "IDLE", text)
        error = KafkaError(KafkaError._TRANSPORT, text)
        self.close(error)
        self._owner.link_down(self, error, is_alarming=False)

    def _stop_idle_timer(self) -> None:
        if self._idle_timer is not None:
            self._idle_timer.cancel()
            self._idle_timer = None
