"""What stands behind ``Producer``: its engine's thread. Imported when a producer is made."""

from __future__ import annotations

import concurrent.futures
import weakref
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ottla.client.engine.engine import Engine
from ottla.client.engine.producing import Producing, accumulator_for
from ottla.client.engine.thread import FORKED, EngineThread
from ottla.client.sync.transactions import TransactionalCalls

if TYPE_CHECKING:
    from ottla.client._reference_accumulator import Accumulator
    from ottla.client._reference_batch import Deliveries
    from ottla.client.admin.clusters import ClusterMetadata
    from ottla.client.configuration.objects import ProducerConfiguration
    from ottla.client.sync.producer import Producer
    from ottla.client.sync.reports import DeliveryReports

_FOREVER_MS = 1e12
# Enough for brokers never to wait, little enough to stay in the processor's cache. Memory that
# produce() has to touch for the first time takes longer than everything else it does.
_MOST_AHEAD_BYTES = 4 * 1024 * 1024


class ProducerEngine:
    """An engine on a thread of its own, and the producer's part on it.

    Args:
        configuration: the producer's.
        reports: where outcomes go.
        flush: the producer's ``flush``, for the ends of transactions.

    Attributes:
        accumulator: where records go.
        wake: called when the engine has to look at it.
        transactions: the transactional calls.
    """

    def __init__(
        self,
        configuration: ProducerConfiguration,
        reports: DeliveryReports,
        flush: Callable[[float], int],
    ) -> None:
        self.accumulator: Accumulator = accumulator_for(
            configuration, most_ahead_bytes=_MOST_AHEAD_BYTES
        )
        making = _Making(configuration, self.accumulator, reports)
        self.thread = thread = EngineThread(making.make_engine, configuration.client_id)
        self.producing = producing = making.producing
        # Without a reference to this object: a producer that is forgotten can be collected.
        self.wake: Callable[[], None] = lambda: thread.call(producing.pump)
        self.transactions = TransactionalCalls(thread, producing, flush)

    def refuse_through(self, producer: Producer) -> None:
        """Have the producer refuse what can't be produced."""
        refer = weakref.ref(producer)

        def refuse(exception: Exception | None) -> None:
            found = refer()
            if found is not None and not found.is_closed:
                found._refuse(exception)

        transacting = self.producing.transacting
        self.producing.on_refusal = refuse
        if transacting is not None:
            transacting.on_refusal = refuse
            refuse(transacting.refusal())
        self.thread.on_fork(lambda: refuse(RuntimeError(FORKED)))

    def begin_flush(self) -> None:
        """Let nothing linger until ``end_flush``."""
        self.thread.call(self.producing.begin_flush)

    def end_flush(self) -> None:
        """A flush is over."""
        self.thread.call(self.producing.end_flush)

    def purge(self, *, in_queue: bool, in_flight: bool, is_awaited: bool) -> None:
        """Give messages up."""
        purging = self.thread.submit(_purge(self.producing, in_queue=in_queue, in_flight=in_flight))
        if is_awaited:
            purging.wait()

    def list_topics(self, topic: str | None, timeout_s: float) -> ClusterMetadata:
        """What the cluster says of itself."""
        from ottla.client.engine.cluster_queries import list_topics

        timeout_ms = _milliseconds(timeout_s)
        return self.thread.run(
            list_topics(self.producing.engine, topic, timeout_ms, may_create=True)
        )

    def cluster_id(self, timeout_s: float) -> str | None:
        """The cluster's id."""
        from ottla.client.engine.cluster_queries import cluster_id

        return self.thread.run(cluster_id(self.producing.engine, _milliseconds(timeout_s)))

    def set_sasl_credentials(self, username: str, password: str) -> None:
        """Authenticate with these from the next connection on."""
        self.thread.call(self.producing.engine.set_sasl_credentials, username, password)

    def wait_connected(self, timeout_s: float) -> None:
        """Wait until a broker has been reached."""
        self.thread.run(self.producing.engine.wait_connected(_milliseconds(timeout_s)))


class _Making:
    """Makes the engine on its thread."""

    def __init__(
        self,
        configuration: ProducerConfiguration,
        accumulator: Accumulator,
        reports: DeliveryReports,
    ) -> None:
        self._configuration = configuration
        self._accumulator = accumulator
        self._reports = reports
        self.producing: Producing

    def make_engine(self) -> Engine:
        engine = Engine(self._configuration, "producer", call_user=self._reports.callbacks.put)
        self.producing = Producing(
            engine,
            self._configuration,
            self._accumulator,
            self._deliver,
            self._reports.count,
        )
        engine.statistics.append(self.producing.statistics)
        return engine

    def _deliver(self, deliveries: Deliveries) -> None:
        if self._accumulator.has_futures:
            records = len(deliveries.batch)
            left = deliveries.resolve(concurrent.futures.Future)
            self._reports.count(records - left)
            only_errors = self._configuration.delivery_report_only_error
            if left and only_errors and deliveries.error is None:
                self._reports.count(left)
                deliveries.batch.release()
                return
            if not left:
                return
        self._reports.put(deliveries)


def running_future() -> concurrent.futures.Future[Any]:
    """A future that can't be cancelled: the message is on its way."""
    future: concurrent.futures.Future[Any] = concurrent.futures.Future()
    future.set_running_or_notify_cancel()
    return future


async def _purge(producing: Producing, *, in_queue: bool, in_flight: bool) -> None:
    producing.purge(in_queue=in_queue, in_flight=in_flight)


def _milliseconds(timeout_s: float) -> float:
    return timeout_s * 1000 if timeout_s >= 0 else _FOREVER_MS
