"""What the parts of the sync admin client share: an engine on a thread, and futures."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, Self, TypeVar

from ottla.client.configuration.build import configure_admin
from ottla.client.core import admin as core
from ottla.client.core.admin.checks import limit_ms, timeout_ms
from ottla.client.errors import KafkaError, KafkaException

if TYPE_CHECKING:
    from concurrent.futures import Future

    from ottla.client.core.admin.call import Operation, Outcomes
    from ottla.client.engine.engine import Engine
    from ottla.client.engine.thread import Waiting

K = TypeVar("K")
V = TypeVar("V")
T = TypeVar("T")


class AdminFutures:
    """Runs operations on an engine's thread and hands out futures of their outcomes.

    Args:
        conf: the configuration.
        kwargs: more of it.

    Raises:
        KafkaException: a key or its value is wrong.
        TypeError: ``conf`` is no dictionary.
    """

    def __init__(self, conf: Mapping[str, Any], **kwargs: Any) -> None:
        from ottla.client.engine.engine import Engine
        from ottla.client.engine.thread import EngineThread
        from ottla.client.sync.background import Background
        from ottla.client.sync.callbacks import CallbackQueue

        configuration = configure_admin((conf,), kwargs)
        callbacks = CallbackQueue()

        def make_engine() -> Engine:
            return Engine(configuration, "admin", call_user=callbacks.put)

        self._callbacks = callbacks
        self._configuration = configuration
        self._thread = EngineThread(make_engine, "ottla-admin")
        self._background = Background("ottla-admin-futures")
        self._is_closed = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __del__(self) -> None:
        # A client that was dropped has no use for its connections. Nothing is waited for: this may
        # be any thread, also the engine's own.
        thread = getattr(self, "_thread", None)
        if thread is not None:
            thread.stop(0)

    def close(self) -> None:
        """Close the connections; calls under way fail with ``_DESTROY``. May be called again."""
        self._is_closed = True
        self._thread.stop()

    def poll(self, timeout: float) -> int:
        """Call the callbacks that wait (``error_cb``, ``stats_cb``, ``oauth_cb`` ...).

        Args:
            timeout: how long to wait for the first one, in seconds; negative: until there is one.

        Returns:
            How many there were.

        Raises:
            BaseException: what a callback raised.
        """
        if not isinstance(timeout, int | float):
            raise TypeError(f"must be real number, not {type(timeout).__name__}")
        self._check_open()
        return self._callbacks.serve(timeout)

    def wait_connected(self, timeout: float = -1) -> None:
        """Return as soon as a broker has been reached and accepted this client.

        Args:
            timeout: the longest wait in seconds; negative for no limit.

        Raises:
            KafkaException: with a text that says why not.
        """
        self._check_open()
        self._thread.run(self._thread.engine.wait_connected(limit_ms(timeout)))

    def __len__(self) -> int:
        return len(self._callbacks)

    def _check_open(self) -> None:
        if self._is_closed:
            raise RuntimeError("AdminClient has been closed")
        self._thread.check_process()

    def _request_timeout_ms(self, request_timeout: float | None) -> int:
        chosen_ms = timeout_ms(request_timeout, "request_timeout")
        return self._configuration.socket_timeout_ms if chosen_ms is None else chosen_ms

    def _operation_timeout_ms(self, operation_timeout: float | None) -> int:
        """How long the broker may take; -1, confluent_kafka's way to leave it open, included."""
        chosen_ms = timeout_ms(operation_timeout, "operation_timeout", least=-1)
        if chosen_ms is None or chosen_ms < 0:
            return self._configuration.socket_timeout_ms
        return chosen_ms

    def _submit(
        self,
        operation: Operation[T],
        request_timeout: float | None,
        settle: Callable[[Waiting[T]], object],
    ) -> None:
        """Perform an operation and have ``settle`` called with it, on the background thread."""
        from ottla.client.engine.administration import perform

        timeout = self._request_timeout_ms(request_timeout)
        self._check_open()
        waiting = self._thread.submit(perform(self._thread.engine, operation, timeout))
        # Refers to this client: one that is dropped goes on until it has no more calls under way.
        waiting.add_done_callback(lambda done: self._background.put(lambda: settle(done)))

    def _one(self, operation: Operation[T], request_timeout: float | None) -> Future[T]:
        """The future of an operation."""
        future: Future[T] = _new_future()

        def settle(waiting: Waiting[T]) -> None:
            try:
                result = waiting.wait(0)
            except BaseException as error:
                future.set_exception(error)
            else:
                future.set_result(result)

        self._submit(operation, request_timeout, settle)
        return future

    def _each(
        self, keys: Iterable[K], operation: Operation[Outcomes[K, V]], request_timeout: float | None
    ) -> dict[K, Future[V]]:
        """A future for each item of an operation."""
        futures: dict[K, Future[V]] = {key: _new_future() for key in keys}

        def settle(waiting: Waiting[Outcomes[K, V]]) -> None:
            try:
                outcomes = waiting.wait(0)
            except BaseException as error:
                for future in futures.values():
                    future.set_exception(error)
                return
            for key, future in futures.items():
                outcome = outcomes.get(key, core.call.NOT_MENTIONED)
                if isinstance(outcome, KafkaError):
                    future.set_exception(KafkaException(outcome))
                else:
                    future.set_result(outcome)

        self._submit(operation, request_timeout, settle)
        return futures

    def _wait(self, operation: Operation[T], timeout: float, doing: str) -> T:
        """The result of an operation at once, for the calls that return no future.

        Args:
            operation: the operation.
            timeout: the longest wait in seconds; negative for no limit.
            doing: what the text of an error begins with.

        Raises:
            KafkaException: it failed.
        """
        from ottla.client.engine.administration import perform

        longest_ms = limit_ms(timeout)
        self._check_open()
        try:
            return self._thread.run(perform(self._thread.engine, operation, longest_ms))
        except KafkaException as exception:
            error = exception.args[0]
            text = f"{doing}: {error.str()}"
            raise KafkaException(KafkaError(error.code(), text)) from None


def _new_future() -> Future[Any]:
    from concurrent.futures import Future

    future: Future[Any] = Future()
    # As in confluent_kafka it can't be cancelled: the request is on its way.
    future.set_running_or_notify_cancel()
    return future
