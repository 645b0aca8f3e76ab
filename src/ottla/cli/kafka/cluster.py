"""The cluster as a tool asks it: Kafka's requests and answers, over our client's engine.

Kafka's tools use more of the protocol than the public AdminClient offers (reassignments, quotas,
features, transactions, share groups), so they ask in the protocol's own terms.
"""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from ottla.cli.kafka.errors import KafkaFailure
from ottla.cli.kafka.failures import ToolFailure
from ottla.cli.kafka.options import Options
from ottla.cli.kafka.properties import for_our_client, load
from ottla.client.core.targets import ANY, CONTROLLER, Coordinator, KeyType, Target
from ottla.wire.apis import declaration
from ottla.wire.errors import ErrorCode

# Help is to be shown sooner than what asks a cluster is imported.
if TYPE_CHECKING:
    import asyncio

    from ottla.client.engine.engine import Engine
    from ottla.client.errors import KafkaError
    from ottla.wire.declare import Message

Result = TypeVar("Result")
DEFAULT_TIMEOUT_MS = 60_000
_WORTH_ANOTHER_TRY = {
    ErrorCode.NOT_COORDINATOR,
    ErrorCode.COORDINATOR_NOT_AVAILABLE,
    ErrorCode.COORDINATOR_LOAD_IN_PROGRESS,
    ErrorCode.NOT_LEADER_OR_FOLLOWER,
    ErrorCode.LEADER_NOT_AVAILABLE,
    ErrorCode.NOT_CONTROLLER,
    ErrorCode.REPLICA_NOT_AVAILABLE,
}
_RETRY_SECONDS = 0.1


class Unreachable(Exception):  # noqa: N818 - a state of the cluster, told as such
    """No broker answered in time; the text says which, and why if that is known."""


class UnknownBroker(Unreachable):
    """The cluster has no broker with that id."""


class Cluster:
    """Asks a cluster.

    Args:
        engine: started, of this loop.
        timeout_ms: how long any answer may take.
    """

    def __init__(self, engine: Engine, timeout_ms: float = DEFAULT_TIMEOUT_MS) -> None:
        self.engine = engine
        self.timeout_ms = timeout_ms

    async def ask(
        self,
        request: Message,
        target: Target = ANY,
        *,
        at_least: int = 0,
        at_most: int | None = None,
    ) -> Any:
        """The answer to a request, whatever errors it holds.

        Raises:
            Unreachable: there is no answer in time.
            KafkaFailure: the broker doesn't speak a version that can say this.
        """
        from ottla.client.errors import KafkaException

        if request.API_KEY is None:
            raise TypeError(f"{type(request).__name__} is no request")
        answer = declaration(request.API_KEY)[1]
        try:
            if isinstance(target, int) and target not in self.engine.cluster.brokers:
                self.engine.refresh_metadata()
                await self.engine.metadata_updated(self.timeout_ms)
            return await self.engine.ask(
                target,
                request,
                answer,
                timeout_ms=self.timeout_ms,
                at_least=at_least,
                at_most=at_most,
            )
        except KafkaException as failure:
            raise _told(failure.args[0]) from failure

    async def ask_coordinator(
        self,
        group_id: str,
        request: Message,
        error_of: Callable[[Any], int],
        *,
        key_type: KeyType = KeyType.GROUP,
        at_least: int = 0,
        at_most: int | None = None,
    ) -> Any:
        """As ``ask`` of a coordinator, once more where it is just moving or loading.

        Args:
            group_id: the group or transactional id.
            request: what to ask.
            error_of: the error code in an answer that tells whether the right broker answered.
            key_type: what kind of coordinator.
            at_least: the first version that can say this.
            at_most: the last one.
        """
        target = Coordinator(key_type, group_id)
        deadline = self.engine.now_ms() + self.timeout_ms
        while True:
            answer = await self.ask(request, target, at_least=at_least, at_most=at_most)
            code = error_of(answer)
            if code not in _WORTH_ANOTHER_TRY or self.engine.now_ms() > deadline:
                return answer
            if code != ErrorCode.COORDINATOR_LOAD_IN_PROGRESS:
                self.engine.forget_coordinator(target)
            await self.pause()

    async def pause(self) -> None:
        """Wait a little before asking the same again."""
        import asyncio

        await asyncio.sleep(_RETRY_SECONDS)


def _told(error: KafkaError) -> Exception:
    from ottla.client.errors import KafkaError

    if error.code() == KafkaError._UNSUPPORTED_FEATURE:
        return KafkaFailure(ErrorCode.UNSUPPORTED_VERSION, error.str())
    if error.code() > 0:
        return KafkaFailure(error.code(), error.str())
    if error.code() == KafkaError._UNKNOWN_BROKER:
        return UnknownBroker(error.str())
    return Unreachable(error.str())


def settings(options: Options, config_option: str = "command-config") -> dict[str, str]:
    """What the client is configured with: the file of ``--command-config``, then the server."""
    entries = load(options.text(config_option)) if options.has(config_option) else {}
    if options.has("bootstrap-server"):
        entries["bootstrap.servers"] = options.text("bootstrap-server")
    return entries


def ask_cluster(
    entries: Mapping[str, str],
    work: Callable[[Cluster], Awaitable[Result]],
    *,
    timeout_ms: float = DEFAULT_TIMEOUT_MS,
) -> Result:
    """Connect, do the work, disconnect.

    Args:
        entries: configuration as for Java's admin client.
        work: what asks.
        timeout_ms: how long each answer may take.

    Raises:
        ToolFailure: the configuration is wrong, or no broker can be reached.
    """
    import asyncio

    from ottla.client.configuration.build import configure_admin
    from ottla.client.engine.engine import Engine
    from ottla.client.errors import KafkaException

    given = dict(entries)
    timeout_ms = float(given.get("default.api.timeout.ms", timeout_ms))
    given.pop("request.timeout.ms", None)
    troubles = _Troubles(timeout_ms)
    try:
        configuration = configure_admin(({**for_our_client(given), "error_cb": troubles.take},), {})
    except KafkaException as failure:
        raise ToolFailure(failure.args[0].str()) from None
    except (TypeError, ValueError) as failure:
        raise ToolFailure(str(failure)) from None

    async def whole() -> Result:
        engine = Engine(configuration, "admin")
        engine.start()
        try:
            return await troubles.unless_refused(work(Cluster(engine, timeout_ms)))
        finally:
            await engine.close()

    try:
        return asyncio.run(whole())
    except Unreachable as failure:
        servers = given.get("bootstrap.servers", "")
        raise ToolFailure(
            f"Timed out waiting for a node assignment: {failure}",
            f"No broker answered at {servers}. Is it running, and is that the address it listens "
            "on? 'ottla doctor' looks closer.",
        ) from None


class _Troubles:
    """What the client tells of its connections.

    The first failure to connect is passed on, so that nobody wonders what is being waited for. To
    be refused ends the tool: asking again with the same password leads nowhere.
    """

    def __init__(self, timeout_ms: float) -> None:
        self._timeout_ms = timeout_ms
        self._is_told = False
        self._refusal: asyncio.Future[KafkaError] | None = None

    def take(self, error: KafkaError) -> None:
        """The client's ``error_cb``, on the tool's own loop."""
        if error.name() in ("_AUTHENTICATION", "SASL_AUTHENTICATION_FAILED"):
            if self._refusal is not None and not self._refusal.done():
                self._refusal.set_result(error)
        elif not self._is_told:
            self._is_told = True
            wait = f"trying for {self._timeout_ms / 1000:g} s"
            print(f"hint: {error.str()}; {wait}", file=sys.stderr)

    async def unless_refused(self, work: Awaitable[Result]) -> Result:
        """What the work comes to; raises ``ToolFailure`` when the brokers don't let us in."""
        import asyncio

        self._refusal = asyncio.get_running_loop().create_future()
        working = asyncio.ensure_future(work)
        try:
            either: set[asyncio.Future[Any]] = {working, self._refusal}
            await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
            if working.done():
                return working.result()
            raise ToolFailure(
                self._refusal.result().str(),
                "check sasl.mechanism, user and password in the file of --command-config",
            )
        finally:
            working.cancel()
            # What it says to that, or still had to say, interests nobody any more.
            await asyncio.gather(working, return_exceptions=True)


async def in_order(work: Iterable[Awaitable[Result]]) -> list[Result]:
    """The results of things done at the same time, in the order they were given."""
    import asyncio

    return list(await asyncio.gather(*work))


__all__ = [
    "ANY", "CONTROLLER", "Cluster", "Coordinator", "KeyType", "Target", "UnknownBroker",
    "Unreachable", "ask_cluster", "in_order", "settings",
]  # fmt: skip
