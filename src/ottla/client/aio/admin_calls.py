"""What the parts of the asyncio admin client share: an engine on the running loop."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Self, TypeVar

from ottla.client.admin.failures import AdminException
from ottla.client.aio.callbacks import UserCallbacks
from ottla.client.configuration.build import configure_admin
from ottla.client.core.admin.call import split
from ottla.client.core.admin.checks import limit_ms, timeout_ms
from ottla.client.engine.administration import perform
from ottla.client.engine.engine import Engine

if TYPE_CHECKING:
    from ottla.client.core.admin.call import Operation, Outcomes

K = TypeVar("K")
V = TypeVar("V")
T = TypeVar("T")


class AdminCalls:
    """Runs operations on the loop on which it is first used.

    Args:
        conf: the configuration.
        kwargs: more of it.

    Raises:
        KafkaException: a key or its value is wrong.
        TypeError: ``conf`` is no dictionary.
    """

    def __init__(self, conf: Mapping[str, Any], **kwargs: Any) -> None:
        self._configuration = configure_admin((conf,), kwargs)
        self._engine: Engine | None = None
        self._is_closed = False
        self._callbacks = UserCallbacks(self._callback_failed)

    async def __aenter__(self) -> Self:
        self._started()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connections; calls under way fail with ``_DESTROY``. May be called again."""
        self._is_closed = True
        if self._engine is not None:
            await self._engine.close()

    async def wait_connected(self, timeout: float = -1) -> None:  # noqa: ASYNC109
        """Return as soon as a broker has been reached and accepted this client.

        Args:
            timeout: the longest wait in seconds; negative for no limit.

        Raises:
            KafkaException: with a text that says why not.
        """
        await self._started().wait_connected(limit_ms(timeout))

    def set_sasl_credentials(self, username: str, password: str) -> None:
        """Use other SASL credentials from the next connection on (PLAIN and SCRAM)."""
        self._started().set_sasl_credentials(username, password)

    def _started(self) -> Engine:
        if self._is_closed:
            raise RuntimeError("AdminClient has been closed")
        if self._engine is None:
            self._engine = Engine(self._configuration, "admin", call_user=self._callbacks.call)
            self._engine.start()
        return self._engine

    def _callback_failed(self, error: BaseException) -> None:
        if self._engine is not None:
            self._engine.log.failure("a callback raised", error)

    def _request_timeout_ms(self, request_timeout: float | None) -> int:
        chosen_ms = timeout_ms(request_timeout, "request_timeout")
        return self._configuration.socket_timeout_ms if chosen_ms is None else chosen_ms

    def _operation_timeout_ms(self, operation_timeout: float | None) -> int:
        chosen_ms = timeout_ms(operation_timeout, "operation_timeout", least=-1)
        if chosen_ms is None or chosen_ms < 0:
            return self._configuration.socket_timeout_ms
        return chosen_ms

    async def _one(self, operation: Operation[T], request_timeout: float | None) -> T:
        limit_ms = self._request_timeout_ms(request_timeout)
        return await perform(self._started(), operation, limit_ms)

    async def _each(
        self, operation: Operation[Outcomes[K, V]], request_timeout: float | None
    ) -> dict[K, V]:
        """The values by item.

        Raises:
            AdminException: some items failed.
        """
        values, errors = split(await self._one(operation, request_timeout))
        if errors:
            raise AdminException(errors, values)
        return values
